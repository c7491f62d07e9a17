//! The census: what every date is, why, and what would help.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Duration, NaiveDate, Utc};

use super::calendar::{self, Expectation};
use super::expected::{DateCoverage, Expectations};
use super::{Night, lag};
use crate::config::{self, DatasetSettings, Mode};
use crate::domain::{
    DateSpan, DateStatus, Dump, DumpFault, Export, ExportStatus, Flag, RunOutcome, Stage, TableList,
};
use crate::ledger::state::DatasetView;
use crate::ledger::{Repeat, Run, State};
use crate::observe::{Scan, Watch};

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
    pub ignored_tables: TableList,
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
}

/// The dumps of one date, as the scan's: most dates are whole, and nobody asks for theirs.
#[derive(Clone, Debug, Default)]
pub struct DateDumps {
    all: Arc<BTreeMap<NaiveDate, Arc<Vec<Dump>>>>,
    date: NaiveDate,
}

impl std::ops::Deref for DateDumps {
    type Target = [Dump];

    fn deref(&self) -> &[Dump] {
        self.all.get(&self.date).map_or(&[], |dumps| dumps.as_slice())
    }
}

impl PartialEq for DateDumps {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl From<(NaiveDate, Vec<Dump>)> for DateDumps {
    fn from((date, dumps): (NaiveDate, Vec<Dump>)) -> Self {
        Self { all: Arc::new([(date, Arc::new(dumps))].into()), date }
    }
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
        ignored_tables: scan.coverage.ignored.iter().cloned().collect(),
        dates,
    }
}

fn last_with(dates: &[DateVerdict], is: impl Fn(DateStatus) -> bool) -> Option<NaiveDate> {
    dates.iter().rev().find(|verdict| is(verdict.status)).map(|verdict| verdict.date)
}

/// All that a verdict depends on.
struct Judge<'a> {
    ledger: DatasetView<'a>,
    scan: &'a Scan,
    watch: &'a Watch,
    dataset: &'a DatasetSettings,
    expectations: Expectations,
    /// What is said of a whole date, by its number of tables: of most dates it is the same.
    whole: BTreeMap<u32, Finding>,
    once_available: Vec<DateSpan>,
    running: Option<&'a Run>,
    /// The night, and the dates that are being asked for by name right now.
    night: &'a Night,
    now: DateTime<Utc>,
    today: NaiveDate,
}

/// A status with its words.
#[derive(Clone)]
struct Finding {
    status: DateStatus,
    reason: Arc<str>,
    next: Arc<str>,
    until: Option<DateTime<Utc>>,
}

impl Finding {
    fn new(status: DateStatus, reason: impl Into<Arc<str>>, next: impl Into<Arc<str>>) -> Self {
        Self { status, reason: reason.into(), next: next.into(), until: None }
    }

    fn until(self, until: DateTime<Utc>) -> Self {
        Self { until: Some(until), ..self }
    }
}

impl<'a> Judge<'a> {
    fn new(
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

    fn verdict(&self, date: NaiveDate, in_window: bool) -> DateVerdict {
        let tables = self.expectations.on(&self.scan.coverage, date);
        let dumps = DateDumps { all: Arc::clone(&self.scan.landing.dumps), date };
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
        }
    }

