//! The census: what every date is, why, and what would help.

mod healable;
mod unpublished;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};

pub(super) use self::healable::spent_reason;
use self::verdict::Judge;
use super::{Night, lag};
use crate::config::DatasetSettings;
use crate::domain::{DateStatus, Flag, IgnoredTable, TableList, VolumeBook};
use crate::ledger::State;
use crate::observe::{DateDumps, Scan, Watch};

/// What every date is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Census {
    /// When the scan that it rests on began.
    pub scanned_at: DateTime<Utc>,
    /// Today in the schedule's zone, then.
    pub today: NaiveDate,
    /// Oldest first; the window, and dates that were named.
    pub dates: Vec<DateVerdict>,
    /// Gaps by range, oldest first.
    pub gaps: Vec<Gap>,
    /// The watermark.
    pub whole_through: Option<NaiveDate>,
    /// The newest available date.
    pub latest_available: Option<NaiveDate>,
    /// The oldest gap.
    pub oldest_gap: Option<NaiveDate>,
    /// The newest expected date that is due.
    pub latest_due: Option<NaiveDate>,
    /// Expected and due dates after the watermark.
    pub dates_behind: u32,
    /// Tables that are expected today.
    pub tables_expected: u32,
    /// Keys in the landing bucket that are no dump.
    pub noise: u64,
    /// What concerns all dates at once and hides none, e.g. that no dump may be read.
    pub problem: Option<String>,
    /// Matching tables without the partition key.
    pub ignored_tables: TableList,
    /// How much each table has of each date, when objects are listed.
    pub volumes: VolumeBook,
    /// The same tables that lack the key, each with the reason.
    pub ignored_why: Vec<IgnoredTable>,
}

/// What one date is.
#[derive(Clone, Debug, PartialEq)]
pub struct DateVerdict {
    /// The date.
    pub date: NaiveDate,
    /// Whether it is part of the window (else it was named).
    pub in_window: bool,
    /// What it is.
    pub status: DateStatus,
    /// Why, in words.
    pub reason: Arc<str>,
    /// What happens next, or what a person could do.
    pub next: Arc<str>,
    /// When that is, if it is known.
    pub until: Option<DateTime<Utc>>,
    /// Remarks.
    pub flags: BTreeSet<Flag>,
    /// Its dumps, the one that the task reads first.
    pub dumps: DateDumps,
    /// Tables that have it.
    pub tables_present: u32,
    /// Tables that should have it.
    pub tables_expected: u32,
    /// Tables that should, and do not.
    pub tables_missing: TableList,
    /// Tables, expected or not, that have anything of a date that is not whole: what a person
    /// would purge (H8).
    pub tables_having: TableList,
    /// Whether its files lie in the copy, whole, and are to be published without a load.
    pub takes_up: bool,
}

/// Consecutive expected dates with one status.
#[derive(Clone, Debug, PartialEq)]
pub struct Gap {
    /// The first.
    pub from: NaiveDate,
    /// The last.
    pub to: NaiveDate,
    /// Their status.
    pub status: DateStatus,
    /// How many.
    pub dates: u32,
}

impl Census {
    /// How many dates have each status; every status is there.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<DateStatus, u32> {
        let mut counts: BTreeMap<DateStatus, u32> =
            DateStatus::ALL.iter().map(|status| (*status, 0)).collect();
        for verdict in &self.dates {
            *counts.entry(verdict.status).or_default() += 1;
        }
        counts
    }

    /// The verdict on a date, if it was looked at.
    #[must_use]
    pub fn verdict(&self, date: NaiveDate) -> Option<&DateVerdict> {
        self.dates.iter().find(|verdict| verdict.date == date)
    }
}

/// Takes the census: a verdict on every date that was looked at.
#[must_use]
pub(super) fn census(
    ledger: &State,
    scan: &Scan,
    watch: &Watch,
    dataset: &DatasetSettings,
    night: &Night,
    now: DateTime<Utc>,
) -> Census {
    let judge = Judge::new(ledger, scan, watch, dataset, night, now);
    let window = scan.window.iter().map(|date| (*date, true));
    let named = scan.named.iter().map(|date| (*date, false));
    let mut dates: Vec<DateVerdict> =
        window.chain(named).map(|(date, in_window)| judge.verdict(date, in_window)).collect();
    dates.sort_by_key(|verdict| verdict.date);
    let whole_through = lag::whole_through(&dates);
    Census {
        scanned_at: scan.at,
        today: judge.today,
        gaps: lag::gaps(&dates),
        whole_through,
        latest_available: last_with(&dates, |status| status == DateStatus::Available),
        oldest_gap: dates.iter().find(|verdict| verdict.status.is_gap()).map(|found| found.date),
        latest_due: last_with(&dates, lag::is_due),
        dates_behind: lag::dates_behind(&dates, whole_through),
        tables_expected: judge.expectations.on(&scan.coverage, judge.today).expected,
        noise: scan.landing.noise,
        problem: scan.landing.all_denied.clone(),
        ignored_tables: scan.coverage.ignored.iter().map(|table| table.id.clone()).collect(),
        ignored_why: scan.coverage.ignored.clone(),
        volumes: scan.coverage.volumes.clone(),
        dates,
    }
}

fn last_with(dates: &[DateVerdict], is: impl Fn(DateStatus) -> bool) -> Option<NaiveDate> {
    dates.iter().rev().find(|verdict| is(verdict.status)).map(|verdict| verdict.date)
}
