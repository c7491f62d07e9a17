//! `[schedule]`: a slot is its local date, so there must be at most one on each.

use chrono::{DateTime, Days, NaiveDate, Utc};
use chrono_tz::Tz;
use croner::Cron;

use crate::config::key_path::KeyPath;
use crate::config::raw::ScanTimes;
use crate::config::report::Report;
use crate::config::settings::ScanSchedule;
use crate::config::words;
use crate::config::written::FromText as _;

/// Two years and more: every clock change and a leap day's neighbourhood are in it.
const HORIZON_DAYS: u64 = 800;

pub(super) fn schedule(
    raw: ScanTimes,
    now: DateTime<Utc>,
    report: &mut Report,
) -> Option<ScanSchedule> {
    let at = KeyPath::of(["schedule"]);
    let scan = report.need(raw.scan, &at, "scan", words::Schedule::EXPECTED);
    let timezone = report.need(raw.timezone, &at, "timezone", Tz::EXPECTED);
    let scan = scan?.0;
    // By the wall clock: what a zone does with its clock changes nothing.
    if let Err(unfit) = one_slot_a_date(&scan.cron, now) {
        let message = format!("`{}` {unfit}", scan.expression);
        let help = "a scan is nightly work: write one fixed time, such as \"0 4 * * *\"";
        report.error_with_help(&at.key("scan"), message, help);
    }
    Some(ScanSchedule { expression: scan.expression, cron: scan.cron, timezone: timezone?.0 })
}

/// Why an expression does not suit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    #[error("never fires")]
    Never,
    #[error("fires more than once on {0}, and a slot is its local date")]
    Twice(NaiveDate),
}

/// Whether the expression fires, and at most once on each local date of the horizon.
fn one_slot_a_date(cron: &Cron, now: DateTime<Utc>) -> Result<(), Unfit> {
    let end = now.checked_add_days(Days::new(HORIZON_DAYS)).unwrap_or(DateTime::<Utc>::MAX_UTC);
    let mut at = cron.find_next_occurrence(&now, true).map_err(|_| Unfit::Never)?;
    while at < end {
        let Ok(next) = cron.find_next_occurrence(&at, false) else { break };
        if next.date_naive() == at.date_naive() {
            return Err(Unfit::Twice(next.date_naive()));
        }
        at = next;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(expression: &str) -> Result<(), Unfit> {
        let cron = words::Schedule::from_text(expression).map_err(|_| Unfit::Never)?.cron;
        one_slot_a_date(&cron, "2026-11-22T08:00:00Z".parse().unwrap())
    }

    #[test]
    fn fixed_times_suit_also_through_the_clock_changes() {
        for expression in
            ["0 4 * * *", "30 1 * * *", "15 30 1 * * *", "0 0 * * *", "0 2 * * MON-FRI", "@daily"]
        {
            assert_eq!(judge(expression), Ok(()), "{expression}");
        }
    }

    #[test]
    fn several_slots_on_one_date_do_not_suit() {
        for expression in ["* * * * *", "0 4,16 * * *", "*/10 * * * * *", "@hourly"] {
            assert!(matches!(judge(expression), Err(Unfit::Twice(_))), "{expression}");
        }
    }

    #[test]
    fn an_impossible_date_never_fires() {
        assert_eq!(judge("0 2 30 2 *"), Err(Unfit::Never));
    }
}
