//! The state that the ledger's entries add up to.
//!
//! [`State::apply`] is the only way in which it changes: in memory after an append, and at
//! every start by replaying from the first entry (or a checkpoint). It never decides
//! anything; it only remembers, and refuses entries that make no sense.

mod uploads;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::event::{
    Asked, ENTRY_VERSION, Entry, Event, HoldStep, HoldWhy, Repeat, Request, ScanRecord, StopWhy,
    Trace,
};
use super::process::Process;
use crate::domain::{Dump, FailureReason, PassOutcome, RunOutcome, Stage, Task};
use crate::platform::{DeadMan, TaskRequest};

pub use self::uploads::{Upload, UploadEnd, UploadHold};

/// Passes that are remembered per dataset, for `status`.
const PASSES_KEPT: usize = 50;
/// Requests that are remembered per dataset, for `explain` and the page of a date.
const REQUESTS_KEPT: usize = 50;

/// Everything that the ledger says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The last entry applied.
    pub seq: u64,
    /// The newest epoch, and who took it.
    pub acting: Acting,
    /// By dataset.
    pub datasets: BTreeMap<String, DatasetState>,
    /// Every run, in the order in which they began.
    pub runs: Vec<Run>,
    /// Every hold that is not closed, by its name.
    pub holds: BTreeMap<String, Hold>,
    /// Uploads that are open, and the last ones that are over, oldest first.
    #[serde(default)]
    pub uploads: Vec<Upload>,
}

/// Who acts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Acting {
    /// The newest epoch; 0 before the first.
    pub epoch: u64,
    /// Its writer; `None` when it left.
    pub writer: Option<String>,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
    /// The process that took it; `None` where its entry does not say.
    #[serde(default)]
    pub process: Option<Process>,
}

/// What is remembered of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DatasetState {
    /// The last clear scan.
    pub last_scan: Option<(DateTime<Utc>, ScanRecord)>,
    /// The last scan, clear or blind: when, and whether it was clear.
    pub last_look: Option<(DateTime<Utc>, bool)>,
    /// The newest slot that was satisfied.
    pub last_slot: Option<NaiveDate>,
    /// Since when each date stands in the queue.
    pub enqueued: BTreeMap<NaiveDate, DateTime<Utc>>,
    /// Nothing starts until then.
    pub paused_until: Option<DateTime<Utc>>,
    /// Failed runs since the last success or `resume`.
    pub failures_in_row: u32,
    /// When attempts were last forgiven, by date.
    pub forgiven: BTreeMap<NaiveDate, DateTime<Utc>>,
    /// Dates that were asked for by name and have not been run since.
    pub asked: BTreeMap<NaiveDate, Asked>,
    /// Requests that wait for an answer, by the entry that made them.
    pub pending: BTreeMap<u64, (Request, Asked)>,
    /// The last passes that had something to say.
    pub passes: Vec<PassRecord>,
    /// The last requests, answered or not.
    #[serde(default)]
    pub requests: Vec<RequestRecord>,
    /// Live dumps that landed in a hold and were not driven yet.
    pub swept: Vec<SweptDump>,
    /// Live dumps that were lost to the day.
    pub live_dumps_missed: u32,
    /// When and why the last hold was refused before it began, until one is not.
    #[serde(default)]
    pub hold_refused: Option<(DateTime<Utc>, String)>,
    /// Times that two loads were seen alive together.
    pub overlaps: u32,
    /// Since when the rule has been seen disabled, whoever did it.
    #[serde(default)]
    pub rule_disabled_since: Option<DateTime<Utc>>,
}

/// One pass that had something to say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PassRecord {
    /// When it ended.
    pub at: DateTime<Utc>,
    /// How.
    pub outcome: PassOutcome,
    /// Why.
    pub detail: String,
}

/// What an operator asked for, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// The entry that asked.
    pub seq: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub request: Request,
    /// Who, and why.
    pub asked: Asked,
    /// What came of it, when somebody answered.
    pub answer: Option<String>,
}

