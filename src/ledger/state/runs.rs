//! Runs: what was asked of AWS for a date, stage by stage, and how it ended.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::{DatasetState, ReplayError, State};
use crate::domain::{Dump, FailureReason, RunOutcome, Stage, Task};
use crate::ledger::event::{Asked, Entry, Event, Repeat, Request, StopWhy, Trace};
use crate::platform::TaskRequest;

/// A run, as recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// `dataset/date/attempt`.
    pub id: String,
    /// The dataset.
    pub dataset: String,
    /// The date.
    pub date: NaiveDate,
    /// Counts the date's runs from 1.
    pub attempt: u32,
    /// The entry that began it.
    pub seq: u64,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// The stage it is in, or ended in.
    pub stage: Stage,
    /// Since when.
    pub stage_since: DateTime<Utc>,
    /// The stages that are over.
    pub stages: Vec<StageRecord>,
    /// The dump that it is about.
    pub dump: Option<Dump>,
    /// Who wanted it.
    pub asked: Asked,
    /// Which rule allowed it.
    pub permitted_by: String,
    /// Tables that are expected to have the date in the end.
    pub tables_expected: u32,
    /// Tables that had it when the run began.
    #[serde(default)]
    pub tables_before: Option<u32>,
    /// The configuration's hash.
    pub config: String,
    /// gapmend's version.
    pub version: String,
    /// The load, once intended.
    pub load: Option<LoadRecord>,
    /// Our stopping of the task, once intended.
    pub stopping: Option<StopRecord>,
    /// The ids of its snapshot and its export, once seen.
    #[serde(default)]
    pub traces: BTreeMap<Trace, String>,
    /// Who asked for its end.
    #[serde(default)]
    pub cancelled_by: Option<Asked>,
    /// When the workflow was asked for by us, each time.
    pub publish_intended: Vec<DateTime<Utc>>,
    /// The workflow run that counts, once known.
    pub workflow_run: Option<String>,
    /// Workflow runs that wrote nothing, after which it was started again.
    pub workflow_runs_judged: Vec<String>,
    /// Every workflow run of its date that was seen, also when another one counts (H10).
    #[serde(default)]
    pub workflow_runs_seen: Vec<String>,
    /// How it ended.
    pub end: Option<RunEnd>,
}

/// A stage that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    /// Which.
    pub stage: Stage,
    /// Its beginning.
    pub started_at: DateTime<Utc>,
    /// Its end.
    pub ended_at: DateTime<Utc>,
    /// What was seen.
    pub detail: String,
}

/// The load of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadRecord {
    /// Exactly what was, or will be, asked of ECS.
    pub task: TaskRequest,
    /// When it was intended.
    pub intended_at: DateTime<Utc>,
    /// The task, once accepted.
    pub task_arn: Option<String>,
    /// When it was accepted.
    pub submitted_at: Option<DateTime<Utc>>,
}

impl LoadRecord {
    /// Whether the task is the one that was asked for; also when its answer could not be kept.
    #[must_use]
    pub fn is_of(&self, task: &Task) -> bool {
        self.task_arn.as_deref() == Some(task.arn.as_str())
            || task.started_by.as_deref() == Some(self.task.started_by.as_str())
    }
}

/// Our stopping of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StopRecord {
    /// When it was intended last.
    pub at: DateTime<Utc>,
    /// Why.
    pub why: StopWhy,
    /// In words.
    pub detail: String,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEnd {
    /// When.
    pub at: DateTime<Utc>,
    /// How.
    pub outcome: RunOutcome,
    /// Why it failed.
    pub reason: Option<FailureReason>,
    /// In words.
    pub detail: String,
    /// The last lines of the task's log.
    pub log_tail: Vec<String>,
    /// What may follow.
    pub repeat: Repeat,
    /// Tables that had the date, by the last look.
    pub tables_present: Option<u32>,
}