    /// First the data speaks; `None` when the date is missing and its dump is there.
    fn what_the_data_says(
        &self,
        date: NaiveDate,
        tables: &DateCoverage,
        dumps: &DateDumps,
    ) -> Option<Finding> {
        if tables.is_whole() {
            let known = self.whole.get(&tables.expected).cloned();
            return Some(known.unwrap_or_else(|| whole(tables.expected)));
        }
        self.healed_by_us(date, tables)
            .or_else(|| self.waived(date, dumps))
            .or_else(|| self.not_expected(date, tables, dumps))
            .or_else(|| self.not_due(date, dumps))
            .or_else(|| self.running(date))
            .or_else(|| half_there(date, tables))
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
        let spelled = self.dataset.load.date_format.render(date);
        let is_live_date = self.now.date_naive() == date;
        let task = self.watch.tasks.known()?.iter().find(|task| {
            task.is_alive()
                && task.is_described()
                && match &task.date_override {
                    Some(text) => *text == spelled,
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

    /// Then what may be done about a missing date, in the order of [`DateStatus`].
    fn what_may_be_done(&self, date: NaiveDate, dumps: &DateDumps) -> Finding {
        self.not_allowed(date)
            .or_else(|| self.too_young(date))
            .or_else(|| self.quarantined(date))
            .or_else(|| self.bad_dump(date))
            .or_else(|| self.backing_off(date))
            .unwrap_or_else(|| {
                let key = dumps.first().map_or("", |dump| dump.key.as_str());
                Finding::new(
                    DateStatus::Missing,
                    format!("no table has it, and its dump {key} is there"),
                    "it is queued",
                )
            })
    }

    fn not_allowed(&self, date: NaiveDate) -> Option<Finding> {
        let backfill = &self.dataset.backfill;
        if let Some((name, entry)) = config::entry_for(&backfill.deny, date, self.today) {
            let reason = format!("deny.{name}: {}", entry.reason);
            return Some(Finding::new(
                DateStatus::NotAllowed,
                reason,
                "nothing while it is denied",
            ));
        }
        let asked = self.is_asked(date);
        let allowed = config::entry_for(&backfill.allow, date, self.today).is_some();
        (self.dataset.mode == Mode::Allowlist && !asked && !allowed).then(|| {
            Finding::new(
                DateStatus::NotAllowed,
                "mode is allowlist, and no allow entry names it",
                format!("add it to backfill.allow, or run `gapmend heal --date {date}`"),
            )
        })
    }

    fn too_young(&self, date: NaiveDate) -> Option<Finding> {
        let age_days = i64::from(self.dataset.window.min_age_days);
        let healable = date + Duration::days(age_days);
        (self.today < healable).then(|| {
            let reason = format!(
                "younger than {age_days} days: the nightly may still write it (healable from {healable})"
            );
            let next = format!("it is queued on {healable}");
            let midnight = chrono::NaiveTime::MIN;
            let from = calendar::local_instant(self.dataset.timezone, healable, midnight);
            Finding::new(DateStatus::TooYoung, reason, next).until(from)
        })
    }

    fn quarantined(&self, date: NaiveDate) -> Option<Finding> {
        let quarantined = |reason: String| {
            let person = format!(
                "read its stages and its log's end (`gapmend history --date {date}`), then `gapmend retry {date}`"
            );
            Some(Finding::new(DateStatus::Quarantined, reason, person))
        };
        let failures = self.ledger.counted_failures(date);
        let unsafe_run = failures.iter().rev().find_map(|run| {
            run.end.as_ref().filter(|end| end.repeat == Repeat::Unsafe).map(|end| (run, end))
        });
        if let Some((run, end)) = unsafe_run {
            return quarantined(format!(
                "run {} cannot be repeated safely: {}",
                run.attempt, end.detail
            ));
        }
        let last = failures.last().and_then(|run| run.end.as_ref()).map(|end| end.detail.as_str());
        if let Some(reason) = self.export_spent(date) {
            let why = last.map_or_else(String::new, |last| format!("; the last attempt: {last}"));
            return quarantined(reason + &why);
        }
        let most = self.dataset.backfill.max_attempts;
        let spent = failures.len() >= usize::try_from(most).unwrap_or(usize::MAX);
        let last = last.unwrap_or("unknown");
        spent.then(|| quarantined(format!("{most} attempts failed; the last: {last}"))).flatten()
    }

    /// An operator cancelled the date's last run tonight: it waits for the next slot, unless
    /// somebody asks for it again.
    fn cancelled(&self, date: NaiveDate) -> Option<Finding> {
        let last = self.ledger.runs_of(date).last()?;
        let end = last.end.as_ref()?;
        let by_operator = end.outcome == RunOutcome::Cancelled && end.repeat == Repeat::Unsafe;
        let tonight = end.at >= self.night.began_at;
        let forgiven = self.ledger.forgiven_at(date).is_some_and(|at| at > last.started_at);
        (by_operator && tonight && !forgiven && !self.is_asked(date)).then(|| {
            let until = self.night.ends_at;
            let reason = format!("run {} was cancelled: {}", last.attempt, end.detail);
            let next = format!("it waits for the next slot, or `gapmend heal --date {date}`");
            Finding::new(DateStatus::BackingOff, reason, next).until(until)
        })
    }

    fn is_asked(&self, date: NaiveDate) -> bool {
        self.ledger.asked_for(date).is_some()
            || self.night.only.as_ref().is_some_and(|only| only.contains(&date))
    }

    /// A date's export id can be used once (H21): one that did not end well is for a person.
    fn export_spent(&self, date: NaiveDate) -> Option<String> {
        let export = self.scan.exports.get(&date)?;
        let forgiven = self.ledger.forgiven_at(date);
        let taken_up = self
            .ledger
            .runs_of(date)
            .filter(|run| forgiven.is_none_or(|at| run.started_at > at))
            .any(|run| run.stage >= Stage::Publish);
        spent_reason(export, taken_up)
    }

    fn bad_dump(&self, date: NaiveDate) -> Option<Finding> {
        let fault = self.scan.landing.faults.get(&date)?;
        let next = match fault {
            DumpFault::Archived(_) => "restore the object, then it is queued".to_owned(),
            DumpFault::OtherName { .. } => {
                "set load.other_name, or upload it under that name".to_owned()
            }
            DumpFault::TooSmall { .. }
            | DumpFault::OutsideBand { .. }
            | DumpFault::BrokenZip(_)
            | DumpFault::NotOneSql(_)
            | DumpFault::Bomb { .. }
            | DumpFault::SameAsAnother { .. } => "ask the supplier for a good dump".to_owned(),
        };
        Some(Finding::new(DateStatus::BadDump, fault.to_string(), next))
    }

    fn backing_off(&self, date: NaiveDate) -> Option<Finding> {
        if let Some(found) = self.cancelled(date) {
            return Some(found);
        }
        let failures = self.ledger.counted_failures(date);
        let last = failures.last()?.end.as_ref()?;
        let until = last.at + backoff(self.dataset.backfill.backoff, failures.len());
        let reason = format!("attempt {} failed: {}", failures.len(), last.detail);
        let next = format!("it is tried again after {}", until.format("%Y-%m-%d %H:%M:%S UTC"));
        (self.now < until).then(|| Finding::new(DateStatus::BackingOff, reason, next).until(until))
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

/// Why an export that exists under a date's id makes the date unsafe to run, if it does.
pub(super) fn spent_reason(export: &Export, taken_up_before: bool) -> Option<String> {
    let id = &export.id;
    match &export.status {
        ExportStatus::Ended(status) => Some(format!(
            "export {id} is spent: it ended as {status}{}, and its id can be used only once",
            export.failure.as_ref().map(|why| format!(" ({why})")).unwrap_or_default()
        )),
        ExportStatus::Complete => match &export.warning {
            Some(warning) => {
                Some(format!("export {id} is spent: it completed with a warning: {warning}"))
            }
            None if taken_up_before => {
                Some(format!("export {id} is complete, and was published once without success"))
            }
            None => None,
        },
        ExportStatus::Starting | ExportStatus::InProgress => None,
    }
}

/// The wait after the n-th failure: it doubles, up to a day.
fn backoff(first: std::time::Duration, failures: usize) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX).min(20);
    let wait = first.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_BACKOFF);
    Duration::from_std(wait).unwrap_or(Duration::MAX)
}

/// A date that failed is tried again at least once a day.
const LONGEST_BACKOFF: std::time::Duration = std::time::Duration::from_hours(24);

fn minute(at: DateTime<Utc>) -> impl std::fmt::Display {
    at.format("%Y-%m-%d %H:%M UTC")
}