/// A live dump that landed while the trigger was held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweptDump {
    /// Its date.
    pub date: NaiveDate,
    /// Its key.
    pub key: String,
    /// Its `ETag`.
    pub etag: String,
    /// The request that drives it, once intended.
    pub drive: Option<TaskRequest>,
    /// The task, once accepted.
    pub task_arn: Option<String>,
    /// When it was accepted.
    #[serde(default)]
    pub driven_at: Option<DateTime<Utc>>,
    /// Whether its day was over before it could be driven.
    #[serde(default)]
    pub missed: bool,
}

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

/// A hold that is not closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// Its name.
    pub id: String,
    /// The dataset.
    pub dataset: String,
    /// The rule.
    pub rule: String,
    /// Its bus.
    pub event_bus: String,
    /// The state that was found.
    pub prior_state: String,
    /// Why.
    pub why: HoldWhy,
    /// When it was intended.
    pub begun_at: DateTime<Utc>,
    /// Its end at the latest.
    pub until: DateTime<Utc>,
    /// The dead man's switch.
    pub dead_man: Option<DeadMan>,
    /// The steps that were seen done, and when.
    pub steps: BTreeMap<HoldStep, DateTime<Utc>>,
}

impl Hold {
    /// When a step was seen done.
    #[must_use]
    pub fn step_at(&self, step: HoldStep) -> Option<DateTime<Utc>> {
        self.steps.get(&step).copied()
    }

    /// Whether the rule may be disabled because of it: it was begun, and not seen enabled since.
    #[must_use]
    pub fn keeps_rule_disabled(&self) -> bool {
        self.step_at(HoldStep::Armed).is_some() && self.step_at(HoldStep::Enabled).is_none()
    }

    /// When its dead man's switch fired: its time has come, and what was looked for is gone, as
    /// Scheduler deletes what it has carried out. We delete it only once the rule is enabled, so
    /// a rule that is disabled after this was disabled by somebody else.
    #[must_use]
    pub fn switch_fired_at(
        &self,
        found: Option<&DeadMan>,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let fires_at = self.dead_man.as_ref()?.fires_at;
        let was_armed = self.step_at(HoldStep::Armed).is_some();
        (was_armed && found.is_none() && now >= fires_at).then_some(fires_at)
    }
}

impl Run {
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

