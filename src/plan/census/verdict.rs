//! The verdict on one date: first the data speaks, then what may be done about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};

use super::DateVerdict;
use crate::config::{self, DatasetSettings};
use crate::domain::{DateSpan, DateStatus, Flag, RunOutcome, TableList};
use crate::ledger::state::DatasetView;
use crate::ledger::{Run, State};
use crate::observe::{DateDumps, Scan, Watch};
use crate::plan::Night;
use crate::plan::calendar::{self, Expectation};
use crate::plan::expected::{DateCoverage, Expectations, SpelledAs};

/// All that a verdict depends on.
pub(super) struct Judge<'a> {
    pub(super) ledger: DatasetView<'a>,
    pub(super) scan: &'a Scan,
    watch: &'a Watch,
    pub(super) dataset: &'a DatasetSettings,
    pub(super) expectations: Expectations,
    /// What is said of a whole date, by its number of tables: of most dates it is the same.
    whole: BTreeMap<u32, Finding>,
    once_available: Vec<DateSpan>,
    running: Option<&'a Run>,
    /// The night, and the dates that are being asked for by name right now.
    pub(super) night: &'a Night,
    pub(super) now: DateTime<Utc>,
    pub(super) today: NaiveDate,
}

/// A status with its words.
#[derive(Clone)]
pub(super) struct Finding {
    status: DateStatus,
    reason: Arc<str>,
    next: Arc<str>,
    until: Option<DateTime<Utc>>,
}

impl Finding {
    pub(super) fn new(
        status: DateStatus,
        reason: impl Into<Arc<str>>,
        next: impl Into<Arc<str>>,
    ) -> Self {
        Self { status, reason: reason.into(), next: next.into(), until: None }
    }

    /// The same, with what was found under another spelling than the configured one.
    fn spelled(self, tables: &DateCoverage) -> Self {
        let Some(spelled) = &tables.spelled else { return self };
        let SpelledAs { table, found, is_certain, more } = spelled;
        let means = if *is_certain { "counts as this date" } else { "may be this date" };
        let more = if *more > 0 { format!(" (and {more} more tables)") } else { String::new() };
        let reason = format!("{}; `{found}` in {table}{more} {means}", self.reason);
        let is_open = !is_certain && self.status != DateStatus::Available;
        let status = if is_open { DateStatus::Partial } else { self.status };
        Self { status, reason: reason.into(), ..self }
    }

    /// Its reason, and what is next.
    pub(super) fn words(&self) -> (&str, &str) {
        (&self.reason, &self.next)
    }

