//! What is usual for a date: the median of dates like it, when those agree with each other.
//!
//! Two sets of dates are asked: the nearest ones, seven on each side, and those of the same
//! weekday of the four weeks before and after. A set answers when it is large enough and at least
//! three quarters of it lie within the band around its own median. So a feed whose weekends are
//! small is judged by weekday, a table that grows by its nearest dates, one that varies by itself
//! hardly ever.
//! A date is odd when at least one set answers, every set that answers finds it outside the band,
//! and it is not like the few dates of its weekday that a short history has.

use super::{Volume, Volumes};

/// So many dates on each side are near.
const NEAR_EACH_SIDE: usize = 7;
/// Fewer near dates say nothing.
const NEAR_AT_LEAST: usize = 3;
/// So many weeks on each side have a date of the same weekday.
const WEEKS_EACH_SIDE: i64 = 4;
/// Fewer dates of the same weekday say nothing.
const WEEKLY_AT_LEAST: usize = 4;
/// At least so many percent of the dates must lie within the band of their own median.
const AGREEING_PERCENT: usize = 75;
/// The band in which dates agree where `volume_band` is "none".
const AGREEING_BAND_PERCENT: u32 = 40;

/// How a table's volumes are judged: `raw.NAME.volume_band` and `raw.NAME.volume_min_size`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VolumeLimits {
    /// Percent around the median; `None`: no date is odd.
    pub band_percent: Option<u32>,
    /// A table whose usual date has fewer bytes is not judged.
    pub min_bytes: u64,
}

/// Bytes that are usual for a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usual {
    /// The median of the dates that it is compared with.
    pub median: u64,
    /// The least of those that agree.
    pub from: u64,
    /// The most of them.
    pub to: u64,
}

/// A date beside the dates like it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    near: Option<Usual>,
    weekly: Option<Usual>,
    /// The median of the dates of its weekday where those are too few.
    few_weekly: Option<u64>,
}

impl Comparison {
    /// Compares the date with this number.
    pub(super) fn of(volumes: &Volumes, day: i64, limits: VolumeLimits) -> Self {
        let band = limits.band_percent.unwrap_or(AGREEING_BAND_PERCENT);
        let bytes = |(_, volume): (i64, Volume)| volume.bytes;
        let mut near = Peers::default();
        near.extend(volumes.before(day).take(NEAR_EACH_SIDE).map(bytes));
        near.extend(volumes.after(day).take(NEAR_EACH_SIDE).map(bytes));
        let mut weekly = Peers::default();
        let weeks = (-WEEKS_EACH_SIDE..=WEEKS_EACH_SIDE).filter(|week| *week != 0);
        let same_weekday = weeks.filter_map(|week| volumes.get_day(day + week * 7));
        weekly.extend(same_weekday.map(|volume| volume.bytes));
        let few_weekly = weekly.count < WEEKLY_AT_LEAST;
        Self {
            few_weekly: few_weekly.then(|| weekly.median()).flatten(),
            near: near.answer(NEAR_AT_LEAST, band),
            weekly: weekly.answer(WEEKLY_AT_LEAST, band),
        }
    }

    /// What is usual, the nearest dates first.
    pub(super) fn usual(self) -> Option<Usual> {
        self.near.or(self.weekly)
    }

    /// Whether so many bytes are odd.
    pub(super) fn is_odd(self, bytes: u64, limits: VolumeLimits) -> bool {
        let Some(band) = limits.band_percent else { return false };
        if self.few_weekly.is_some_and(|median| !outside(bytes, median, band)) {
            return false;
        }
        let mut usual = [self.near, self.weekly].into_iter().flatten().peekable();
        let is_outside =
            |usual: Usual| usual.median >= limits.min_bytes && outside(bytes, usual.median, band);
        usual.peek().is_some() && usual.all(is_outside)
    }
}

/// The bytes of the dates in one set.
#[derive(Default)]
struct Peers {
    bytes: [u64; NEAR_EACH_SIDE * 2],
    count: usize,
}

impl Peers {
    fn extend(&mut self, bytes: impl Iterator<Item = u64>) {
        for (place, bytes) in self.bytes[self.count..].iter_mut().zip(bytes) {
            *place = bytes;
            self.count += 1;
        }
    }

    fn median(&mut self) -> Option<u64> {
        let peers = &mut self.bytes[..self.count];
        peers.sort_unstable();
        peers.get(peers.len() / 2).copied()
    }

    /// What is usual by them, if they are enough and agree.
    fn answer(mut self, at_least: usize, band: u32) -> Option<Usual> {
        let median = self.median().filter(|_| self.count >= at_least)?;
        let peers = self.bytes[..self.count].iter().copied();
        let agree = || peers.clone().filter(|bytes| !outside(*bytes, median, band));
        let agree_enough = agree().count() * 100 >= self.count * AGREEING_PERCENT;
        let (from, to) = (agree().min()?, agree().max()?);
        agree_enough.then_some(Usual { median, from, to })
    }
}

