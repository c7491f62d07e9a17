//! What the dates are: `scan`, `plan`, `explain`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::runs::RunJson;
use super::volumes::{OddTables, VolumeJson};
use super::{maybe_instant, value};
use crate::daemon::Report;
use crate::domain::{DateStatus, Dump, PassOutcome, TableId, TableList};
use crate::expose::advice::{commands, queue_words, repair};
use crate::expose::words::rfc3339;
use crate::plan::{Candidate, Census, DateVerdict, Plan, Rest};

/// `{"datasets": […]}`.
#[derive(Serialize)]
struct Datasets<T> {
    datasets: Vec<T>,
}

#[derive(Serialize)]
struct DatasetJson<'a> {
    dataset: &'a str,
    scanned_at: String,
    outcome: &'static str,
    whole_through: Option<NaiveDate>,
    latest_available: Option<NaiveDate>,
    latest_due: Option<NaiveDate>,
    oldest_gap: Option<NaiveDate>,
    dates_behind: u32,
    tables_expected: u32,
    tables_ignored: Names<'a>,
    keys_ignored: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
    counts: BTreeMap<&'static str, u32>,
    dates: DatesJson<'a>,
    gaps: Vec<GapJson>,
}

/// Ten years of dates, each made when it is written: together they would be the largest thing of
/// a whole scan.
struct DatesJson<'a>(&'a Census);

/// Tables by name, likewise.
struct Names<'a>(&'a TableList);

pub(super) struct Name<'a>(pub(super) &'a TableId);

#[derive(Serialize)]
pub(super) struct GapJson {
    from: NaiveDate,
    to: NaiveDate,
    status: &'static str,
    dates: u32,
}

#[derive(Serialize)]
struct DateJson<'a> {
    date: NaiveDate,
    in_window: bool,
    status: &'static str,
    reason: &'a str,
    next: &'a str,
    until: Option<String>,
    flags: Vec<&'static str>,
    dumps: Vec<DumpJson<'a>>,
    tables_present: u32,
    tables_expected: u32,
    tables_missing: Names<'a>,
    tables_having: Names<'a>,
    bytes: Option<u64>,
    objects: Option<u32>,
    tables_odd: OddTables<'a>,
}

#[derive(Serialize)]
pub(super) struct DumpJson<'a> {
    key: &'a str,
    size: u64,
    etag: &'a str,
    last_modified: String,
}

#[derive(Serialize)]
pub(super) struct CandidateJson<'a> {
    date: NaiveDate,
    attempt: u32,
    dump: &'a str,
    asked_by: &'a str,
    permitted_by: &'a str,
}

#[derive(Serialize)]
pub(super) struct RestJson {
    kind: &'static str,
    reason: String,
    until: Option<String>,
}

#[derive(Serialize)]
struct WaitingJson<'a> {
    date: NaiveDate,
    status: &'static str,
    reason: &'a str,
    until: Option<String>,
}

#[derive(Serialize)]
struct PlanJson<'a> {
    dataset: &'a str,
    queue: Vec<CandidateJson<'a>>,
    waiting: Vec<WaitingJson<'a>>,
    rest: Option<RestJson>,
}

#[derive(Serialize)]
struct ExplainJson<'a> {
    dataset: &'a str,
    #[serde(flatten)]
    date: DateJson<'a>,
    volumes: Vec<VolumeJson<'a>>,
    queue_position: Option<usize>,
    /// Why it is, or is not, in the queue.
    queue: String,
    /// What to go on with, the first one first.
    commands: Vec<String>,
    /// How a person puts half a date right.
    repair: Option<String>,
    enqueued_at: Option<String>,
    runs: Vec<RunJson<'a>>,
}

/// `scan`: every date of every dataset, the gaps by range, and how the look ended.
#[must_use]
pub fn scan_json(datasets: &[(&str, &Census, PassOutcome)]) -> impl Serialize {
    let datasets = datasets
        .iter()
        .map(|(name, census, outcome)| DatasetJson::of(name, census, *outcome))
        .collect();
    Datasets { datasets }
}

/// One dataset of [`scan_json`]: `/api/v1/datasets/{name}/dates`.
#[must_use]
pub fn dataset_json(name: &str, census: &Census, outcome: PassOutcome) -> Value {
    value(DatasetJson::of(name, census, outcome))
}

/// `plan`: the queue, and for every other gap or date to come why it waits.
///
/// `rest` says why nothing is started now; `null` when something is.
#[must_use]
pub fn plan_json(plans: &[(&str, &Plan)]) -> Value {
    let datasets = plans
        .iter()
        .map(|(name, plan)| PlanJson {
            dataset: name,
            queue: plan.queue.iter().map(CandidateJson::of).collect(),
            waiting: waiting(plan).map(WaitingJson::of).collect(),
            rest: plan.step.as_ref().err().map(RestJson::of),
        })
        .collect();
    value(Datasets { datasets })
}

