//! What the run in progress needs next: one function a stage, each a straight reading of
//! what the services show.
//!
//! After a crash nothing is special: the same look is read the same way, and the furthest
//! thing that exists is adopted. Once loaded, repair forward: from the top is only safe
//! before the date's export id is spent (H21).

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};

use super::rest::Rest;
use super::{EndRun, Step, census, expected, gates};
use crate::config::{DatasetSettings, Mode, PublishSettings};
use crate::domain::{
    Blindness, Export, ExportStatus, FailureReason, NodeKind, RunOutcome, Seen, Stage, TableId,
    Task, TaskState, WorkflowNode, WorkflowRun, WorkflowStatus,
};
use crate::ledger::state::LoadRecord;
use crate::ledger::{HoldWhy, Repeat, Request, Run, State, StopWhy};
use crate::observe::{Confirmation, Observation, RunView};

/// A task that ECS accepted may be unknown to `DescribeTasks` for a while.
const TASK_APPEARS_WITHIN_MINUTES: i64 = 5;
/// An intent whose answer was lost is repeated only while its token surely counts.
const INTENT_COUNTS_MINUTES: i64 = 60;
/// A stop that did not take is asked for again: a live load needs minutes before it drops the
/// database (H1), and a second stop does nothing.
const STOP_AGAIN_AFTER_SECONDS: i64 = 30;
/// A workflow start whose answer was lost shows itself within this time, or did not happen. The
/// wait doubles with every start.
const WORKFLOW_APPEARS_WITHIN_SECONDS: i64 = 30;
/// The workflow is asked for so many times at most, lost and refused requests included: half an
/// hour of throttling must not cost a date that is loaded and exported.
const WORKFLOW_STARTS_AT_MOST: usize = 7;
/// A workflow run in which no job ran is started again so often (H6).
const EMPTY_WORKFLOW_RUNS_AT_MOST: usize = 1;
/// Partitions show themselves within this time of the workflow's end.
const VERIFY_WITHIN_MINUTES: i64 = 15;
/// A run that cannot be seen is waited for so long after its deadline, then it is for a person.
const UNSEEN_AT_MOST_HOURS: i64 = 24;

/// The next step of the run in progress.
pub(super) fn next(
    run: &Run,
    ledger: &State,
    seen: &Observation,
    dataset: &DatasetSettings,
    now: DateTime<Utc>,
) -> Result<Step, Rest> {
    let nothing = RunView::default();
    let view = match &seen.watch.run {
        Some(Seen::Known(view)) => view,
        Some(Seen::Blind(causes)) => {
            return Progress { run, ledger, seen, view: &nothing, dataset, now }.unseen(causes);
        }
        None => return Err(waits(run, "it was not looked at yet")),
    };
    let progress = Progress { run, ledger, seen, view, dataset, now };
    if run.stage > Stage::Load && progress.cancel_requested() {
        return Ok(progress.cancel(CANCELLED));
    }
    match run.stage {
        Stage::Preflight | Stage::StageDump | Stage::Load => progress.load(),
        Stage::Snapshot => progress.snapshot(),
        Stage::Export => progress.export(),
        Stage::Publish => progress.publish(),
        Stage::Verify => progress.verify(),
    }
}

/// What the end of a run says that an operator asked for.
const CANCELLED: &str = "an operator cancelled the run";

/// Whether the task is the one that the run asked for.
fn is_of(task: &Task, load: &LoadRecord) -> bool {
    load.task_arn.as_deref() == Some(task.arn.as_str())
        || task.started_by.as_deref() == Some(load.task.started_by.as_str())
}

fn hours(count: i64) -> std::time::Duration {
    Duration::hours(count).to_std().unwrap_or_default()
}

fn waits(run: &Run, detail: impl Into<String>) -> Rest {
    Rest::InProgress { run: run.id.clone(), stage: run.stage, detail: detail.into() }
}

struct Progress<'a> {
    run: &'a Run,
    ledger: &'a State,
    seen: &'a Observation,
    view: &'a RunView,
    dataset: &'a DatasetSettings,
    now: DateTime<Utc>,
}