    /// What is remembered of a dataset; empty when nothing is.
    #[must_use]
    pub fn dataset(&self, name: &str) -> DatasetView<'_> {
        let mut runs: BTreeMap<NaiveDate, Vec<&Run>> = BTreeMap::new();
        for run in self.runs.iter().filter(|run| run.dataset == name) {
            runs.entry(run.date).or_default().push(run);
        }
        DatasetView { state: self.datasets.get(name), runs }
    }

    /// The open hold of a dataset.
    #[must_use]
    pub fn hold_of(&self, dataset: &str) -> Option<&Hold> {
        self.holds.values().find(|hold| hold.dataset == dataset)
    }

    /// Live dumps that landed in a hold, and whose live run was not accepted yet.
    pub fn undriven(&self, dataset: &str) -> impl Iterator<Item = &SweptDump> {
        let swept = self.datasets.get(dataset).into_iter().flat_map(|state| &state.swept);
        swept.filter(|dump| dump.task_arn.is_none() && !dump.missed)
    }

    /// Whether this dump was swept before, whatever became of it: each is driven once at most.
    #[must_use]
    pub fn was_swept(&self, dataset: &str, key: &str, etag: &str) -> bool {
        let swept = self.datasets.get(dataset).into_iter().flat_map(|state| &state.swept);
        swept.into_iter().any(|dump| dump.key == key && dump.etag == etag)
    }

    /// Applies the next entry.
    ///
    /// # Errors
    /// The entry is not the next one, is of a newer version, or does not fit what came before.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), ReplayError> {
        if entry.v > ENTRY_VERSION {
            return Err(ReplayError::NewerVersion { seq: entry.seq, version: entry.v });
        }
        if entry.seq != self.seq + 1 {
            return Err(ReplayError::Gap { expected: self.seq + 1, found: entry.seq });
        }
        for event in &entry.events {
            self.apply_event(entry, event)?;
        }
        self.seq = entry.seq;
        Ok(())
    }

    fn apply_event(&mut self, entry: &Entry, event: &Event) -> Result<(), ReplayError> {
        match event {
            Event::Acting { process, .. } => {
                if entry.epoch <= self.acting.epoch {
                    return Err(ReplayError::Misfit {
                        seq: entry.seq,
                        what: "an epoch that is not newer than the last",
                    });
                }
                self.acting = Acting {
                    epoch: entry.epoch,
                    writer: Some(entry.writer.clone()),
                    since: Some(entry.at),
                    process: process.clone(),
                };
            }
            Event::Left {} => {
                if entry.epoch == self.acting.epoch {
                    self.acting.writer = None;
                }
            }
            Event::Scanned { dataset, scan } => self.apply_scan(entry.at, dataset, scan),
            Event::Passed { dataset, outcome, detail } => {
                let passes = &mut self.entry(dataset).passes;
                passes.push(PassRecord { at: entry.at, outcome: *outcome, detail: detail.clone() });
                if passes.len() > PASSES_KEPT {
                    passes.remove(0);
                }
            }
            Event::Requested { dataset, request, asked } => {
                self.apply_request(entry, dataset, request, asked);
            }
            Event::RequestDone { dataset, seq, answer } => {
                let state = self.entry(dataset);
                state.pending.remove(seq);
                state.answer(*seq, answer);
            }
            Event::RunStarted { .. }
            | Event::LoadIntended { .. }
            | Event::LoadSubmitted { .. }
            | Event::StopIntended { .. }
            | Event::StageEnded { .. }
            | Event::RunTraced { .. }
            | Event::PublishIntended { .. }
            | Event::PublishFound { .. }
            | Event::RunEnded { .. } => self.apply_run(entry, event)?,
            Event::HoldIntended { .. } | Event::HoldMoved { .. } | Event::HoldClosed { .. } => {
                self.apply_hold(entry, event)?;
            }
            Event::LiveDumpSwept { dataset, date, key, etag, missed } => {
                let state = self.entry(dataset);
                let known =
                    state.swept.iter_mut().find(|dump| dump.key == *key && dump.etag == *etag);
                match known {
                    Some(dump) => dump.missed |= *missed,
                    None => state.swept.push(SweptDump {
                        date: *date,
                        key: key.clone(),
                        etag: etag.clone(),
                        drive: None,
                        task_arn: None,
                        driven_at: None,
                        missed: *missed,
                    }),
                }
                state.live_dumps_missed += u32::from(*missed);
            }
            Event::LiveDriveIntended { dataset, date, task } => {
                for dump in self.entry(dataset).swept.iter_mut().filter(|dump| dump.date == *date) {
                    dump.drive = Some(task.clone());
                }
            }
            Event::LiveDriveSubmitted { dataset, date, task_arn } => {
                for dump in self.entry(dataset).swept.iter_mut().filter(|dump| dump.date == *date) {
                    dump.task_arn = Some(task_arn.clone());
                    dump.driven_at = Some(entry.at);
                }
            }
            Event::RuleSeen { dataset, disabled } => {
                let since = &mut self.entry(dataset).rule_disabled_since;
                *since = disabled.then(|| since.unwrap_or(entry.at));
            }
            Event::UploadIntended { .. }
            | Event::UploadBegun { .. }
            | Event::UploadReady { .. }
            | Event::UploadWriting { .. }
            | Event::UploadEnded { .. } => self.apply_upload(entry, event)?,
            Event::LoadsOverlapped { dataset, .. } => self.entry(dataset).overlaps += 1,
        }
        Ok(())
    }

    fn apply_scan(&mut self, at: DateTime<Utc>, dataset: &str, scan: &ScanRecord) {
        let state = self.entry(dataset);
        let clear = scan.blind.is_empty();
        state.last_look = Some((at, clear));
        if scan.slot.is_some() && clear {
            state.last_slot = state.last_slot.max(scan.slot);
        }
        if clear {
            state.enqueued.retain(|date, _| scan.queue.contains(date));
            for date in &scan.queue {
                state.enqueued.entry(*date).or_insert(at);
            }
            state.last_scan = Some((at, scan.clone()));
        }
    }

    fn apply_request(&mut self, entry: &Entry, dataset: &str, request: &Request, asked: &Asked) {
        let state = self.entry(dataset);
        state.remember(RequestRecord {
            seq: entry.seq,
            at: entry.at,
            request: request.clone(),
            asked: asked.clone(),
            answer: None,
        });
        match request {
            Request::Scan | Request::Cancel => {
                state.pending.insert(entry.seq, (request.clone(), asked.clone()));
            }
            Request::Heal { dates, .. } => {
                state.asked.extend(dates.iter().map(|date| (*date, asked.clone())));
                state.pending.insert(entry.seq, (request.clone(), asked.clone()));
            }
            Request::Retry { date } => {
                state.forgiven.insert(*date, entry.at);
                state.failures_in_row = 0;
            }
            Request::Pause { until } => state.paused_until = Some(*until),
            Request::Resume => {
                state.hold_refused = None;
                state.paused_until = None;
                state.failures_in_row = 0;
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only the events of runs come here")]
    fn apply_run(&mut self, entry: &Entry, event: &Event) -> Result<(), ReplayError> {
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

    #[expect(clippy::wildcard_enum_match_arm, reason = "only the events of holds come here")]
    fn apply_hold(&mut self, entry: &Entry, event: &Event) -> Result<(), ReplayError> {
        let misfit = |what: &'static str| ReplayError::Misfit { seq: entry.seq, what };
        match event {
            Event::HoldIntended {
                hold,
                dataset,
                rule,
                event_bus,
                prior_state,
                why,
                until,
                dead_man,
            } => {
                let known = self.holds.insert(
                    hold.clone(),
                    Hold {
                        id: hold.clone(),
                        dataset: dataset.clone(),
                        rule: rule.clone(),
                        event_bus: event_bus.clone(),
                        prior_state: prior_state.clone(),
                        why: why.clone(),
                        begun_at: entry.at,
                        until: *until,
                        dead_man: dead_man.clone(),
                        steps: BTreeMap::new(),
                    },
                );
                if known.is_some() {
                    return Err(misfit("the hold exists already"));
                }
                self.count_hold_of_upload(dataset, why);
            }
            Event::HoldMoved { hold, step } => {
                let hold = self.holds.get_mut(hold).ok_or_else(|| misfit("no such hold"))?;
                hold.steps.entry(*step).or_insert(entry.at);
            }
            Event::HoldClosed { hold, detail, fired, refused } => {
                let hold = self.holds.remove(hold).ok_or_else(|| misfit("no such hold"))?;
                self.entry(&hold.dataset).hold_refused =
                    refused.then(|| (entry.at, detail.clone()));
                self.note_hold_of_upload(&hold, entry.at, detail, fired);
            }
            _ => return Err(misfit("not a hold's event")),
        }
        Ok(())
    }

    fn entry(&mut self, dataset: &str) -> &mut DatasetState {
        self.datasets.entry(dataset.to_owned()).or_default()
    }
}

impl DatasetState {
    /// Who asked for the end of the run in progress.
    #[must_use]
    pub fn cancel_asked(&self) -> Option<&Asked> {
        let cancel = self.pending.values().find(|(request, _)| *request == Request::Cancel);
        cancel.map(|(_, asked)| asked)
    }

    fn remember(&mut self, record: RequestRecord) {
        self.requests.push(record);
        if self.requests.len() > REQUESTS_KEPT {
            self.requests.remove(0);
        }
    }

    fn answer(&mut self, seq: u64, answer: &str) {
        if let Some(record) = self.requests.iter_mut().find(|record| record.seq == seq) {
            record.answer = Some(answer.to_owned());
        }
    }
}

impl Run {
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

/// A dataset's part of the state, whether anything is remembered or not.
#[derive(Clone, Debug)]
pub struct DatasetView<'a> {
    state: Option<&'a DatasetState>,
    /// Its runs by date, oldest first: ten years of them are asked for date by date.
    runs: BTreeMap<NaiveDate, Vec<&'a Run>>,
}

impl<'a> DatasetView<'a> {
    /// What is remembered.
    #[must_use]
    pub fn get(&self) -> Option<&'a DatasetState> {
        self.state
    }

    /// The runs of a date, oldest first.
    pub fn runs_of(
        &self,
        date: NaiveDate,
    ) -> impl DoubleEndedIterator<Item = &'a Run> + ExactSizeIterator {
        self.runs.get(&date).map_or(&[][..], Vec::as_slice).iter().copied()
    }

    /// The failed runs of a date that still count: those since it was last forgiven.
    #[must_use]
    pub fn counted_failures(&self, date: NaiveDate) -> Vec<&'a Run> {
        let forgiven = self.forgiven_at(date);
        self.runs_of(date)
            .filter(|run| run.failed() && forgiven.is_none_or(|at| run.started_at > at))
            .collect()
    }

    /// When the date's attempts were last forgiven.
    #[must_use]
    pub fn forgiven_at(&self, date: NaiveDate) -> Option<DateTime<Utc>> {
        self.state.and_then(|state| state.forgiven.get(&date)).copied()
    }

    /// Who asked for the date by name, if somebody did.
    #[must_use]
    pub fn asked_for(&self, date: NaiveDate) -> Option<&'a Asked> {
        self.state.and_then(|state| state.asked.get(&date))
    }
}

