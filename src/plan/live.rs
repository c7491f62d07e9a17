//! The live ingestion, as people must hear of it: the newest date, the dump that is awaited,
//! and the one that landed and fired nothing.
//!
//! Nothing here decides what gapmend does; alerts and pages are made of it.

use chrono::{DateTime, Duration, NaiveDate, NaiveTime, Utc};

use super::{Census, calendar, gates, sweep};
use crate::config::DatasetSettings;
use crate::domain::{RuleState, Seen};
use crate::ledger::State;
use crate::observe::{LandingView, Watch};

/// The newest date that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newest {
    /// The date.
    pub date: NaiveDate,
    /// When its data should be whole.
    pub ready_by: DateTime<Utc>,
    /// Whether its dump is there.
    pub arrived: bool,
    /// Whether its data is there, or was waived.
    pub whole: bool,
}

/// A date that is late is looked at again so soon after it was due, and ever more rarely.
const LATE_LOOK_MINUTES: i64 = 30;

impl Newest {
    /// Whether a scan of that time is too old to say that the date is late: its time is over,
    /// and its dump or its live run may have come through since.
    #[must_use]
    pub fn is_looked_at_again(&self, scanned_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        let late_at_scan = scanned_at - self.ready_by;
        let rest = late_at_scan.max(Duration::minutes(LATE_LOOK_MINUTES));
        let is_late = !self.whole && now >= self.ready_by;
        is_late && (late_at_scan < Duration::zero() || now - scanned_at >= rest)
    }
}

/// The newest date that is due, and what became of it.
#[must_use]
pub fn newest(census: &Census, dataset: &DatasetSettings) -> Option<Newest> {
    let verdict = census.verdict(census.latest_due?)?;
    Some(Newest {
        date: verdict.date,
        ready_by: calendar::ready_by(dataset, verdict.date),
        arrived: !verdict.dumps.is_empty(),
        whole: verdict.status.is_whole(),
    })
}

/// When the live dump that is awaited is expected: the next one, or, while the rule is disabled,
/// the one whose time has come and which was not seen to land.
#[must_use]
pub fn awaited(
    landing: &LandingView,
    watch: Option<&Watch>,
    dataset: &DatasetSettings,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let landed = |date: NaiveDate| {
        let seen = watch.and_then(|watch| watch.trigger.landed.as_ref()).and_then(Seen::known);
        seen.is_some_and(|dumps| dumps.iter().any(|(day, _)| *day == date))
    };
    let overdue = gates::overdue_arrival(landing, dataset, now);
    overdue
        .filter(|(date, _)| watch.is_some_and(is_disabled) && !landed(*date))
        .map(|(_, at)| at)
        .or_else(|| gates::next_arrival(landing, dataset, now))
}

/// Until when the live run of a dump that fired nothing can still be started: its task reads
/// the day from its own clock, in UTC. `None` when every dump of today had its run, or none came.
#[must_use]
pub fn rescue_until(
    ledger: &State,
    watch: &Watch,
    dataset: &DatasetSettings,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let today = now.date_naive();
    let swept = ledger.undriven(&dataset.name).any(|dump| dump.date == today);
    (swept || stranded(watch, dataset, today))
        .then(|| today.and_time(NaiveTime::MIN).and_utc() + Duration::days(1))
}

/// Whether today's dump landed while the rule is disabled, and no live run began since.
fn stranded(watch: &Watch, dataset: &DatasetSettings, today: NaiveDate) -> bool {
    let view = &watch.trigger;
    let (Some(Seen::Known(landed)), Some(Seen::Known(tasks))) = (&view.landed, &view.live_tasks)
    else {
        return false;
    };
    is_disabled(watch)
        && landed.iter().any(|(date, dump)| {
            let live = *date == today && dump.last_modified.date_naive() == today;
            live && !sweep::has_run_since(dump.last_modified, tasks, watch, dataset)
        })
}

fn is_disabled(watch: &Watch) -> bool {
    let rule = watch.rule.as_ref().and_then(Seen::known);
    rule.is_some_and(|rule| rule.state == RuleState::Disabled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_date_is_looked_at_when_it_is_due_and_then_ever_more_rarely() {
        let at =
            |text: &str| -> DateTime<Utc> { format!("2026-03-15T{text}:00Z").parse().unwrap() };
        let late = Newest {
            date: "2026-03-14".parse().unwrap(),
            ready_by: at("06:00"),
            arrived: true,
            whole: false,
        };
        let cases = [
            ("04:00", "05:59", false),
            ("04:00", "06:00", true),
            ("05:50", "06:00", true),
            ("06:00", "06:10", false),
            ("06:01", "06:29", false),
            ("06:01", "06:31", true),
            ("08:00", "09:59", false),
            ("08:00", "10:00", true),
        ];
        for (scanned, now, again) in cases {
            assert_eq!(late.is_looked_at_again(at(scanned), at(now)), again, "{scanned} {now}");
        }
        let whole = Newest { whole: true, ..late };
        assert!(!whole.is_looked_at_again(at("04:00"), at("09:00")));
    }
}
