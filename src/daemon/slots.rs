//! Slots: when a scan is due. Pure.
//!
//! A slot is identified by its **local date**, not by its instant, and remembered in the
//! ledger: so neither a repeated hour, a restart, a stepped clock nor two daemons can make
//! one twice. A missed slot is caught up once, however many were missed: a scan looks at
//! every date anyway.

use chrono::{DateTime, NaiveDate, Utc};

use crate::config::ScanSchedule;

/// Slots counted as missed at most: a year of silence says enough.
const MISSED_AT_MOST: u32 = 366;

/// A slot of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its local date: its name.
    pub date: NaiveDate,
    /// Its instant.
    pub at: DateTime<Utc>,
}

/// The last slot that was due by `now`, if there ever was one.
#[must_use]
pub fn last_due(schedule: &ScanSchedule, now: DateTime<Utc>) -> Option<Slot> {
    let local = now.with_timezone(&schedule.timezone);
    let found = schedule.cron.find_previous_occurrence(&local, true).ok()?;
    Some(Slot { date: found.date_naive(), at: found.with_timezone(&Utc) })
}

/// The first slot after `now`.
#[must_use]
pub fn next(schedule: &ScanSchedule, now: DateTime<Utc>) -> Option<Slot> {
    let local = now.with_timezone(&schedule.timezone);
    let found = schedule.cron.find_next_occurrence(&local, false).ok()?;
    Some(Slot { date: found.date_naive(), at: found.with_timezone(&Utc) })
}

/// The slot that waits for its scan, and how many before it were missed.
#[must_use]
pub fn due(
    schedule: &ScanSchedule,
    last_done: Option<NaiveDate>,
    now: DateTime<Utc>,
) -> Option<(Slot, u32)> {
    let slot = last_due(schedule, now)?;
    let Some(done) = last_done else { return Some((slot, 0)) };
    (slot.date > done).then(|| (slot, missed_between(schedule, done, slot)))
}

fn missed_between(schedule: &ScanSchedule, done: NaiveDate, slot: Slot) -> u32 {
    let mut missed = 0;
    let mut before = slot.at;
    while missed < MISSED_AT_MOST {
        let earlier = last_due(schedule, before - chrono::Duration::seconds(1));
        match earlier.filter(|earlier| earlier.date > done) {
            Some(earlier) => before = earlier.at,
            None => break,
        }
        missed += 1;
    }
    missed
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Duration;
    use std::collections::BTreeMap;

    fn schedule(expression: &str) -> ScanSchedule {
        let parser = croner::parser::CronParser::builder()
            .seconds(croner::parser::Seconds::Optional)
            .build();
        ScanSchedule {
            expression: expression.to_owned(),
            cron: parser.parse(expression).unwrap(),
            timezone: chrono_tz::Europe::London,
        }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn over_twenty_years_every_local_date_has_exactly_one_slot() {
        for expression in ["0 4 * * *", "30 1 * * *", "30 0 * * *", "0 2 * * *"] {
            let schedule = schedule(expression);
            let mut seen: BTreeMap<NaiveDate, u32> = BTreeMap::new();
            let mut now = at("2025-01-01T00:00:00Z");
            let end = at("2045-01-01T00:00:00Z");
            while let Some(slot) = next(&schedule, now).filter(|slot| slot.at < end) {
                *seen.entry(slot.date).or_default() += 1;
                now = slot.at;
            }
            let first = *seen.keys().next().unwrap();
            let last = *seen.keys().last().unwrap();
            assert_eq!(
                i64::try_from(seen.len()).unwrap(),
                (last - first).num_days() + 1,
                "{expression}"
            );
            assert!(seen.values().all(|count| *count == 1), "{expression}");
        }
    }

    #[test]
    fn a_restart_at_any_minute_of_a_clock_change_night_never_makes_a_slot_twice() {
        for (from, expression) in [
            ("2026-03-28T12:00:00Z", "30 1 * * *"),
            ("2026-10-24T12:00:00Z", "30 1 * * *"),
            ("2026-10-24T12:00:00Z", "30 0 * * *"),
        ] {
            let schedule = schedule(expression);
            let mut now = at(from);
            let mut done = last_due(&schedule, now).map(|slot| slot.date);
            let mut made = Vec::new();
            for _ in 0..(3 * 24 * 60) {
                if let Some((slot, missed)) = due(&schedule, done, now) {
                    assert_eq!(missed, 0, "{expression}");
                    made.push(slot.date);
                    done = Some(slot.date);
                }
                now += Duration::minutes(1);
            }
            let mut unique = made.clone();
            unique.dedup();
            assert_eq!(made, unique);
            assert_eq!(made.len(), 3, "{expression} from {from}: {made:?}");
        }
    }

    #[test]
    fn missed_slots_are_counted_and_caught_up_once() {
        let schedule = schedule("0 4 * * *");
        let done = Some("2026-06-01".parse().unwrap());
        let (slot, missed) = due(&schedule, done, at("2026-06-05T12:00:00Z")).unwrap();
        assert_eq!(slot.date.to_string(), "2026-06-05");
        assert_eq!(missed, 3);
        assert_eq!(due(&schedule, Some(slot.date), at("2026-06-05T23:00:00Z")), None);
    }

    #[test]
    fn a_first_start_finds_the_last_slot_due() {
        let schedule = schedule("0 4 * * *");
        let (slot, missed) = due(&schedule, None, at("2026-06-05T03:00:00Z")).unwrap();
        assert_eq!((slot.date.to_string(), missed), ("2026-06-04".to_owned(), 0));
    }
}