    pub(super) fn until(self, until: DateTime<Utc>) -> Self {
        Self { until: Some(until), ..self }
    }
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        ledger: &'a State,
        scan: &'a Scan,
        watch: &'a Watch,
        dataset: &'a DatasetSettings,
        night: &'a Night,
        now: DateTime<Utc>,
    ) -> Self {
        let view = ledger.dataset(&dataset.name);
        let once_available = view
            .get()
            .and_then(|state| state.last_scan.as_ref())
            .map(|(_, record)| {
                record.available.iter().filter_map(|span| span.parse().ok()).collect()
            })
            .unwrap_or_default();
        let expectations = Expectations::of(&scan.coverage);
        Self {
            ledger: view,
            scan,
            watch,
            dataset,
            whole: expectations
                .counts()
                .into_iter()
                .map(|tables| (tables, whole(tables)))
                .collect(),
            expectations,
            once_available,
            night,
            running: ledger.active_run().filter(|run| run.dataset == dataset.name),
            now,
            today: calendar::local(dataset.timezone, now).0,
        }
    }

    pub(super) fn verdict(&self, date: NaiveDate, in_window: bool) -> DateVerdict {
        let tables = self.expectations.on(&self.scan.coverage, date);
        let dumps = self.scan.landing.dumps_of(date);
        let found = self
            .what_the_data_says(date, &tables, &dumps)
            .unwrap_or_else(|| self.what_may_be_done(date, &dumps));
        DateVerdict {
            date,
            in_window,
            flags: self.flags(date, found.status, &tables, &dumps),
            status: found.status,
            reason: found.reason,
            next: found.next,
            until: found.until,
            dumps,
            tables_present: tables.present,
            tables_expected: tables.expected,
            tables_missing: tables.missing,
            tables_having: tables.having,
            takes_up: found.status == DateStatus::Unpublished && self.is_taken_up_from_copy(date),
        }
    }

    /// First the data speaks; `None` when the date is missing and its dump is there.
    fn what_the_data_says(
        &self,
        date: NaiveDate,
        tables: &DateCoverage,
        dumps: &DateDumps,
    ) -> Option<Finding> {
        if let Some(found) = self.published_incompletely(date, tables) {
            return Some(found);
        }
        if tables.is_whole() {
            let known = self.whole.get(&tables.expected).cloned();
            let found = known.unwrap_or_else(|| whole(tables.expected));
            return Some(found.spelled(tables));
        }
        self.healed_by_us(date, tables)
            .or_else(|| self.waived(date, dumps))
            .or_else(|| self.not_expected(date, tables, dumps))
            .or_else(|| self.not_due(date, dumps))
            .or_else(|| self.running(date))
            .or_else(|| half_there(date, tables).map(|found| found.spelled(tables)))
            .or_else(|| self.unpublished(date))
            .or_else(|| self.no_dump(date, dumps))
    }

    /// After a run of ours, the tables expected are those that its proof saw (H28): an old dump
    /// may lack tables that began since.
    fn healed_by_us(&self, date: NaiveDate, tables: &DateCoverage) -> Option<Finding> {
        let run = self.ledger.runs_of(date).last()?;
        let end = run.end.as_ref().filter(|end| end.outcome == RunOutcome::Succeeded)?;
        let proven = end.tables_present.filter(|proven| *proven > 0)?;
        (tables.stored >= proven && tables.catalogued >= proven).then(|| {
            let reason = format!("all {proven} tables that its dump held have it");
            Finding::new(DateStatus::Available, reason, "nothing")
        })
    }

    fn waived(&self, date: NaiveDate, dumps: &DateDumps) -> Option<Finding> {
        let (name, entry) = config::entry_for(&self.dataset.backfill.waive, date, self.today)?;
        if !dumps.is_empty() {
            return None; // the dump appeared: the waiver voids itself
        }
        let owner = entry.owner.as_deref().unwrap_or("nobody named");
        let reason = format!("waive.{name}: {} ({owner})", entry.reason);
        Some(Finding::new(DateStatus::Waived, reason, "nothing, unless the dump appears"))
    }

    fn not_expected(
        &self,
        date: NaiveDate,
        tables: &DateCoverage,
        dumps: &DateDumps,
    ) -> Option<Finding> {
        if !dumps.is_empty() || !tables.is_bare() {
            return None; // a dump on an unexpected day makes the day ordinary
        }
        let reason = match calendar::expectation(&self.dataset.calendar, date) {
            Expectation::Expected => return None,
            Expectation::Excepted { name, reason } => format!("calendar.except.{name}: {reason}"),
            Expectation::NotThatWeekday => {
                format!("the calendar does not expect a {}", date.format("%A"))
            }
        };
        Some(Finding::new(DateStatus::NotExpected, reason, "nothing"))
    }

    fn not_due(&self, date: NaiveDate, dumps: &DateDumps) -> Option<Finding> {
        if dumps.is_empty() {
            let due = calendar::arrives_by(self.dataset, date);
            return (self.now < due).then(|| {
                let reason = format!("its dump is due by {}", minute(due));
                Finding::new(DateStatus::NotDue, reason, "wait for the dump").until(due)
            });
        }
        let due = calendar::ready_by(self.dataset, date);
        (self.now < due).then(|| {
            let reason = format!("its dump is there; the live run has until {}", minute(due));
            Finding::new(DateStatus::NotDue, reason, "wait for the live run").until(due)
        })
    }

    fn running(&self, date: NaiveDate) -> Option<Finding> {
        if let Some(run) = self.running.filter(|run| run.date == date) {
            let reason = format!("run {} is in stage {}", run.id, run.stage.label());
            return Some(Finding::new(DateStatus::Running, reason, "wait for the run"));
        }
        let is_live_date = self.now.date_naive() == date;
        let task = self.watch.tasks.known()?.iter().find(|task| {
            task.is_alive()
                && task.is_described()
                && match &task.date_override {
                    Some(text) => *text == self.dataset.load.date_format.render(date),
                    None => is_live_date,
                }
        })?;
        let who = task.started_by.as_deref().unwrap_or("somebody");
        let reason = format!("task {} is loading it, started by {who}", task.arn);
        Some(Finding::new(DateStatus::Running, reason, "wait for that run"))
    }

    fn no_dump(&self, date: NaiveDate, dumps: &DateDumps) -> Option<Finding> {
        if !dumps.is_empty() {
            return None;
        }
        let landing = &self.dataset.landing;
        let name = self.dataset.load.dump_key.render(date);
        let reason = format!("s3://{}/{} has no dump of it", landing.bucket, landing.prefix);
        let next = format!("ask the supplier for {name}");
        Some(Finding::new(DateStatus::NoDump, reason, next))
    }

    /// Two workflow runs wrote the date for its last run of ours, and nothing was written since
    /// (H10).
    fn ran_twice(&self, date: NaiveDate) -> bool {
        let Some(run) = self.ledger.runs_of(date).last() else { return false };
        let Some(end) = &run.end else { return false };
        let written = self.scan.coverage.written_at.get(&date);
        run.workflow_runs_beside().next().is_some() && written.is_none_or(|at| *at <= end.at)
    }

    fn flags(
        &self,
        date: NaiveDate,
        status: DateStatus,
        tables: &DateCoverage,
        dumps: &DateDumps,
    ) -> BTreeSet<Flag> {
        let mut flags = BTreeSet::new();
        let is_gone = status.is_gap() && status != DateStatus::Running;
        if is_gone && self.once_available.iter().any(|span| span.contains(date)) {
            flags.insert(Flag::Regressed);
        }
        if tables.written_twice || self.ran_twice(date) {
            flags.insert(Flag::Duplicated);
        }
        let is_being_written = matches!(status, DateStatus::Running | DateStatus::NotDue);
        if self.expectations.is_odd(date) && !is_being_written {
            flags.insert(Flag::OddVolume);
        }
        let written = self.scan.coverage.written_at.get(&date);
        let redelivered = |written: &DateTime<Utc>| {
            dumps.first().is_some_and(|dump| dump.last_modified > *written)
        };
        if written.is_some_and(redelivered) {
            flags.insert(Flag::Redelivered);
        }
        flags
    }
}

