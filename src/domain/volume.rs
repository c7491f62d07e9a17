//! Volumes: how many bytes and objects each raw table has for each date, and when they were
//! written.
//!
//! A table that holds a date twice, or half of it, looks whole to the catalog. Its bytes show it:
//! they are compared with those of the neighbouring dates ([`Usual`]). Two writes show it as well:
//! a pause in which nothing was written, with a usual day's bytes before it and after it.

mod book;
mod compact;
mod usual;

use chrono::{DateTime, Duration, Utc};

pub use book::{TableOnDate, TableVolumes, VolumeBook};
pub use compact::Volumes;
pub use usual::{Usual, VolumeLimits};

/// Objects of one table and date written further apart come from two runs (H8).
const ONE_RUN_HOURS: i64 = 6;
/// A pause between two objects that is longer ends a write. One job run writes a table's files of
/// a date within seconds of each other; the next run needs minutes to come round to it again.
const WRITE_PAUSE_SECONDS: i64 = 60;
/// More writes of one table and date are not told apart: those with the shortest pause between
/// them count as one.
const WRITES_AT_MOST: usize = 8;
/// A date of two whole writes has at least so many percent of the usual bytes ...
const TWICE_FROM_PERCENT: u64 = 160;
/// ... and so many of them before the pause, and after it.
const WHOLE_WRITE_FROM_PERCENT: u64 = 60;

/// Bytes and objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Bytes.
    pub bytes: u64,
    /// Objects that have any.
    pub objects: u32,
}

impl Volume {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            objects: self.objects.saturating_add(other.objects),
        }
    }
}

/// What was written for one table and date, a [`Write`] for each group of objects with no longer
/// pause between them. Sums, not a list of the objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// In order of time, never overlapping.
    writes: Vec<Write>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Write {
    first: DateTime<Utc>,
    last: DateTime<Utc>,
    volume: Volume,
}

impl Written {
    /// Adds an object; one without bytes is a folder's marker and no data.
    pub fn note(&mut self, at: DateTime<Utc>, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let volume = Volume { bytes, objects: 1 };
        let place = self.writes.partition_point(|write| write.first <= at);
        self.writes.insert(place, Write { first: at, last: at, volume });
        self.join_around(place);
        if self.writes.len() > WRITES_AT_MOST {
            let pauses = self.writes.windows(2).map(|pair| pair[1].first - pair[0].last);
            let shortest = pauses.enumerate().min_by_key(|(_, pause)| *pause);
            self.join(shortest.map_or(0, |(at, _)| at));
        }
    }

    /// Joins the write at this place to its neighbours where the pause is too short.
    fn join_around(&mut self, place: usize) {
        let pause = Duration::seconds(WRITE_PAUSE_SECONDS);
        let is_near = |writes: &[Write], at: usize| {
            writes.get(at + 1).is_some_and(|next| next.first - writes[at].last <= pause)
        };
        if is_near(&self.writes, place) {
            self.join(place);
        }
        if let Some(before) = place.checked_sub(1)
            && is_near(&self.writes, before)
        {
            self.join(before);
        }
    }

    /// Makes one of a write and the one after it.
    fn join(&mut self, at: usize) {
        let next = self.writes.remove(at + 1);
        let write = &mut self.writes[at];
        write.last = write.last.max(next.last);
        write.volume = write.volume.plus(next.volume);
    }

    /// Whether anything was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// All of it.
    #[must_use]
    pub fn volume(&self) -> Volume {
        self.writes.iter().map(|write| write.volume).fold(Volume::default(), Volume::plus)
    }

    /// The newest object's time.
    #[must_use]
    pub fn newest(&self) -> Option<DateTime<Utc>> {
        self.writes.iter().map(|write| write.last).max()
    }

