//! Slots: when a scan is due. Pure.
//!
//! The schedule is read as wall-clock time, and each wall-clock time has one instant: the first,
//! where the clock shows it twice; the moment at which the clock jumps over it, where it does not
//! exist. A slot is identified by its **local date**, not by its instant, and remembered in the
//! ledger: so neither a repeated hour, a restart, a stepped clock nor two daemons can make
//! one twice. A missed slot is caught up once, however many were missed: a scan looks at
//! every date anyway.

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeZone as _, Utc};
use chrono_tz::Tz;

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
    let mut wall = now.with_timezone(&schedule.timezone).naive_local() + CLOCKS_JUMP_AT_MOST;
    for _ in 0..SLOTS_TRIED {
        let found = schedule.cron.find_previous_occurrence(&wall.and_utc(), false).ok()?;
        wall = found.naive_utc();
        if let Some(slot) = slot(schedule.timezone, wall).filter(|slot| slot.at <= now) {
            return Some(slot);
        }
    }
    None
}

/// The first slot after `now`.
#[must_use]
pub fn next(schedule: &ScanSchedule, now: DateTime<Utc>) -> Option<Slot> {
    let mut wall = now.with_timezone(&schedule.timezone).naive_local() - CLOCKS_JUMP_AT_MOST;
    for _ in 0..SLOTS_TRIED {
        let found = schedule.cron.find_next_occurrence(&wall.and_utc(), false).ok()?;
        wall = found.naive_utc();
        if let Some(slot) = slot(schedule.timezone, wall).filter(|slot| slot.at > now) {
            return Some(slot);
        }
    }
    None
}

/// No clock ever jumped farther: Samoa left out a whole day.
const CLOCKS_JUMP_AT_MOST: chrono::Duration = chrono::Duration::hours(25);
/// So many wall-clock times lie within that of any moment, at one a date.
const SLOTS_TRIED: usize = 8;

/// The slot of a wall-clock time; `None` when its date was left out.
fn slot(zone: Tz, wall: NaiveDateTime) -> Option<Slot> {
    let date = wall.date();
    if let Some(at) = zone.from_local_datetime(&wall).earliest() {
        return Some(Slot { date, at: at.with_timezone(&Utc) });
    }
    let at = end_of_gap(zone, wall)?;
    let on = |at: DateTime<Utc>| at.with_timezone(&zone).date_naive();
    let exists = on(at) == date || on(at - chrono::Duration::seconds(1)) == date;
    exists.then_some(Slot { date, at })
}

/// The instant at which the clock jumped over a wall-clock time.
fn end_of_gap(zone: Tz, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
    let reading = |second: i64| {
        let at = DateTime::from_timestamp(second, 0)?;
        Some(at.with_timezone(&zone).naive_local())
    };
    let around = wall.and_utc().timestamp();
    let reach = 2 * CLOCKS_JUMP_AT_MOST.num_seconds();
    let (mut before, mut after) = (around - reach, around + reach);
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        if reading(middle)? < wall { before = middle } else { after = middle }
    }
    DateTime::from_timestamp(after, 0)
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

    /// Where a zone's clock changed within twenty years: the instant, and the offsets before and
    /// after it in seconds.
    fn changes(zone: chrono_tz::Tz) -> Vec<(DateTime<Utc>, i64, i64)> {
        use chrono::Offset as _;
        let offset = |at: DateTime<Utc>| {
            i64::from(zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc())
        };
        let (mut day, end) = (at("2008-01-01T00:00:00Z"), at("2028-01-01T00:00:00Z"));
        let mut found = Vec::new();
        while day < end {
            let next = day + Duration::days(1);
            let (before, after) = (offset(day), offset(next));
            if before != after {
                let (mut low, mut high) = (day, next);
                while high - low > Duration::seconds(1) {
                    let middle = low + (high - low) / 2;
                    if offset(middle) == before { low = middle } else { high = middle }
                }
                found.push((high, before, after));
            }
            day = next;
        }
        found
    }

    /// The local dates that exist from four days before a change to four days after it.
    fn local_dates(zone: chrono_tz::Tz, around: DateTime<Utc>) -> Vec<NaiveDate> {
        let mut hour = around - Duration::days(4);
        let mut dates: Vec<NaiveDate> = Vec::new();
        while hour < around + Duration::days(4) {
            let date = hour.with_timezone(&zone).date_naive();
            if dates.last() != Some(&date) {
                dates.push(date);
            }
            hour += Duration::minutes(30);
        }
        dates.pop();
        dates.remove(0);
        dates
    }

    #[test]
    fn every_local_date_of_every_zone_has_one_slot_whatever_its_clock_did_at_that_time() {
        let mut tried = std::collections::BTreeSet::new();
        let mut wrong = Vec::new();
        for zone in chrono_tz::TZ_VARIANTS {
            for (instant, before, after) in changes(zone) {
                if !tried.insert((instant, before, after)) {
                    continue; // another zone of the same clock
                }
                let local = |offset: i64, minutes: i64| {
                    (instant + Duration::seconds(offset) + Duration::minutes(minutes))
                        .format("%M %H")
                };
                let mut times: Vec<String> = [before, after]
                    .into_iter()
                    .flat_map(|offset| {
                        [-1, 0, 20].map(|minutes| local(offset, minutes).to_string())
                    })
                    .collect();
                times.push("0 0".to_owned());
                for time in times {
                    let schedule =
                        ScanSchedule { timezone: zone, ..schedule(&format!("{time} * * *")) };
                    let dates = local_dates(zone, instant);
                    let mut made: Vec<NaiveDate> = Vec::new();
                    let mut now = instant - Duration::days(5);
                    while let Some(slot) = next(&schedule, now)
                        .filter(|slot| slot.at < instant + Duration::days(5) && slot.at > now)
                    {
                        made.push(slot.date);
                        now = slot.at;
                        let again = last_due(&schedule, slot.at + Duration::seconds(1));
                        if again != Some(slot) {
                            wrong.push(format!("{zone} {time} {slot:?} read back as {again:?}"));
                        }
                    }
                    let counts: Vec<usize> = dates
                        .iter()
                        .map(|date| made.iter().filter(|made| *made == date).count())
                        .collect();
                    if counts.iter().any(|count| *count != 1) {
                        wrong.push(format!("{zone} {time} {instant}: {dates:?} {counts:?}"));
                    }
                }
            }
        }
        assert!(tried.len() > 500, "{}", tried.len());
        assert!(
            wrong.is_empty(),
            "{} wrong, first {:#?}",
            wrong.len(),
            &wrong[..wrong.len().min(12)]
        );
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
        let (slot, missed) = due(&schedule, None, at("2026-06-05T02:00:00Z")).unwrap();
        assert_eq!((slot.date.to_string(), missed), ("2026-06-04".to_owned(), 0));
    }
}