impl Progress<'_> {
    // ---- what needs only the tasks and the ledger ------------------------------------

    /// The run could not be seen. Yielding, stopping and deadlines go on all the same.
    fn unseen(&self, causes: &[Blindness]) -> Result<Step, Rest> {
        if self.run.stage <= Stage::Load
            && self.run.load.as_ref().is_some_and(|load| load.task_arn.is_some())
            && let Some(task) = self.listed_task()
        {
            return self.load_running(task);
        }
        let patience = self.stage_deadline().saturating_add(hours(UNSEEN_AT_MOST_HOURS));
        if self.stage_took_longer_than(patience) {
            let detail = format!(
                "it could not be seen until {UNSEEN_AT_MOST_HOURS} hours after its deadline"
            );
            return Ok(self.fail(FailureReason::Deadline, detail, Repeat::Unsafe));
        }
        Err(Rest::Blind(causes.to_vec()))
    }

    /// Our task among those of the family that are alive.
    fn listed_task(&self) -> Option<&Task> {
        let load = self.run.load.as_ref()?;
        self.seen.watch.tasks.known()?.iter().find(|task| task.is_alive() && is_of(task, load))
    }

    fn stage_deadline(&self) -> std::time::Duration {
        let load = self.dataset.load.deadline;
        match self.run.stage {
            Stage::Preflight | Stage::StageDump | Stage::Load => load,
            Stage::Snapshot | Stage::Export => {
                self.dataset.export.as_ref().map_or(load, |export| export.deadline)
            }
            Stage::Publish | Stage::Verify => {
                self.dataset.publish.as_ref().map_or(load, |publish| publish.deadline)
            }
        }
    }

    // ---- load ------------------------------------------------------------------------

    fn load(&self) -> Result<Step, Rest> {
        let Some(load) = &self.run.load else {
            return Ok(self.end(RunOutcome::Cancelled, "it was begun but never intended"));
        };
        let Some(arn) = &load.task_arn else { return self.load_unanswered(load) };
        match self.view.task.as_ref().or_else(|| self.listed_task()) {
            None => self.load_unknown(load, arn),
            Some(task) if task.is_alive() => self.load_running(task),
            Some(task) => Ok(self.load_over(task)),
        }
    }

    /// The intent is recorded, the answer is not: adopt what exists, or send the same again.
    fn load_unanswered(&self, load: &LoadRecord) -> Result<Step, Rest> {
        if let Some(task) = self.view.task.as_ref().or_else(|| self.listed_task()) {
            let task_arn = task.arn.clone();
            return Ok(Step::NoteTask { run: self.run.id.clone(), task_arn });
        }
        if let Some(step) = self.adopt_furthest() {
            return Ok(step);
        }
        if self.now - load.intended_at > Duration::minutes(INTENT_COUNTS_MINUTES) {
            let detail = "its load was intended over an hour ago and never seen";
            return Ok(self.end(RunOutcome::Cancelled, detail));
        }
        if self.cancel_requested() {
            return self.give_up(load, self.cancel(CANCELLED), CANCELLED);
        }
        let closed = gates::closed_to_repetition(self.ledger, self.seen, self.dataset, self.now);
        let closed = match (closed, &self.seen.watch.traffic) {
            (Some(rest), _) => Some(rest),
            (None, None) => return Ok(Step::Survey),
            (None, Some(traffic)) => gates::closed_by_traffic(traffic, self.now),
        };
        match closed {
            Some(Rest::Blind(causes)) => return Err(Rest::Blind(causes)),
            Some(rest) => return self.never_began(load, &format!("not started: {rest}")),
            None => {}
        }
        match &self.seen.confirmed {
            Some(Seen::Known(look)) if look.date == self.run.date => {
                if look.whole.is_empty() && look.half.is_empty() {
                    let (run, task) = (self.run.id.clone(), load.task.clone());
                    return Ok(Step::Resubmit { run, task });
                }
                let detail = "the date appeared before its load was started";
                self.never_began(load, detail)
            }
            Some(Seen::Blind(causes)) => Err(Rest::Blind(causes.clone())),
            Some(Seen::Known(_)) | None => Ok(Step::Confirm { date: self.run.date }),
        }
    }

    fn never_began(&self, load: &LoadRecord, why: &str) -> Result<Step, Rest> {
        self.give_up(load, self.end(RunOutcome::Void, why), why)
    }

    /// Ends a run whose load is not known to exist, once a task that was accepted all the same
    /// would have shown itself: a task that nobody watches never yields (H1).
    fn give_up(&self, load: &LoadRecord, end: Step, why: &str) -> Result<Step, Rest> {
        if self.now - load.intended_at < Duration::minutes(TASK_APPEARS_WITHIN_MINUTES) {
            let detail = format!("{why}; its task may still show itself");
            return Err(waits(self.run, detail));
        }
        Ok(end)
    }

    /// ECS does not know the task: too new, or forgotten while nobody looked.
    fn load_unknown(&self, load: &LoadRecord, arn: &str) -> Result<Step, Rest> {
        if let Some(step) = self.adopt_furthest() {
            return Ok(step);
        }
        if let Seen::Blind(causes) = &self.seen.watch.tasks {
            return Err(Rest::Blind(causes.clone()));
        }
        let submitted = load.submitted_at.unwrap_or(load.intended_at);
        if self.now - submitted < Duration::minutes(TASK_APPEARS_WITHIN_MINUTES) {
            return Err(waits(self.run, "waiting for the task to show itself"));
        }
        let detail = format!("task {arn} is gone, and it left no snapshot and no export");
        Ok(self.fail(FailureReason::Lost, detail, Repeat::FromTheTop))
    }

    fn load_running(&self, task: &Task) -> Result<Step, Rest> {
        if let Some(stop) = &self.run.stopping {
            if self.now - stop.at > Duration::seconds(STOP_AGAIN_AFTER_SECONDS) {
                return Ok(self.stop(task, stop.why, stop.detail.clone()));
            }
            return Err(waits(self.run, format!("stopping the task: {}", stop.detail)));
        }
        if let Some(foreign) = self.foreign_task() {
            let detail = format!("yielding to {}", gates::describe_task(foreign));
            return Ok(self.stop(task, StopWhy::Yield, detail));
        }
        if self.cancel_requested() {
            return Ok(self.stop(task, StopWhy::Cancelled, CANCELLED.to_owned()));
        }
        if self.hold_is_over() {
            let detail = "the trigger may not be held any longer (trigger.max_hold)".to_owned();
            return Ok(self.stop(task, StopWhy::HoldTooLong, detail));
        }
        if self.stage_took_longer_than(self.dataset.load.deadline) {
            let limit = humantime::format_duration(self.dataset.load.deadline);
            let detail = format!("the load is past its deadline of {limit}");
            return Ok(self.stop(task, StopWhy::Deadline, detail));
        }
        if let Seen::Blind(causes) = &self.seen.watch.tasks {
            return Err(Rest::Blind(causes.clone())); // a live run could not be seen either
        }
        let state = match task.state {
            TaskState::Starting => "starting",
            TaskState::Running => "running",
            TaskState::Stopping | TaskState::Stopped => "stopping",
        };
        Err(waits(self.run, format!("the task is {state}")))
    }

    fn load_over(&self, task: &Task) -> Step {
        let exit = task.exit_code;
        if exit == Some(0) {
            let next = self.stage_after_load();
            return self.end_stage(next, "the task stopped with exit code 0");
        }
        if let Some(stop) = &self.run.stopping {
            return self.load_stopped(stop.why, &stop.detail);
        }
        if let Some(step) = self.adopt_furthest() {
            return step; // what it left goes on by itself, whatever its exit code
        }
        let code =
            exit.map_or("without an exit code".to_owned(), |code| format!("exit code {code}"));
        let reason = task.stopped_reason.as_deref().unwrap_or("no reason given");
        let mut detail = format!("the task stopped with {code}: {reason}");
        let last: Vec<&str> = self.view.log_tail.iter().rev().take(3).map(String::as_str).collect();
        if !last.is_empty() {
            let lines: Vec<&str> = last.into_iter().rev().collect();
            detail = format!("{detail}; its log ends: {}", lines.join(" | "));
        }
        let class = if exit.is_none() { FailureReason::NotStarted } else { FailureReason::Failed };
        self.fail(class, detail, Repeat::FromTheTop) // no export exists, or it was adopted
    }

    fn load_stopped(&self, why: StopWhy, detail: &str) -> Step {
        if let Some(step) = self.adopt_furthest() {
            return step; // it got through before the stop took
        }
        match why {
            StopWhy::Yield => self.end(RunOutcome::Void, detail),
            StopWhy::Cancelled => self.cancel(detail),
            // A load that never fits under its hold must run out of attempts one day.
            StopWhy::Deadline | StopWhy::HoldTooLong => {
                self.fail(FailureReason::Deadline, detail, Repeat::FromTheTop)
            }
        }
    }

    /// Whether the run's own hold of the trigger is past its end.
    fn hold_is_over(&self) -> bool {
        self.ledger.hold_of(&self.run.dataset).is_some_and(|hold| {
            hold.why == HoldWhy::Run { run: self.run.id.clone() }
                && hold.keeps_rule_disabled()
                && self.now >= hold.until
        })
    }

    /// A later trace of this run exists: go on from there.
    fn adopt_furthest(&self) -> Option<Step> {
        let found =
            if !self.view.workflow_runs.is_empty() && self.dataset.publish.is_some() {
                (Stage::Publish, "its workflow run exists")
            } else if self.view.export.is_some() {
                (Stage::Export, "its export exists")
            } else if self.view.snapshot.as_ref().is_some_and(|snapshot| {
                snapshot.created_at.is_none_or(|at| at >= self.run.started_at)
            }) {
                (Stage::Snapshot, "its snapshot exists")
            } else {
                return None;
            };
        Some(self.end_stage(found.0, found.1))
    }

    fn stage_after_load(&self) -> Stage {
        match (&self.dataset.export, &self.dataset.publish) {
            (Some(_), _) => Stage::Snapshot,
            (None, Some(_)) => Stage::Publish,
            (None, None) => Stage::Verify,
        }
    }

    /// The live run, or a colleague's: a task of the family that is not ours (H1).
    fn foreign_task(&self) -> Option<&Task> {
        let load = self.run.load.as_ref()?;
        self.seen.watch.tasks.known()?.iter().find(|task| task.is_alive() && !is_of(task, load))
    }

    // ---- snapshot and export ---------------------------------------------------------

    fn snapshot(&self) -> Result<Step, Rest> {
        let Some(export) = &self.dataset.export else {
            return Ok(self.end_stage(self.stage_after_export(), "no export is configured"));
        };
        if self.view.export.is_some() {
            return Ok(self.end_stage(Stage::Export, "its export has begun"));
        }
        match &self.view.snapshot {
            Some(snapshot) if snapshot.is_available() => {
                let detail = format!("snapshot {} is available", snapshot.id);
                Ok(self.end_stage(Stage::Export, detail))
            }
            Some(snapshot) if snapshot.status == "failed" => {
                let detail = format!("snapshot {} failed", snapshot.id);
                Ok(self.fail(FailureReason::Failed, detail, Repeat::FromTheTop))
            }
            Some(_) | None if self.stage_took_longer_than(export.deadline) => {
                let detail = "the snapshot did not become available in time";
                Ok(self.fail(FailureReason::Deadline, detail, Repeat::FromTheTop))
            }
            Some(snapshot) => {
                let percent = snapshot.percent.map(|p| format!(", {p}%")).unwrap_or_default();
                Err(waits(
                    self.run,
                    format!("snapshot {} is {}{percent}", snapshot.id, snapshot.status),
                ))
            }
            None => Err(waits(self.run, "waiting for the snapshot to show itself")),
        }
    }

    fn export(&self) -> Result<Step, Rest> {
        let late = self
            .dataset
            .export
            .as_ref()
            .is_some_and(|export| self.stage_took_longer_than(export.deadline));
        match &self.view.export {
            None if late => {
                let detail = "the pipeline did not start the export in time";
                Ok(self.fail(FailureReason::Deadline, detail, Repeat::FromTheTop))
            }
            None => Err(waits(self.run, "waiting for the pipeline to start the export")),
            Some(export) => self.export_found(export, late),
        }
    }

    fn export_found(&self, export: &Export, late: bool) -> Result<Step, Rest> {
        if let Some(reason) = census::spent_reason(export, false) {
            return Ok(self.fail(FailureReason::Failed, reason, Repeat::Unsafe));
        }
        match &export.status {
            ExportStatus::Complete => {
                let detail = format!("export {} is complete", export.id);
                Ok(self.end_stage(self.stage_after_export(), detail))
            }
            ExportStatus::Starting | ExportStatus::InProgress | ExportStatus::Ended(_) if late => {
                let detail = format!("export {} is past its deadline; its id is spent", export.id);
                Ok(self.fail(FailureReason::Deadline, detail, Repeat::Unsafe))
            }
            ExportStatus::Starting | ExportStatus::InProgress | ExportStatus::Ended(_) => {
                let percent = export.percent.unwrap_or(0);
                Err(waits(self.run, format!("export {} is at {percent}%", export.id)))
            }
        }
    }

    fn stage_after_export(&self) -> Stage {
        if self.dataset.publish.is_some() { Stage::Publish } else { Stage::Verify }
    }

    // ---- publish ---------------------------------------------------------------------

    fn publish(&self) -> Result<Step, Rest> {
        let Some(publish) = &self.dataset.publish else {
            return Ok(self.end_stage(Stage::Verify, "no workflow is configured"));
        };
        let Some(found) = self.date_workflow_run() else { return self.publish_absent(publish) };
        if self.run.workflow_run.as_deref() != Some(found.id.as_str()) {
            return Ok(Step::NoteWorkflow {
                run: self.run.id.clone(),
                workflow_run: found.id.clone(),
                ours: !self.run.publish_intended.is_empty(),
            });
        }
        match &found.status {
            WorkflowStatus::Running if self.stage_took_longer_than(publish.deadline) => {
                let detail = format!(
                    "workflow run {} is past its deadline; it was left running, for stopping it would leave half a date",
                    found.id
                );
                Ok(self.fail(FailureReason::Deadline, detail, Repeat::Unsafe))
            }
            WorkflowStatus::Running => {
                Err(waits(self.run, format!("workflow run {} is running", found.id)))
            }
            WorkflowStatus::Completed | WorkflowStatus::Ended(_) => {
                self.publish_over(found, publish)
            }
        }
    }

    /// The workflow run of the date that counts now. There may be several of a date (H10): one
    /// that is running comes first, then one that succeeded, then one that may have written
    /// something, and only if there is no such run one that wrote nothing.
    fn date_workflow_run(&self) -> Option<&WorkflowRun> {
        let found = self.view.workflow_runs.iter().filter(|found| self.is_news(found));
        found.max_by_key(|found| match &found.status {
            WorkflowStatus::Running => 3,
            WorkflowStatus::Completed | WorkflowStatus::Ended(_) => match judge_workflow(found) {
                Verdict::Good => 2,
                Verdict::Bad(_) => 1,
                Verdict::NothingRan(_) => 0,
            },
        })
    }

    /// Whether the workflow run was not found wanting already, by this run or by an earlier one
    /// of the date: a date that is taken up again must not fail by what failed before.
    fn is_news(&self, found: &WorkflowRun) -> bool {
        let earlier = self.ledger.runs_of(&self.run.dataset, self.run.date);
        let by_earlier = earlier.filter(|run| run.id != self.run.id).any(|run| {
            run.workflow_run.as_ref() == Some(&found.id)
                || run.workflow_runs_judged.contains(&found.id)
        });
        let over = found.status != WorkflowStatus::Running;
        !(self.run.workflow_runs_judged.contains(&found.id) || (over && by_earlier))
    }

    fn publish_absent(&self, publish: &PublishSettings) -> Result<Step, Rest> {
        if let Some(asked) = self.run.publish_intended.last() {
            let starts = u32::try_from(self.run.publish_intended.len()).unwrap_or(u32::MAX);
            let doublings = starts.saturating_sub(1).min(6);
            let patience = Duration::seconds(WORKFLOW_APPEARS_WITHIN_SECONDS << doublings);
            if self.now - *asked < patience {
                return Err(waits(self.run, "waiting for the workflow run to show itself"));
            }
        } else {
            let export_end = self.view.export.as_ref().and_then(|export| export.ended_at);
            let since = export_end.unwrap_or(self.run.stage_since);
            let patience = Duration::from_std(publish.start_within).unwrap_or_default();
            if self.now - since < patience {
                return Err(waits(self.run, "waiting for the pipeline to start the workflow"));
            }
        }
        if self.stage_took_longer_than(publish.deadline) {
            let detail = "no workflow run of the date began in time";
            return Ok(self.fail(FailureReason::Deadline, detail, Repeat::Unsafe));
        }
        self.start_workflow(publish)
    }

    fn start_workflow(&self, publish: &PublishSettings) -> Result<Step, Rest> {
        if self.run.publish_intended.len() >= WORKFLOW_STARTS_AT_MOST {
            let detail = format!("workflow {} could not be started", publish.workflow);
            return Ok(self.fail(FailureReason::NotStarted, detail, Repeat::Unsafe));
        }
        if self.dataset.mode == Mode::Observe {
            return Err(waits(self.run, "mode is observe: the workflow is not started"));
        }
        if self.view.workflow_busy {
            return Err(waits(
                self.run,
                "waiting for another workflow run to end before starting ours",
            ));
        }
        let value = publish.date_format.render(self.run.date);
        Ok(Step::StartWorkflow {
            run: self.run.id.clone(),
            workflow: publish.workflow.clone(),
            properties: BTreeMap::from([(publish.date_property.clone(), value)]),
        })
    }

    fn publish_over(&self, found: &WorkflowRun, publish: &PublishSettings) -> Result<Step, Rest> {
        match judge_workflow(found) {
            Verdict::Good => {
                let detail = format!("workflow run {} succeeded, node by node", found.id);
                Ok(self.end_stage(Stage::Verify, detail))
            }
            Verdict::NothingRan(why)
                if self.run.workflow_runs_judged.len() < EMPTY_WORKFLOW_RUNS_AT_MOST =>
            {
                // No job ran, so nothing was written: starting it again is safe (H6).
                self.start_workflow(publish).map_err(|_| {
                    let id = &found.id;
                    waits(
                        self.run,
                        format!(
                            "workflow run {id} wrote nothing ({why}); waiting to start it again"
                        ),
                    )
                })
            }
            Verdict::NothingRan(why) | Verdict::Bad(why) => {
                let detail = format!("workflow run {} did not succeed: {why}", found.id);
                Ok(self.fail(FailureReason::Failed, detail, Repeat::Unsafe))
            }
        }
    }

    // ---- verify ----------------------------------------------------------------------

    fn verify(&self) -> Result<Step, Rest> {
        let look = match &self.seen.confirmed {
            Some(Seen::Known(look)) if look.date == self.run.date => look,
            Some(Seen::Blind(causes)) => return self.unseen(causes),
            Some(Seen::Known(_)) | None => return Ok(Step::Confirm { date: self.run.date }),
        };
        let found = self.proof(look);
        if found.missing.is_empty() && found.present > 0 {
            let detail = format!("{} tables have it, with objects", found.present);
            let end = self.ending(RunOutcome::Succeeded, detail);
            let tables_present = Some(found.present);
            return Ok(Step::EndRun(Box::new(EndRun { tables_present, ..end })));
        }
        let limit = match &self.dataset.publish {
            Some(_) => Duration::minutes(VERIFY_WITHIN_MINUTES),
            None => Duration::from_std(self.dataset.load.deadline).unwrap_or(Duration::MAX),
        };
        let lacking = format!(
            "{} tables lack it, e.g. {}",
            found.missing.len(),
            found.missing.first().map_or("all of them", String::as_str)
        );
        if self.now - self.run.stage_since > limit {
            let detail = format!("every stage said success, but {lacking}");
            return Ok(Step::EndRun(Box::new(EndRun {
                reason: Some(FailureReason::OutputMissing),
                repeat: Repeat::Unsafe,
                tables_present: Some(found.present),
                ..self.ending(RunOutcome::Failed, detail)
            })));
        }
        Err(waits(self.run, format!("waiting for partitions: {lacking}")))
    }

    /// Which of the tables that should have the date have it, by the narrow look.
    fn proof(&self, look: &Confirmation) -> Proof {
        let present = u32::try_from(look.whole.len()).unwrap_or(u32::MAX);
        // What the export held counts (H28), unless it names none of our tables.
        let exported: Option<Vec<TableId>> = look.exported.as_ref().map(|exported| {
            look.tables.iter().filter(|id| exported.contains(&id.table)).cloned().collect()
        });
        let exported = exported.filter(|exported| !exported.is_empty());
        let blind_scan = exported.is_none() && self.seen.scan.known().is_none();
        let expected: Vec<TableId> = match (exported, self.seen.scan.known()) {
            (Some(exported), _) => exported,
            (None, Some(scan)) => expected::expected_tables(&scan.coverage, self.run.date),
            (None, None) => look.half.iter().cloned().collect(),
        };
        let mut missing: Vec<String> = expected
            .iter()
            .filter(|id| !look.whole.contains(*id))
            .map(ToString::to_string)
            .collect();
        if blind_scan && present < self.run.tables_expected {
            missing.push(format!("{} tables", self.run.tables_expected - present));
        }
        Proof { present, missing }
    }

    // ---- small things ----------------------------------------------------------------

    fn cancel_requested(&self) -> bool {
        self.ledger.datasets.get(&self.run.dataset).is_some_and(|state| {
            state.pending.values().any(|(request, _)| *request == Request::Cancel)
        })
    }

    fn stage_took_longer_than(&self, limit: std::time::Duration) -> bool {
        let limit = Duration::from_std(limit).unwrap_or(Duration::MAX);
        self.now - self.run.stage_since > limit
    }

    fn stop(&self, task: &Task, why: StopWhy, detail: String) -> Step {
        Step::StopTask {
            run: self.run.id.clone(),
            cluster: self.dataset.load.cluster.clone(),
            task_arn: task.arn.clone(),
            why,
            detail,
        }
    }

    fn end_stage(&self, next: Stage, detail: impl Into<String>) -> Step {
        Step::EndStage {
            run: self.run.id.clone(),
            stage: self.run.stage,
            next,
            detail: detail.into(),
        }
    }

    fn fail(&self, reason: FailureReason, detail: impl Into<String>, repeat: Repeat) -> Step {
        let end = self.ending(RunOutcome::Failed, detail.into());
        Step::EndRun(Box::new(EndRun { reason: Some(reason), repeat, ..end }))
    }

    fn end(&self, outcome: RunOutcome, detail: impl Into<String>) -> Step {
        Step::EndRun(Box::new(self.ending(outcome, detail.into())))
    }

    /// Whoever cancelled a run does not want to see it begun again at once.
    fn cancel(&self, detail: &str) -> Step {
        let ending = self.ending(RunOutcome::Cancelled, detail.to_owned());
        Step::EndRun(Box::new(EndRun { repeat: Repeat::Unsafe, ..ending }))
    }

    fn ending(&self, outcome: RunOutcome, detail: String) -> EndRun {
        EndRun {
            run: self.run.id.clone(),
            outcome,
            stage: self.run.stage,
            reason: None,
            detail,
            log_tail: self.view.log_tail.clone(),
            repeat: Repeat::FromTheTop,
            tables_present: None,
        }
    }
}