    /// Whether the objects come from two runs (H8): hours apart whatever their size, or minutes
    /// apart with a usual day's bytes on each side of the pause.
    #[must_use]
    pub fn is_from_two_runs(&self, usual: Option<Usual>) -> bool {
        let first = self.writes.first().map(|write| write.first);
        let span = self.newest().zip(first).map(|(newest, oldest)| newest - oldest);
        span.is_some_and(|span| span > Duration::hours(ONE_RUN_HOURS))
            || usual.is_some_and(|usual| self.holds_it_twice(usual.median))
    }

    fn holds_it_twice(&self, usual_bytes: u64) -> bool {
        let reaches = |bytes: u64, percent: u64| {
            u128::from(bytes) * 100 >= u128::from(usual_bytes) * u128::from(percent)
        };
        let all = self.volume().bytes;
        if usual_bytes == 0 || !reaches(all, TWICE_FROM_PERCENT) {
            return false;
        }
        let pauses = 1..self.writes.len();
        pauses.into_iter().any(|pause| {
            let before: u64 = self.writes[..pause].iter().map(|write| write.volume.bytes).sum();
            reaches(before, WHOLE_WRITE_FROM_PERCENT)
                && reaches(all - before, WHOLE_WRITE_FROM_PERCENT)
        })
    }
}

/// A number of bytes for people: `812.4 MiB`.
#[must_use]
pub fn bytes_in_units(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let (mut whole, mut tenths, mut unit) = (bytes, 0, "B");
    for name in UNITS {
        if whole < 1024 {
            break;
        }
        (tenths, unit) = (whole % 1024 * 10 / 1024, name);
        whole /= 1024;
    }
    if unit == "B" { format!("{whole} B") } else { format!("{whole}.{tenths} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(objects: &[(i64, u64)]) -> Written {
        let began: DateTime<Utc> = "2026-06-15T03:00:00Z".parse().unwrap();
        let mut written = Written::default();
        for (seconds, bytes) in objects {
            written.note(began + Duration::seconds(*seconds), *bytes);
        }
        written
    }

    fn twice(usual: u64, objects: &[(i64, u64)]) -> bool {
        let usual = Usual { median: usual, from: usual, to: usual };
        written(objects).is_from_two_runs(Some(usual))
    }

    #[test]
    fn two_whole_writes_minutes_apart_are_two_runs() {
        assert!(twice(100, &[(0, 50), (10, 50), (600, 50), (610, 50)]));
        assert!(twice(100, &[(610, 50), (0, 50), (600, 50), (10, 50)]), "in any order");
        assert!(twice(100, &[(0, 100), (300, 100), (600, 100)]), "three of them as well");
        assert!(twice(100, &[(0, 60), (61, 100)]), "at the edges");
        assert!(!twice(100, &[(0, 59), (61, 101)]), "one side is no whole write");
        assert!(!twice(100, &[(0, 60), (61, 99)]), "too little for two");
        assert!(!twice(100, &[(0, 100), (60, 100)]), "no pause: one run of a large day");
        assert!(!twice(100, &[(0, 50), (600, 50)]), "one run that took its time");
        assert!(!twice(0, &[(0, 1), (600, 1)]), "nothing usual to compare with");
    }

    #[test]
    fn hours_apart_are_two_runs_whatever_their_size() {
        assert!(written(&[(0, 1), (6 * 3600 + 1, 1)]).is_from_two_runs(None));
        assert!(!written(&[(0, 1), (6 * 3600, 1)]).is_from_two_runs(None));
        assert!(!Written::default().is_from_two_runs(None));
    }

    #[test]
    fn many_writes_are_kept_as_a_few_and_nothing_is_lost() {
        let objects: Vec<(i64, u64)> = (0..100).map(|number| (number * 37 % 100 * 90, 1)).collect();
        let written = written(&objects);
        assert_eq!(written.writes.len(), WRITES_AT_MOST);
        assert_eq!(written.volume(), Volume { bytes: 100, objects: 100 });
        assert!(written.writes.windows(2).all(|pair| pair[0].last < pair[1].first));
    }

    #[test]
    fn an_object_without_bytes_is_no_data() {
        let mut marker = Written::default();
        marker.note(DateTime::UNIX_EPOCH, 0);
        assert!(marker.is_empty());
    }
}