/// Whether so many bytes differ by more than the band's percent from the median.
fn outside(bytes: u64, median: u64, band_percent: u32) -> bool {
    u128::from(bytes.abs_diff(median)) * 100 > u128::from(median) * u128::from(band_percent)
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, Duration, NaiveDate, Weekday};

    use super::*;
    use crate::domain::DateSet;

    const LIMITS: VolumeLimits = VolumeLimits { band_percent: Some(40), min_bytes: 1024 };
    const MIB: u64 = 1 << 20;
    const NONE: [usize; 0] = [];

    fn first() -> NaiveDate {
        "2026-06-01".parse().unwrap() // a Monday
    }

    /// The days, counted from the first one, that are odd among these bytes.
    fn odd(bytes: &[u64], limits: VolumeLimits) -> Vec<usize> {
        let dates = (0_i64..).map(|day| first() + Duration::days(day));
        let volumes: Volumes = dates
            .zip(bytes)
            .map(|(date, bytes)| (date, Volume { bytes: *bytes, objects: 1 }))
            .collect();
        let start = DateSet::day_of(first());
        let odd = volumes.iter().filter(|(day, volume)| {
            Comparison::of(&volumes, *day, limits).is_odd(volume.bytes, limits)
        });
        odd.map(|(day, _)| usize::try_from(day - start).unwrap()).collect()
    }

    /// Steady days with a little noise, and what is set otherwise.
    fn days(count: usize, otherwise: &[(usize, u64)]) -> Vec<u64> {
        let mut days: Vec<u64> =
            (0..count as u64).map(|day| (MIB * (95 + day * 7 % 11)) / 100).collect();
        for (day, percent) in otherwise {
            days[*day] = days[*day] * percent / 100;
        }
        days
    }

    #[test]
    fn a_doubled_a_halved_and_a_tiny_date_are_odd_wherever_they_lie() {
        for day in [0, 1, 3, 15, 28, 29] {
            for percent in [200, 300, 50, 1] {
                assert_eq!(odd(&days(30, &[(day, percent)]), LIMITS), [day], "{percent} %");
            }
            assert_eq!(odd(&days(30, &[(day, 125), ((day + 5) % 30, 75)]), LIMITS), NONE);
        }
        assert_eq!(odd(&days(4, &[(2, 200)]), LIMITS), [2], "three others are enough");
        assert_eq!(odd(&days(3, &[(2, 200)]), LIMITS), NONE, "two are not");
    }

    #[test]
    fn the_band_is_the_one_that_is_set_and_none_judges_nothing() {
        let exactly = |percent: u64, band| {
            let mut bytes = vec![1_000_000; 20];
            bytes[10] = 10_000 * percent;
            let limits = VolumeLimits { band_percent: band, ..LIMITS };
            !odd(&bytes, limits).is_empty()
        };
        assert_eq!([140, 141, 60, 59].map(|it| exactly(it, Some(40))), [false, true, false, true]);
        assert_eq!([110, 111].map(|it| exactly(it, Some(10))), [false, true]);
        assert!(!exactly(900, None));
    }

    #[test]
    fn a_table_that_is_usually_tiny_is_not_judged_but_one_that_became_tiny_is() {
        let at = |usual: u64, that_day: u64| {
            let mut bytes = vec![usual; 20];
            bytes[10] = that_day;
            !odd(&bytes, LIMITS).is_empty()
        };
        assert!(!at(1023, 4096));
        assert!(at(1024, 4096));
        assert!(at(4096, 100));
    }

    fn weekly(weeks: usize, weekend_percent: u64) -> Vec<u64> {
        let mut bytes = days(weeks * 7, &[]);
        for (day, bytes) in bytes.iter_mut().enumerate() {
            let weekday = (first() + Duration::days(i64::try_from(day).unwrap())).weekday();
            if matches!(weekday, Weekday::Sat | Weekday::Sun) {
                *bytes = *bytes * weekend_percent / 100;
            }
        }
        bytes
    }

    #[test]
    fn weekends_that_are_always_small_are_not_odd_but_a_doubled_one_is() {
        for weeks in [2, 3, 4, 5, 12] {
            assert_eq!(odd(&weekly(weeks, 30), LIMITS), NONE, "{weeks} weeks");
            assert_eq!(odd(&weekly(weeks, 250), LIMITS), NONE, "{weeks} weeks of large weekends");
        }
        let mut bytes = weekly(12, 45);
        bytes[40] *= 2; // a Saturday that now looks like a weekday
        bytes[44] *= 2; // a Wednesday
        assert_eq!(odd(&bytes, LIMITS), [40, 44]);
    }

    #[test]
    fn growth_and_a_step_are_not_odd_once_there_are_dates_after_it() {
        let grows: Vec<u64> = (0..120).map(|day| MIB * (100 + day * 2) / 100).collect();
        assert_eq!(odd(&grows, LIMITS), NONE);
        let steps: Vec<u64> = (0..60).map(|day| if day < 30 { MIB } else { 3 * MIB }).collect();
        assert_eq!(odd(&steps, LIMITS), NONE);
        assert_eq!(odd(&steps[..31], LIMITS), [30], "the first day of it looks odd");
        assert_eq!(odd(&steps[..48], LIMITS), NONE, "eighteen days later it does not");
    }

    #[test]
    fn doubled_neighbours_hide_nothing_until_they_are_the_rule() {
        let week: Vec<(usize, u64)> = (30..37).map(|day| (day, 200)).collect();
        let found = odd(&days(66, &week), LIMITS);
        assert_eq!(found, (30..37).collect::<Vec<_>>(), "a whole week in a row");
        let all: Vec<u64> = days(60, &[]).iter().map(|bytes| bytes * 2).collect();
        assert_eq!(odd(&all, LIMITS), NONE, "what is always so is usual");
    }

    #[test]
    fn a_table_that_varies_by_itself_is_hardly_ever_odd() {
        let wild = |day: u64| MIB * (1 + (day + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) % 97 / 10);
        let wild: Vec<u64> = (0..60).map(wild).collect();
        let found = odd(&wild, LIMITS).len();
        assert!(found * 10 <= wild.len(), "{found} of {}", wild.len());
    }
}