/// Why the ledger cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// A newer gapmend wrote here.
    #[error(
        "entry {seq} has format version {version}, newer than this gapmend knows: upgrade it before it may act"
    )]
    NewerVersion {
        /// The entry.
        seq: u64,
        /// Its version.
        version: u32,
    },
    /// An entry is missing.
    #[error(
        "entry {expected} is missing: the next one found is {found}; restore it before gapmend may act"
    )]
    Gap {
        /// The entry that should come next.
        expected: u64,
        /// The entry that came.
        found: u64,
    },
    /// An event that does not fit what came before.
    #[error("entry {seq} does not fit what came before: {what}")]
    Misfit {
        /// The entry.
        seq: u64,
        /// Why.
        what: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::testing::{run_ended, run_started};

    fn entry(seq: u64, epoch: u64, event: Event) -> Entry {
        Entry {
            v: ENTRY_VERSION,
            seq,
            at: "2022-06-13T04:00:00Z".parse().unwrap(),
            epoch,
            writer: "w".to_owned(),
            nonce: seq.to_string(),
            events: vec![event],
        }
    }

    fn acting() -> Event {
        Event::Acting { command: "run".to_owned(), version: "1".to_owned(), process: None }
    }

    fn misfits(error: &Result<(), ReplayError>) -> bool {
        matches!(error, Err(ReplayError::Misfit { .. }))
    }

    #[test]
    fn epochs_only_ever_rise() {
        let mut state = State::default();
        assert!(misfits(&state.apply(&entry(1, 0, acting()))));
        state.apply(&entry(1, 1, acting())).unwrap();
        assert!(misfits(&state.clone().apply(&entry(2, 1, acting()))));
        state.apply(&entry(2, 2, acting())).unwrap();
        state.apply(&entry(3, 1, Event::Left {})).unwrap();
        assert!(state.acting.writer.is_some(), "an older epoch leaves nothing");
        state.apply(&entry(4, 2, Event::Left {})).unwrap();
        assert_eq!(state.acting.writer, None);
    }

    #[test]
    fn an_event_of_another_run_does_not_fit_the_one_in_progress() {
        let mut state = State::default();
        state.apply(&entry(1, 1, run_started(1))).unwrap();
        assert!(misfits(&state.clone().apply(&entry(2, 1, run_started(2)))));
        let other = run_ended(2, RunOutcome::Failed);
        assert!(misfits(&state.clone().apply(&entry(2, 1, other))));
        state.apply(&entry(2, 1, run_ended(1, RunOutcome::Failed))).unwrap();
        assert!(state.active_run().is_none());
    }

    #[test]
    fn entries_come_in_order_without_a_gap() {
        let mut state = State::default();
        let gap = state.apply(&entry(2, 0, acting()));
        assert_eq!(gap, Err(ReplayError::Gap { expected: 1, found: 2 }));
        state.apply(&entry(1, 1, acting())).unwrap();
        let again = state.apply(&entry(1, 1, acting()));
        assert_eq!(again, Err(ReplayError::Gap { expected: 2, found: 1 }));
    }
}
