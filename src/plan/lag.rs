//! Lag: how far the data is whole, and the gaps by range.
//!
//! Everything counts expected dates. Healing an old date never makes a newer hole look
//! better, for the watermark stops at the oldest one.

use chrono::NaiveDate;

use super::census::{DateVerdict, Gap};
use crate::domain::DateStatus;

/// The last date up to which every expected date of the window is available or waived.
///
/// `None` when the window's first expected date is not. Out-of-window dates do not count:
/// nothing is known about the dates between them and the window.
#[must_use]
pub(super) fn whole_through(dates: &[DateVerdict]) -> Option<NaiveDate> {
    dates
        .iter()
        .filter(|verdict| verdict.in_window && verdict.status != DateStatus::NotExpected)
        .take_while(|verdict| verdict.status.is_whole())
        .last()
        .map(|verdict| verdict.date)
}

/// Expected and due dates after the watermark, whole or not.
#[must_use]
pub(super) fn dates_behind(dates: &[DateVerdict], whole_through: Option<NaiveDate>) -> u32 {
    let behind = dates
        .iter()
        .filter(|verdict| verdict.in_window && is_due(verdict.status))
        .filter(|verdict| whole_through.is_none_or(|through| verdict.date > through))
        .count();
    u32::try_from(behind).unwrap_or(u32::MAX)
}

/// Whether the date is expected, and its data should be there by now.
#[must_use]
pub(super) fn is_due(status: DateStatus) -> bool {
    !matches!(status, DateStatus::NotExpected | DateStatus::NotDue)
}

/// Gaps by range: consecutive expected dates with the same status.
#[must_use]
pub(super) fn gaps(dates: &[DateVerdict]) -> Vec<Gap> {
    let mut gaps: Vec<Gap> = Vec::new();
    let mut previous: Option<&DateVerdict> = None;
    for verdict in dates.iter().filter(|verdict| verdict.status != DateStatus::NotExpected) {
        let continues = previous.is_some_and(|before| {
            before.status == verdict.status && before.in_window == verdict.in_window
        }) && (verdict.in_window || is_next_day(previous, verdict));
        match gaps.last_mut() {
            Some(gap) if continues && verdict.status.is_gap() => {
                gap.to = verdict.date;
                gap.dates += 1;
            }
            _ if verdict.status.is_gap() => gaps.push(Gap {
                from: verdict.date,
                to: verdict.date,
                status: verdict.status,
                dates: 1,
            }),
            _ => {}
        }
        previous = Some(verdict);
    }
    gaps
}

fn is_next_day(previous: Option<&DateVerdict>, verdict: &DateVerdict) -> bool {
    previous.and_then(|before| before.date.succ_opt()) == Some(verdict.date)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::{DateStatus as S, TableList};
    use crate::observe::DateDumps;

    fn day(number: u64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 6, 1).unwrap() + chrono::Days::new(number)
    }

    fn verdict(number: u64, status: DateStatus, in_window: bool) -> DateVerdict {
        DateVerdict {
            date: day(number),
            in_window,
            status,
            reason: "".into(),
            next: "".into(),
            until: None,
            flags: BTreeSet::new(),
            dumps: DateDumps::default(),
            tables_present: 0,
            tables_expected: 0,
            tables_missing: TableList::default(),
            tables_having: TableList::default(),
            takes_up: false,
        }
    }

    fn window(statuses: &[DateStatus]) -> Vec<DateVerdict> {
        (0..).zip(statuses).map(|(number, status)| verdict(number, *status, true)).collect()
    }

    #[test]
    fn the_watermark_passes_over_what_is_whole_waived_or_not_expected_and_stops_at_a_gap() {
        let dates = window(&[S::Available, S::Waived, S::NotExpected, S::Available, S::NoDump]);
        assert_eq!(whole_through(&dates), Some(day(3)));
        assert_eq!(whole_through(&dates[2..3]), None, "nothing of it was expected");
        assert_eq!(whole_through(&dates[4..]), None);
        let named = verdict(0, S::Available, false);
        assert_eq!(whole_through(&[named]), None, "the window alone counts");
    }

    #[test]
    fn what_lies_behind_is_expected_due_and_after_the_watermark() {
        let dates = window(&[S::Available, S::Missing, S::NotExpected, S::Available, S::NotDue]);
        assert_eq!(dates_behind(&dates, Some(day(0))), 2);
        assert_eq!(dates_behind(&dates, None), 3);
        assert_eq!(dates_behind(&[verdict(0, S::Missing, false)], None), 0);
    }

    #[test]
    fn gaps_are_ranges_of_one_status_over_days_that_nobody_expects() {
        let dates = window(&[
            S::Missing,
            S::NotExpected,
            S::Missing,
            S::NoDump,
            S::Available,
            S::NoDump,
            S::NoDump,
        ]);
        let ranges: Vec<_> =
            gaps(&dates).iter().map(|gap| (gap.from, gap.to, gap.status, gap.dates)).collect();
        let expected = [
            (day(0), day(2), S::Missing, 2),
            (day(3), day(3), S::NoDump, 1),
            (day(5), day(6), S::NoDump, 2),
        ];
        assert_eq!(ranges, expected);
    }

    #[test]
    fn dates_that_were_named_are_one_range_only_when_they_follow_each_other() {
        let named = |number| verdict(number, S::Missing, false);
        let dates = [named(0), named(1), named(3), verdict(4, S::Missing, true)];
        let ranges: Vec<_> = gaps(&dates).iter().map(|gap| (gap.from, gap.to)).collect();
        assert_eq!(ranges, [(day(0), day(1)), (day(3), day(3)), (day(4), day(4))]);
    }
}
