//! How things stand: `status`, `trigger status`, `check`.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;
use serde_json::Value;

use super::dates::{CandidateJson, GapJson, RestJson, counts, gaps};
use super::runs::RunJson;
use super::{maybe_instant, value};
use crate::config::{Settings, TriggerSettings};
use crate::daemon::{DatasetReport, Finding, Report};
use crate::expose::metrics::{REVISION, VERSION};
use crate::expose::words::{hold_words, rfc3339};
use crate::ledger::state::PassRecord;
use crate::ledger::{Hold, HoldStep};

#[derive(Serialize)]
struct StatusJson<'a> {
    daemon: DaemonJson<'a>,
    run: Option<CurrentRunJson<'a>>,
    datasets: Vec<DatasetStatusJson<'a>>,
}

#[derive(Serialize)]
struct DaemonJson<'a> {
    version: &'static str,
    revision: &'static str,
    acting: bool,
    not_acting: Option<&'a str>,
    ledger_problem: Option<&'a str>,
    /// Who took the ledger last; `null` when they left.
    writer: Option<&'a str>,
    epoch: u64,
    started_at: String,
    last_tick_at: String,
    next_scan_at: Option<String>,
    ledger_entries: u64,
    config: ConfigJson<'a>,
}

#[derive(Serialize)]
struct ConfigJson<'a> {
    ok: bool,
    read_at: String,
    problem: Option<&'a str>,
    needs_restart: &'a [&'static str],
}

#[derive(Serialize)]
struct CurrentRunJson<'a> {
    #[serde(flatten)]
    run: RunJson<'a>,
    stage_percent: Option<u8>,
}

#[derive(Serialize)]
struct DatasetStatusJson<'a> {
    dataset: &'a str,
    mode: &'static str,
    trigger: TriggerJson,
    whole_through: Option<NaiveDate>,
    latest_available: Option<NaiveDate>,
    latest_due: Option<NaiveDate>,
    latest_dump: Option<NaiveDate>,
    oldest_gap: Option<NaiveDate>,
    dates_behind: Option<u32>,
    lag_objective_dates: u32,
    counts: Option<BTreeMap<&'static str, u32>>,
    gaps: Vec<GapJson>,
    queue: Vec<CandidateJson<'a>>,
    rest: Option<RestJson>,
    last_scan_at: Option<String>,
    next_arrival_at: Option<String>,
    paused_until: Option<String>,
    stopped: bool,
    passes: Vec<PassJson<'a>>,
}

#[derive(Serialize)]
struct TriggerJson {
    state: &'static str,
    disabled_since: Option<String>,
    hold: Option<HoldJson>,
}

#[derive(Serialize)]
struct HoldJson {
    hold: String,
    reason: String,
    begun_at: String,
    until: String,
    dead_man_fires_at: Option<String>,
    steps: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct PassJson<'a> {
    at: String,
    outcome: &'static str,
    detail: &'a str,
}

#[derive(Serialize)]
struct TriggersJson<'a> {
    triggers: Vec<RuleJson<'a>>,
}

#[derive(Serialize)]
struct RuleJson<'a> {
    dataset: &'a str,
    rule: &'a str,
    event_bus: &'a str,
    #[serde(flatten)]
    trigger: TriggerJson,
}

#[derive(Serialize)]
struct CheckJson<'a> {
    ok: bool,
    findings: Vec<FindingJson<'a>>,
}

#[derive(Serialize)]
struct FindingJson<'a> {
    subject: &'a str,
    verdict: &'static str,
    detail: &'a str,
    hint: Option<&'a str>,
}

/// `status`, `/api/v1/status`.
#[must_use]
pub fn status_json(report: &Report) -> Value {
    let run = report.ledger.active_run();
    let percent = |name: &str| report.datasets.get(name).and_then(|dataset| dataset.stage_percent);
    value(StatusJson {
        daemon: DaemonJson::of(report),
        run: run.map(|run| CurrentRunJson {
            run: RunJson::of(run),
            stage_percent: percent(&run.dataset),
        }),
        datasets: report
            .datasets
            .iter()
            .map(|(name, dataset)| DatasetStatusJson::of(name, dataset, report))
            .collect(),
    })
}

/// The rules of the configuration, by dataset.
#[must_use]
pub fn rules(settings: &Settings) -> Vec<(&str, &TriggerSettings)> {
    let datasets = settings.datasets.iter();
    datasets.filter_map(|(name, it)| Some((name.as_str(), it.trigger.as_ref()?))).collect()
}

