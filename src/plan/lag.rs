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