/// `explain`: the evidence for a date, its place in the queue and its attempts.
///
/// `None` when the date was not looked at.
#[must_use]
pub fn explain_json(name: &str, date: NaiveDate, report: &Report) -> Option<Value> {
    let dataset = report.datasets.get(name)?;
    let census = dataset.census.as_ref()?;
    let verdict = census.verdict(date)?;
    let place = dataset.queue.iter().position(|candidate| candidate.date == date);
    let state = report.ledger.datasets.get(name);
    Some(value(ExplainJson {
        dataset: name,
        date: DateJson::of(verdict, census),
        volumes: census.volumes.tables_on(date).map(|table| VolumeJson::of(&table)).collect(),
        queue_position: place.map(|place| place + 1),
        queue: queue_words(name, verdict, report),
        commands: commands(name, verdict, report),
        repair: repair(name, verdict, report),
        enqueued_at: maybe_instant(state.and_then(|state| state.enqueued.get(&date)).copied()),
        runs: report.ledger.runs_of(name, date).map(RunJson::of).collect(),
    }))
}

/// The dates that a plan has to say something about, besides the queue.
pub(in crate::expose) fn waiting(plan: &Plan) -> impl Iterator<Item = &DateVerdict> {
    let queued: BTreeSet<NaiveDate> = plan.queue.iter().map(|candidate| candidate.date).collect();
    let dates = plan.census.iter().flat_map(|census| &census.dates);
    dates.filter(move |verdict| {
        let speaks = verdict.status.is_gap() || verdict.status == DateStatus::NotDue;
        speaks && !queued.contains(&verdict.date)
    })
}

pub(super) fn gaps(census: &Census) -> Vec<GapJson> {
    census
        .gaps
        .iter()
        .map(|gap| GapJson {
            from: gap.from,
            to: gap.to,
            status: gap.status.label(),
            dates: gap.dates,
        })
        .collect()
}

pub(super) fn counts(census: &Census) -> BTreeMap<&'static str, u32> {
    census.counts().into_iter().map(|(status, number)| (status.label(), number)).collect()
}

impl Serialize for DatesJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.dates.iter().map(|verdict| DateJson::of(verdict, self.0)))
    }
}

impl Serialize for Names<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Name))
    }
}

impl Serialize for Name<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}

impl<'a> DatasetJson<'a> {
    fn of(dataset: &'a str, census: &'a Census, outcome: PassOutcome) -> Self {
        Self {
            dataset,
            scanned_at: rfc3339(census.scanned_at),
            outcome: outcome.label(),
            whole_through: census.whole_through,
            latest_available: census.latest_available,
            latest_due: census.latest_due,
            oldest_gap: census.oldest_gap,
            dates_behind: census.dates_behind,
            tables_expected: census.tables_expected,
            tables_ignored: Names(&census.ignored_tables),
            keys_ignored: census.noise,
            problem: census.problem.as_deref(),
            counts: counts(census),
            dates: DatesJson(census),
            gaps: gaps(census),
        }
    }
}

impl<'a> DateJson<'a> {
    fn of(verdict: &'a DateVerdict, census: &'a Census) -> Self {
        let volume = census.volumes.total(verdict.date).map(|(volume, _)| volume);
        Self {
            bytes: volume.map(|volume| volume.bytes),
            objects: volume.map(|volume| volume.objects),
            tables_odd: OddTables(&census.volumes, verdict.date),
            date: verdict.date,
            in_window: verdict.in_window,
            status: verdict.status.label(),
            reason: &verdict.reason,
            next: &verdict.next,
            until: maybe_instant(verdict.until),
            flags: verdict.flags.iter().map(|flag| flag.label()).collect(),
            dumps: verdict.dumps.iter().map(DumpJson::of).collect(),
            tables_present: verdict.tables_present,
            tables_expected: verdict.tables_expected,
            tables_missing: Names(&verdict.tables_missing),
            tables_having: Names(&verdict.tables_having),
        }
    }
}

impl<'a> DumpJson<'a> {
    pub(super) fn of(dump: &'a Dump) -> Self {
        Self {
            key: &dump.key,
            size: dump.size,
            etag: &dump.etag,
            last_modified: rfc3339(dump.last_modified),
        }
    }
}

impl<'a> CandidateJson<'a> {
    pub(super) fn of(candidate: &'a Candidate) -> Self {
        Self {
            date: candidate.date,
            attempt: candidate.attempt,
            dump: &candidate.dump.key,
            asked_by: &candidate.asked.by,
            permitted_by: &candidate.permitted_by,
        }
    }
}

impl RestJson {
    pub(super) fn of(rest: &Rest) -> Self {
        Self { kind: rest.label(), reason: rest.to_string(), until: maybe_instant(rest.until()) }
    }
}

impl<'a> WaitingJson<'a> {
    fn of(verdict: &'a DateVerdict) -> Self {
        Self {
            date: verdict.date,
            status: verdict.status.label(),
            reason: &verdict.reason,
            until: maybe_instant(verdict.until),
        }
    }
}