struct Proof {
    present: u32,
    missing: Vec<String>,
}

/// What a finished workflow run was worth (H26): its word COMPLETED means nothing.
enum Verdict {
    /// Every node ran and succeeded.
    Good,
    /// It ended before any job ran: nothing was written.
    NothingRan(String),
    /// A job failed, or may have: something may have been written.
    Bad(String),
}

fn judge_workflow(found: &WorkflowRun) -> Verdict {
    let counted = found.statistics;
    if let WorkflowStatus::Ended(status) = &found.status {
        let why = found.error.clone().unwrap_or_else(|| format!("it ended as {status}"));
        let untouched = counted.is_some_and(|counted| counted.total == 0);
        return if untouched { Verdict::NothingRan(why) } else { Verdict::Bad(why) };
    }
    if found.nodes.is_empty() {
        return match counted {
            Some(counted) if counted.unsuccessful == 0 && counted.succeeded == counted.total => {
                Verdict::Good
            }
            Some(counted) => Verdict::Bad(format!(
                "{} of {} actions succeeded",
                counted.succeeded, counted.total
            )),
            None => Verdict::Good, // nothing to judge by: the data decides in `verify`
        };
    }
    let bad: Vec<&WorkflowNode> = found.nodes.iter().filter(|node| !succeeded(node)).collect();
    let Some(first) = bad.first() else { return Verdict::Good };
    let why = describe_node(first);
    let a_job_ran =
        found.nodes.iter().any(|node| node.kind == NodeKind::Job && !node.runs.is_empty());
    if a_job_ran { Verdict::Bad(why) } else { Verdict::NothingRan(why) }
}

fn succeeded(node: &WorkflowNode) -> bool {
    node.runs.last().is_some_and(|run| run.state == "SUCCEEDED")
}

fn describe_node(node: &WorkflowNode) -> String {
    match node.runs.last() {
        None => format!("`{}` never ran", node.name),
        Some(run) => {
            let error = run.error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
            format!("`{}` is {}{error}", node.name, run.state)
        }
    }
}
