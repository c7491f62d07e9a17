//! What was run: `heal`, `history`, `/api/v1/runs`.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;
use serde_json::Value;

use super::dates::DumpJson;
use super::{maybe_instant, value};
use crate::domain::{FailureReason, TriggerState};
use crate::expose::words::rfc3339;
use crate::ledger::state::StageRecord;
use crate::ledger::{Asked, Repeat, Run, Trace};

#[derive(Serialize)]
struct HealJson<'a> {
    runs: Vec<HealedJson<'a>>,
    triggers: BTreeMap<&'a str, &'static str>,
}

#[derive(Serialize)]
struct HealedJson<'a> {
    dataset: &'a str,
    date: NaiveDate,
    attempt: u32,
    outcome: &'static str,
    reason: Option<&'a str>,
    failure: Option<&'static str>,
    stages: Vec<StageJson<'a>>,
}

#[derive(Serialize)]
struct HistoryJson<'a> {
    runs: Vec<RunJson<'a>>,
}

/// One run with every id, who asked and why.
#[derive(Serialize)]
pub(super) struct RunJson<'a> {
    run: &'a str,
    dataset: &'a str,
    date: NaiveDate,
    attempt: u32,
    /// `running` while it is in progress.
    outcome: &'static str,
    reason: Option<&'a str>,
    failure: Option<&'static str>,
    stage: &'static str,
    stage_since: String,
    started_at: String,
    ended_at: Option<String>,
    asked: AskedJson<'a>,
    permitted_by: &'a str,
    dump: Option<DumpJson<'a>>,
    task_arn: Option<&'a str>,
    snapshot: Option<&'a str>,
    export: Option<&'a str>,
    client_token: Option<&'a str>,
    started_by: Option<&'a str>,
    workflow_run: Option<&'a str>,
    /// Runs of the workflow that wrote nothing, after which it was started again.
    workflow_runs_judged: &'a [String],
    workflow_runs_beside: Vec<&'a str>,
    stopping: Option<&'a str>,
    cancelled_by: Option<AskedJson<'a>>,
    repeat: Option<&'static str>,
    tables_expected: u32,
    /// When it began, and at its end.
    tables_before: Option<u32>,
    tables_present: Option<u32>,
    log_tail: &'a [String],
    config: &'a str,
    version: &'a str,
    stages: Vec<StageJson<'a>>,
}

#[derive(Serialize)]
struct AskedJson<'a> {
    by: &'a str,
    reason: Option<&'a str>,
    ticket: Option<&'a str>,
}

#[derive(Serialize)]
struct StageJson<'a> {
    stage: &'static str,
    started_at: String,
    ended_at: Option<String>,
    detail: &'a str,
}

/// `heal`: the runs of this command, and how the triggers were left.
#[must_use]
pub fn heal_json<'a>(
    runs: impl IntoIterator<Item = &'a Run>,
    triggers: &'a BTreeMap<String, TriggerState>,
) -> Value {
    value(HealJson {
        runs: runs.into_iter().map(HealedJson::of).collect(),
        triggers: triggers.iter().map(|(name, state)| (name.as_str(), state.label())).collect(),
    })
}

/// `history`, `/api/v1/runs`: attempts, in the order in which they are given.
#[must_use]
pub fn history_json<'a>(runs: impl IntoIterator<Item = &'a Run>) -> Value {
    value(HistoryJson { runs: runs.into_iter().map(RunJson::of).collect() })
}

/// The outcome in one word, `running` while there is none.
pub(in crate::expose) fn outcome_label(run: &Run) -> &'static str {
    run.end.as_ref().map_or("running", |end| end.outcome.label())
}

fn repeat_label(repeat: Repeat) -> &'static str {
    match repeat {
        Repeat::FromTheTop => "from_the_top",
        Repeat::Unsafe => "unsafe",
    }
}

/// The stages that are over, and the one in progress.
fn stages(run: &Run) -> Vec<StageJson<'_>> {
    let current = run.is_active().then(|| StageJson {
        stage: run.stage.label(),
        started_at: rfc3339(run.stage_since),
        ended_at: None,
        detail: "",
    });
    run.stages.iter().map(StageJson::of).chain(current).collect()
}

impl<'a> HealedJson<'a> {
    fn of(run: &'a Run) -> Self {
        let end = run.end.as_ref();
        Self {
            dataset: &run.dataset,
            date: run.date,
            attempt: run.attempt,
            outcome: outcome_label(run),
            reason: end.map(|end| end.detail.as_str()),
            failure: end.and_then(|end| end.reason).map(FailureReason::label),
            stages: stages(run),
        }
    }
}

impl<'a> RunJson<'a> {
    pub(super) fn of(run: &'a Run) -> Self {
        let end = run.end.as_ref();
        let load = run.load.as_ref();
        Self {
            run: &run.id,
            dataset: &run.dataset,
            date: run.date,
            attempt: run.attempt,
            outcome: outcome_label(run),
            reason: end.map(|end| end.detail.as_str()),
            failure: end.and_then(|end| end.reason).map(FailureReason::label),
            stage: run.stage.label(),
            stage_since: rfc3339(run.stage_since),
            started_at: rfc3339(run.started_at),
            ended_at: maybe_instant(end.map(|end| end.at)),
            asked: AskedJson::of(&run.asked),
            permitted_by: &run.permitted_by,
            dump: run.dump.as_ref().map(DumpJson::of),
            task_arn: load.and_then(|load| load.task_arn.as_deref()),
            snapshot: run.traces.get(&Trace::Snapshot).map(String::as_str),
            export: run.traces.get(&Trace::Export).map(String::as_str),
            client_token: load.map(|load| load.task.client_token.as_str()),
            started_by: load.map(|load| load.task.started_by.as_str()),
            workflow_run: run.workflow_run.as_deref(),
            workflow_runs_judged: &run.workflow_runs_judged,
            workflow_runs_beside: run.workflow_runs_beside().collect(),
            stopping: run.stopping.as_ref().map(|stop| stop.detail.as_str()),
            cancelled_by: run.cancelled_by.as_ref().map(AskedJson::of),
            repeat: end.map(|end| repeat_label(end.repeat)),
            tables_expected: run.tables_expected,
            tables_before: run.tables_before,
            tables_present: end.and_then(|end| end.tables_present),
            log_tail: end.map_or(&[], |end| end.log_tail.as_slice()),
            config: &run.config,
            version: &run.version,
            stages: stages(run),
        }
    }
}

impl<'a> AskedJson<'a> {
    fn of(asked: &'a Asked) -> Self {
        Self { by: &asked.by, reason: asked.reason.as_deref(), ticket: asked.ticket.as_deref() }
    }
}

impl<'a> StageJson<'a> {
    fn of(record: &'a StageRecord) -> Self {
        Self {
            stage: record.stage.label(),
            started_at: rfc3339(record.started_at),
            ended_at: Some(rfc3339(record.ended_at)),
            detail: &record.detail,
        }
    }
}
