//! The calendar: which dates are expected, when a dump should be there, and local time.
//!
//! The grain is a day. A dump on a day that nobody expected makes that day an ordinary one.

use chrono::{DateTime, Duration, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

use crate::config::{Calendar, DatasetSettings, NamedDates};

/// Whether the calendar expects the date.
#[must_use]
pub fn is_expected(calendar: &Calendar, date: NaiveDate) -> bool {
    expectation(calendar, date) == Expectation::Expected
}

/// Whether the calendar expects the date, and if not, which entry says so.
#[must_use]
pub(super) fn expectation(calendar: &Calendar, date: NaiveDate) -> Expectation<'_> {
    let names = |(_, entry): &(&String, &NamedDates)| entry.names(date);
    if calendar.also.iter().any(|entry| names(&entry)) {
        return Expectation::Expected;
    }
    if let Some((name, entry)) = calendar.except.iter().find(names) {
        return Expectation::Excepted { name, reason: &entry.reason };
    }
    if calendar.expect.contains(&chrono::Datelike::weekday(&date)) {
        Expectation::Expected
    } else {
        Expectation::NotThatWeekday
    }
}

/// What the calendar says of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expectation<'a> {
    /// It is expected.
    Expected,
    /// An entry of `calendar.except` says that it is not.
    Excepted {
        /// The entry.
        name: &'a str,
        /// Its reason.
        reason: &'a str,
    },
    /// `calendar.expect` does not have its weekday.
    NotThatWeekday,
}

/// The instant after which an absent dump is `no_dump`.
#[must_use]
pub(super) fn arrives_by(dataset: &DatasetSettings, date: NaiveDate) -> DateTime<Utc> {
    local_instant(dataset.timezone, date, dataset.calendar.arrives_by)
}

/// The instant by which the live run should have made the raw zone whole.
#[must_use]
pub(super) fn ready_by(dataset: &DatasetSettings, date: NaiveDate) -> DateTime<Utc> {
    let (days, time) = dataset.calendar.ready_by;
    local_instant(dataset.timezone, date + Duration::days(days), time)
}

/// A local time as an instant: the earlier one where it happens twice, the first one after
/// the gap where it does not happen at all.
#[must_use]
pub fn local_instant(timezone: Tz, date: NaiveDate, time: NaiveTime) -> DateTime<Utc> {
    let mut local = date.and_time(time);
    for _ in 0..LONGEST_GAP_QUARTERS {
        if let Some(instant) = timezone.from_local_datetime(&local).earliest() {
            return instant.with_timezone(&Utc);
        }
        local += Duration::minutes(15);
    }
    Utc.from_utc_datetime(&local)
}

/// No zone ever skipped more than a day at once.
const LONGEST_GAP_QUARTERS: u32 = 24 * 4 + 1;

/// The local date and time of an instant.
#[must_use]
pub fn local(timezone: Tz, at: DateTime<Utc>) -> (NaiveDate, NaiveTime) {
    let local = at.with_timezone(&timezone);
    (local.date_naive(), local.time())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::Weekday;
    use chrono_tz::Europe::London;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_weekday_is_expected_when_the_calendar_has_it() {
        let monday = "2026-06-15".parse().unwrap();
        let calendar = |day| Calendar {
            expect: vec![day],
            arrives_by: NaiveTime::MIN,
            ready_by: (1, NaiveTime::MIN),
            except: BTreeMap::new(),
            also: BTreeMap::new(),
        };
        assert!(is_expected(&calendar(Weekday::Mon), monday));
        assert!(!is_expected(&calendar(Weekday::Tue), monday));
    }

    #[test]
    fn a_local_time_that_does_not_happen_becomes_the_first_instant_after_the_gap() {
        let spring = "2026-03-29".parse().unwrap();
        let time = NaiveTime::from_hms_opt(1, 30, 0).unwrap();
        assert_eq!(local_instant(London, spring, time), at("2026-03-29T01:00:00Z"));
    }

    #[test]
    fn a_local_time_that_happens_twice_is_the_earlier_one() {
        let autumn = "2026-10-25".parse().unwrap();
        let time = NaiveTime::from_hms_opt(1, 30, 0).unwrap();
        assert_eq!(local_instant(London, autumn, time), at("2026-10-25T00:30:00Z"));
    }
}
