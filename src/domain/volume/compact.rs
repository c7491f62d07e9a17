//! Volumes by date in five bytes a date: four for the bytes, one for the objects.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::Volume;
use crate::domain::DateSet;

/// Dates further apart are kept in separate stretches: dates named far from the window must not
/// make room for all that lies between.
const ONE_STRETCH_DAYS: i64 = 64;

/// The volumes of one table, or of all together. A date without bytes is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volumes {
    /// In order, never touching.
    stretches: Vec<Stretch>,
    /// What is too large for four bytes and one.
    large: BTreeMap<i64, Volume>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Stretch {
    first: i64,
    bytes: Vec<u32>,
    objects: Vec<u8>,
}

impl Stretch {
    /// The day after its last.
    fn end(&self) -> i64 {
        self.first + i64::try_from(self.bytes.len()).unwrap_or(i64::MAX)
    }

    fn index(&self, day: i64) -> Option<usize> {
        usize::try_from(day - self.first).ok().filter(|index| *index < self.bytes.len())
    }
}

impl Volumes {
    /// Of a date.
    #[must_use]
    pub fn get(&self, date: NaiveDate) -> Option<Volume> {
        self.get_day(DateSet::day_of(date))
    }

    /// Of the date with this number.
    pub(super) fn get_day(&self, day: i64) -> Option<Volume> {
        let after = self.stretches.partition_point(|stretch| stretch.first <= day);
        let stretch = self.stretches.get(after.checked_sub(1)?)?;
        self.at(stretch, stretch.index(day)?)
    }

    fn at(&self, stretch: &Stretch, index: usize) -> Option<Volume> {
        let (bytes, objects) = (stretch.bytes[index], stretch.objects[index]);
        if bytes == u32::MAX || objects == u8::MAX {
            let day = stretch.first + i64::try_from(index).ok()?;
            return self.large.get(&day).copied();
        }
        (bytes > 0).then_some(Volume { bytes: bytes.into(), objects: objects.into() })
    }

    /// Sets the volume of a date; one without bytes takes it away.
    pub fn set(&mut self, date: NaiveDate, volume: Volume) {
        let day = DateSet::day_of(date);
        let bytes = u32::try_from(volume.bytes).unwrap_or(u32::MAX);
        let objects = u8::try_from(volume.objects).unwrap_or(u8::MAX);
        let is_large = volume.bytes > 0 && (bytes == u32::MAX || objects == u8::MAX);
        let was_large = self.large.remove(&day).is_some();
        if is_large {
            self.large.insert(day, volume);
        }
        if volume.bytes == 0 && !was_large && self.get_day(day).is_none() {
            return;
        }
        let (stretch, index) = self.room(day);
        stretch.bytes[index] = bytes;
        stretch.objects[index] = objects;
    }

    /// The place of a day, made if it has none.
    fn room(&mut self, day: i64) -> (&mut Stretch, usize) {
        let after = self.stretches.partition_point(|stretch| stretch.first <= day);
        let before = after.checked_sub(1);
        let near = before.filter(|at| day - self.stretches[*at].end() < ONE_STRETCH_DAYS);
        let at = near.unwrap_or_else(|| {
            let stretch = Stretch { first: day, bytes: Vec::new(), objects: Vec::new() };
            self.stretches.insert(after, stretch);
            after
        });
        let stretch = &mut self.stretches[at];
        let index = usize::try_from(day - stretch.first).unwrap_or(0);
        if index >= stretch.bytes.len() {
            stretch.bytes.resize(index + 1, 0);
            stretch.objects.resize(index + 1, 0);
        }
        (stretch, index)
    }

