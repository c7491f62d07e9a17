//! The census: what every date is, why, and what would help.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};

use crate::domain::{DateStatus, Dump, Flag, TableId};

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
    /// Matching tables without the partition key.
    pub ignored_tables: Vec<TableId>,
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
    pub reason: String,
    /// What happens next, or what a person could do.
    pub next: String,
    /// When that is, if it is known.
    pub until: Option<DateTime<Utc>>,
    /// Remarks.
    pub flags: BTreeSet<Flag>,
    /// Its dumps, the one that the task reads first.
    pub dumps: Vec<Dump>,
    /// Tables that have it.
    pub tables_present: u32,
    /// Tables that should have it.
    pub tables_expected: u32,
    /// Tables that should, and do not.
    pub tables_missing: Vec<TableId>,
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