fn whole(tables: u32) -> Finding {
    let reason = format!("all {tables} expected tables have it");
    Finding::new(DateStatus::Available, reason, "nothing")
}

/// Some tables have the date, or have it by half. Never re-run unattended (H8).
fn half_there(date: NaiveDate, tables: &DateCoverage) -> Option<Finding> {
    if tables.is_bare() {
        return None;
    }
    let half = tables.empty.len() + tables.unregistered.len();
    let person =
        format!("see `gapmend explain {date}`: purge or repair by hand, it is never re-run");
    if tables.missing.len() > half || tables.missing.is_empty() {
        let reason = format!(
            "{} of {} expected tables have it; not in {}",
            tables.present,
            tables.expected,
            few_names(&tables.missing)
        );
        return Some(Finding::new(DateStatus::Partial, reason, person));
    }
    if tables.empty.is_empty() {
        let reason = format!(
            "{} tables have objects that the catalog does not know, e.g. {}",
            tables.unregistered.len(),
            first_name(&tables.unregistered)
        );
        return Some(Finding::new(DateStatus::Unregistered, reason, person));
    }
    let reason = format!(
        "{} tables have it in the catalog but no object with bytes, e.g. {}",
        tables.empty.len(),
        first_name(&tables.empty)
    );
    Some(Finding::new(DateStatus::Empty, reason, person))
}

/// A few tables by name, and how many more.
fn few_names(tables: &TableList) -> String {
    let names: Vec<&str> = tables.iter().take(3).map(|id| id.table.as_str()).collect();
    let more = tables.len() - names.len();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", names.join(", "))
}

fn first_name(tables: &TableList) -> String {
    tables.iter().next().map_or_else(String::new, ToString::to_string)
}

fn minute(at: DateTime<Utc>) -> impl fmt::Display {
    at.format("%Y-%m-%d %H:%M UTC")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::TableId;

    #[test]
    fn of_many_tables_three_are_named() {
        let tables = |number: usize| -> TableList {
            let id = |table: usize| TableId { database: "raw".into(), table: format!("t{table}") };
            (0..number).map(id).collect()
        };
        assert_eq!(few_names(&tables(3)), "t0, t1, t2");
        assert_eq!(few_names(&tables(5)), "t0, t1, t2 and 2 more");
        assert_eq!(
            (first_name(&tables(2)), first_name(&tables(0))),
            ("raw.t0".into(), String::new())
        );
    }
}