    /// Every date's number and volume, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, Volume)> {
        self.stretches.iter().flat_map(move |stretch| {
            let days = (stretch.first..).zip(0..stretch.bytes.len());
            days.filter_map(move |(day, index)| Some((day, self.at(stretch, index)?)))
        })
    }

    /// The dates right before a day, the nearest first.
    pub(super) fn before(&self, day: i64) -> impl Iterator<Item = (i64, Volume)> {
        let from = self.stretches.partition_point(|stretch| stretch.first < day);
        self.stretches[..from].iter().rev().flat_map(move |stretch| {
            let days = stretch.first..stretch.end().min(day);
            days.rev().filter_map(move |day| Some((day, self.at(stretch, stretch.index(day)?)?)))
        })
    }

    /// The dates right after a day, the nearest first.
    pub(super) fn after(&self, day: i64) -> impl Iterator<Item = (i64, Volume)> {
        let from = self.stretches.partition_point(|stretch| stretch.end() <= day + 1);
        self.stretches[from..].iter().flat_map(move |stretch| {
            let days = stretch.first.max(day + 1)..stretch.end();
            days.filter_map(move |day| Some((day, self.at(stretch, stretch.index(day)?)?)))
        })
    }

    /// Gives back what room was made in advance.
    pub(super) fn shrink(&mut self) {
        for stretch in &mut self.stretches {
            stretch.bytes.shrink_to_fit();
            stretch.objects.shrink_to_fit();
        }
    }
}

impl FromIterator<(NaiveDate, Volume)> for Volumes {
    fn from_iter<I: IntoIterator<Item = (NaiveDate, Volume)>>(dates: I) -> Self {
        let mut volumes = Self::default();
        for (date, volume) in dates {
            volumes.set(date, volume);
        }
        volumes.shrink();
        volumes
    }
}

#[cfg(test)]
mod tests {
    use chrono::Duration;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn volumes_are_a_map_by_date(
            sets in proptest::collection::vec(
                (
                    prop_oneof![0_i64..40, 100_i64..300, -9_000_i64..9_000],
                    prop_oneof![Just(0), 1_u64..1_000, u64::from(u32::MAX) - 1..u64::from(u32::MAX) + 2],
                    1_u32..258,
                ),
                0..80,
            ),
        ) {
            let origin = NaiveDate::from_ymd_opt(2022, 1, 1).unwrap();
            let mut volumes = Volumes::default();
            let mut model = BTreeMap::new();
            for (day, bytes, objects) in sets {
                let date = origin + Duration::days(day);
                let volume = Volume { bytes, objects };
                volumes.set(date, volume);
                if bytes == 0 { model.remove(&date); } else { model.insert(date, volume); }
            }
            let days: Vec<_> =
                model.iter().map(|(date, volume)| (DateSet::day_of(*date), *volume)).collect();
            prop_assert_eq!(volumes.iter().collect::<Vec<_>>(), days.clone());
            for offset in -50..350 {
                let date = origin + Duration::days(offset);
                let day = DateSet::day_of(date);
                prop_assert_eq!(volumes.get(date), model.get(&date).copied());
                let before: Vec<_> = days.iter().copied().rev().filter(|it| it.0 < day).take(5).collect();
                prop_assert_eq!(volumes.before(day).take(5).collect::<Vec<_>>(), before);
                let after: Vec<_> = days.iter().copied().filter(|it| it.0 > day).take(5).collect();
                prop_assert_eq!(volumes.after(day).take(5).collect::<Vec<_>>(), after);
            }
        }
    }

    #[test]
    fn ten_years_are_five_bytes_a_date_and_a_far_date_costs_no_more() {
        let first = NaiveDate::from_ymd_opt(2016, 1, 1).unwrap();
        let days = (0..3_650).map(|day| first + Duration::days(day));
        let far = NaiveDate::from_ymd_opt(1990, 1, 1).unwrap();
        let volumes: Volumes = std::iter::once(far)
            .chain(days)
            .map(|date| (date, Volume { bytes: 1 << 20, objects: 3 }))
            .collect();
        let bytes: usize = volumes
            .stretches
            .iter()
            .map(|stretch| stretch.bytes.capacity() * 4 + stretch.objects.capacity())
            .sum();
        assert_eq!(bytes, 3_651 * 5);
    }
}