impl Run {
    /// Whether it took up a date whose files lay in the copy already: its first stage after the
    /// preflight is `publish`.
    #[must_use]
    pub fn began_at_publish(&self) -> bool {
        let stages = self.stages.iter().map(|record| record.stage).chain([self.stage]);
        stages.into_iter().find(|stage| *stage >= Stage::Load) == Some(Stage::Publish)
    }

    /// Whether its workflow ran over a copy that was not exactly its export (H18).
    #[must_use]
    pub fn published_incompletely(&self) -> bool {
        let reason = self.end.as_ref().and_then(|end| end.reason);
        reason == Some(FailureReason::CopyIncomplete) && self.workflow_run.is_some()
    }

    /// Whether it is in progress.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.end.is_none()
    }

    /// Workflow runs of its date that may have written beside the one that counts (H10).
    pub fn workflow_runs_beside(&self) -> impl Iterator<Item = &str> {
        let beside = |id: &&String| {
            self.workflow_run.as_ref() != Some(*id) && !self.workflow_runs_judged.contains(id)
        };
        self.workflow_runs_seen.iter().filter(beside).map(String::as_str)
    }

    /// Whether it failed.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.outcome == RunOutcome::Failed)
    }

    /// Whether it made way for a live run.
    #[must_use]
    pub fn is_void(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.outcome == RunOutcome::Void)
    }

    fn close_stage(&mut self, at: DateTime<Utc>, detail: &str) {
        self.stages.push(StageRecord {
            stage: self.stage,
            started_at: self.stage_since,
            ended_at: at,
            detail: detail.to_owned(),
        });
        self.stage_since = at;
    }
}

impl State {
    /// The run in progress: there is at most one, over all datasets, and none begins beside it,
    /// so it is the last.
    #[must_use]
    pub fn active_run(&self) -> Option<&Run> {
        self.runs.last().filter(|run| run.is_active())
    }