/// `trigger status`: the rules, since when they are disabled, and whose doing it is.
#[must_use]
pub fn trigger_json(report: &Report, rules: &[(&str, &TriggerSettings)]) -> Value {
    let triggers = rules
        .iter()
        .filter_map(|(name, rule)| {
            Some(RuleJson {
                dataset: name,
                rule: &rule.rule,
                event_bus: &rule.event_bus,
                trigger: TriggerJson::of(name, report.datasets.get(*name)?, report),
            })
        })
        .collect();
    value(TriggersJson { triggers })
}

/// `check`: every finding; `ok` when none of them stops gapmend.
#[must_use]
pub fn check_json(findings: &[Finding]) -> Value {
    value(CheckJson {
        ok: !findings.iter().any(Finding::stops),
        findings: findings.iter().map(FindingJson::of).collect(),
    })
}

impl<'a> DaemonJson<'a> {
    fn of(report: &'a Report) -> Self {
        let acting = &report.ledger.acting;
        Self {
            version: VERSION,
            revision: REVISION,
            acting: report.acting,
            not_acting: report.not_acting.as_deref(),
            ledger_problem: report.ledger_problem.as_deref(),
            writer: acting.writer.as_deref(),
            epoch: acting.epoch,
            started_at: rfc3339(report.started_at),
            last_tick_at: rfc3339(report.last_tick_at),
            next_scan_at: maybe_instant(report.next_scan_at),
            ledger_entries: report.ledger.seq,
            config: ConfigJson {
                ok: report.config.ok,
                read_at: rfc3339(report.config.read_at),
                problem: report.config.problem.as_deref(),
                needs_restart: &report.config.needs_restart,
            },
        }
    }
}

impl<'a> DatasetStatusJson<'a> {
    fn of(name: &'a str, dataset: &'a DatasetReport, report: &'a Report) -> Self {
        let census = dataset.census.as_deref();
        let passes = report.ledger.datasets.get(name).map_or(&[][..], |state| &state.passes);
        Self {
            dataset: name,
            mode: dataset.mode.label(),
            trigger: TriggerJson::of(name, dataset, report),
            whole_through: census.and_then(|census| census.whole_through),
            latest_available: census.and_then(|census| census.latest_available),
            latest_due: census.and_then(|census| census.latest_due),
            latest_dump: dataset.latest_dump,
            oldest_gap: census.and_then(|census| census.oldest_gap),
            dates_behind: census.map(|census| census.dates_behind),
            lag_objective_dates: dataset.lag_objective_dates,
            counts: census.map(counts),
            gaps: census.map_or_else(Vec::new, gaps),
            queue: dataset.queue.iter().map(CandidateJson::of).collect(),
            rest: dataset.rest.as_ref().map(RestJson::of),
            last_scan_at: maybe_instant(dataset.last_scan_at),
            next_arrival_at: maybe_instant(dataset.next_arrival_at),
            paused_until: maybe_instant(dataset.paused_until),
            stopped: dataset.stopped,
            passes: passes.iter().rev().map(PassJson::of).collect(),
        }
    }
}

impl TriggerJson {
    fn of(name: &str, dataset: &DatasetReport, report: &Report) -> Self {
        Self {
            state: dataset.trigger.label(),
            disabled_since: maybe_instant(dataset.trigger_disabled_since),
            hold: held(report, name, dataset).map(HoldJson::of),
        }
    }
}

/// The open hold of a dataset's rule, whatever the dataset was called when it began.
fn held<'a>(report: &'a Report, name: &str, dataset: &DatasetReport) -> Option<&'a Hold> {
    report.ledger.hold_on(name, &dataset.names.rule, &dataset.names.event_bus)
}

impl HoldJson {
    fn of(hold: &Hold) -> Self {
        Self {
            hold: hold.id.clone(),
            reason: hold_words(&hold.why),
            begun_at: rfc3339(hold.begun_at),
            until: rfc3339(hold.until),
            dead_man_fires_at: maybe_instant(hold.dead_man.as_ref().map(|switch| switch.fires_at)),
            steps: hold.steps.iter().map(|(step, at)| (step_label(*step), rfc3339(*at))).collect(),
        }
    }
}

fn step_label(step: HoldStep) -> &'static str {
    match step {
        HoldStep::Armed => "armed",
        HoldStep::Answered => "answered",
        HoldStep::Disabled => "disabled",
        HoldStep::WorkDone => "work_done",
        HoldStep::Enabled => "enabled",
    }
}

impl<'a> PassJson<'a> {
    fn of(pass: &'a PassRecord) -> Self {
        Self { at: rfc3339(pass.at), outcome: pass.outcome.label(), detail: &pass.detail }
    }
}

impl<'a> FindingJson<'a> {
    fn of(finding: &'a Finding) -> Self {
        Self {
            subject: &finding.subject,
            verdict: finding.verdict.label(),
            detail: &finding.detail,
            hint: finding.hint.as_deref(),
        }
    }
}