    /// The runs of a date, oldest first.
    pub fn runs_of(&self, dataset: &str, date: NaiveDate) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| run.dataset == dataset && run.date == date)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only the events of runs come here")]
    pub(super) fn apply_run(&mut self, entry: &Entry, event: &Event) -> Result<(), ReplayError> {
        if let Event::RunStarted { .. } = event {
            return self.apply_run_started(entry, event);
        }
        let at = entry.at;
        let misfit = |what: &'static str| ReplayError::Misfit { seq: entry.seq, what };
        let Some(run) = self.runs.last_mut().filter(|run| run.is_active()) else {
            return Err(misfit("no run is in progress"));
        };
        if event.run() != Some(run.id.as_str()) {
            return Err(misfit("it is about a run that is not in progress"));
        }
        match event {
            Event::LoadIntended { task, .. } => {
                run.load = Some(LoadRecord {
                    task: task.clone(),
                    intended_at: at,
                    task_arn: None,
                    submitted_at: None,
                });
            }
            Event::LoadSubmitted { task_arn, .. } => {
                let load = run.load.as_mut().ok_or_else(|| misfit("no load was intended"))?;
                load.task_arn = Some(task_arn.clone());
                load.submitted_at = Some(at);
            }
            Event::StopIntended { why, detail, .. } => {
                run.stopping = Some(StopRecord { at, why: *why, detail: detail.clone() });
            }
            Event::StageEnded { stage, next, detail, .. } => {
                if *stage != run.stage || next <= stage {
                    return Err(misfit("the stage that ended is not the run's stage"));
                }
                run.close_stage(at, detail);
                run.stage = *next;
                run.stopping = None;
            }
            Event::RunTraced { trace, id, .. } => {
                run.traces.insert(*trace, id.clone());
            }
            Event::PublishIntended { .. } => {
                run.publish_intended.push(at);
                run.workflow_runs_judged.extend(run.workflow_run.take());
            }
            Event::PublishFound { workflow_run, .. } => {
                run.workflow_run = Some(workflow_run.clone());
                if !run.workflow_runs_seen.contains(workflow_run) {
                    run.workflow_runs_seen.push(workflow_run.clone());
                }
            }
            Event::RunEnded {
                outcome, reason, detail, log_tail, repeat, tables_present, ..
            } => {
                run.close_stage(at, detail);
                run.end = Some(RunEnd {
                    at,
                    outcome: *outcome,
                    reason: *reason,
                    detail: detail.clone(),
                    log_tail: log_tail.clone(),
                    repeat: *repeat,
                    tables_present: *tables_present,
                });
                let (dataset, date, outcome) = (run.dataset.clone(), run.date, *outcome);
                let asked_to_end =
                    self.datasets.get(&dataset).and_then(DatasetState::cancel_asked).cloned();
                run.cancelled_by = asked_to_end.filter(|_| outcome == RunOutcome::Cancelled);
                self.count_outcome(&dataset, date, outcome);
                self.forget_cancels(&dataset);
            }
            _ => return Err(misfit("not a run's event")),
        }
        Ok(())
    }

    fn apply_run_started(&mut self, entry: &Entry, event: &Event) -> Result<(), ReplayError> {
        let Event::RunStarted {
            run,
            dataset,
            date,
            attempt,
            stage,
            dump,
            asked,
            permitted_by,
            tables_expected,
            tables_before,
            config,
            version,
            preflight_at,
        } = event
        else {
            return Err(ReplayError::Misfit { seq: entry.seq, what: "not the start of a run" });
        };
        if self.active_run().is_some() {
            return Err(ReplayError::Misfit {
                seq: entry.seq,
                what: "a run is in progress already",
            });
        }
        self.forget_cancels(dataset);
        let preflight = StageRecord {
            stage: Stage::Preflight,
            started_at: *preflight_at,
            ended_at: entry.at,
            detail: "clear".to_owned(),
        };
        self.runs.push(Run {
            id: run.clone(),
            dataset: dataset.clone(),
            date: *date,
            attempt: *attempt,
            seq: entry.seq,
            started_at: entry.at,
            stage: *stage,
            stage_since: entry.at,
            stages: vec![preflight],
            dump: dump.clone(),
            asked: asked.clone(),
            permitted_by: permitted_by.clone(),
            tables_expected: *tables_expected,
            tables_before: *tables_before,
            config: config.clone(),
            version: version.clone(),
            load: None,
            stopping: None,
            traces: BTreeMap::new(),
            cancelled_by: None,
            publish_intended: Vec::new(),
            workflow_run: None,
            workflow_runs_judged: Vec::new(),
            workflow_runs_seen: Vec::new(),
            end: None,
        });
        Ok(())
    }

    /// A `cancel` is about the run that was in progress when it was asked for, and no other.
    fn forget_cancels(&mut self, dataset: &str) {
        let pending = &mut self.entry(dataset).pending;
        pending.retain(|_, (request, _)| *request != Request::Cancel);
    }

    /// Ends the run in progress, of which nobody knows any more how far it is.
    pub(super) fn end_lost_run(&mut self, at: DateTime<Utc>, detail: &str) {
        let Some(run) = self.runs.last_mut().filter(|run| run.is_active()) else { return };
        run.close_stage(at, detail);
        run.end = Some(RunEnd {
            at,
            outcome: RunOutcome::Cancelled,
            reason: None,
            detail: detail.to_owned(),
            log_tail: Vec::new(),
            repeat: Repeat::Unsafe,
            tables_present: None,
        });
    }

    fn count_outcome(&mut self, dataset: &str, date: NaiveDate, outcome: RunOutcome) {
        let state = self.entry(dataset);
        let by_operator = state.pending.values().any(|(request, _)| *request == Request::Cancel);
        match outcome {
            RunOutcome::Succeeded => {
                state.failures_in_row = 0;
                state.asked.remove(&date);
                state.enqueued.remove(&date);
            }
            RunOutcome::Failed => state.failures_in_row += 1,
            RunOutcome::Cancelled if by_operator => {
                state.asked.remove(&date);
            }
            // A restart ended it, or we yielded: it is planned afresh.
            RunOutcome::Cancelled | RunOutcome::Void => {}
        }
    }
}
