//! The load: our ECS task, from the intent to its exit. Yielding to a live task comes first (H1).

use chrono::Duration;

use super::{CANCELLED, Progress, waits};
use crate::domain::{FailureReason, RunOutcome, Seen, Stage, Task, TaskState};
use crate::ledger::state::LoadRecord;
use crate::ledger::{HoldWhy, Repeat, StopWhy};
use crate::plan::rest::Rest;
use crate::plan::{Step, gates};

/// A task that ECS accepted may be unknown to `DescribeTasks` for a while.
pub(crate) const TASK_APPEARS_WITHIN_MINUTES: i64 = 5;
/// An intent whose answer was lost is repeated only while its token surely counts.
const INTENT_COUNTS_MINUTES: i64 = 60;
/// A stop that did not take is asked for again: a live load needs minutes before it drops the
/// database (H1), and a second stop does nothing.
pub(crate) const STOP_AGAIN_AFTER_SECONDS: i64 = 5;

impl Progress<'_> {
    pub(super) fn load(&self) -> Result<Step, Rest> {
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
            (None, Some(traffic)) => gates::closed_by_traffic(traffic, self.dataset, self.now),
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

    pub(super) fn load_running(&self, task: &Task) -> Result<Step, Rest> {
        if let Some(stop) = &self.run.stopping {
            let took = task.state == TaskState::Stopping;
            // Also when the clock went back since.
            if !took && (self.now - stop.at).abs() >= Duration::seconds(STOP_AGAIN_AFTER_SECONDS) {
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
        if self.view.snapshot.as_ref().is_some_and(crate::domain::Snapshot::is_available) {
            // Its last act is done: ECS may show it as running for hours.
            let detail = "its snapshot is available, although ECS still shows its task";
            return Ok(self.end_stage(self.stage_after_load(), detail));
        }
        if let Seen::Blind(causes) = &self.seen.watch.tasks {
            return Err(Rest::Blind(causes.clone())); // a live run could not be seen either
        }
        let state = match task.state {
            TaskState::Listed => "there, and not described by ECS",
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
            if !self.view.workflow_runs.is_empty() && self.dataset.copy.is_some() {
                (Stage::Copy, "its workflow run exists")
            } else if !self.view.workflow_runs.is_empty() && self.dataset.publish.is_some() {
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
        self.seen.watch.tasks.known()?.iter().find(|task| task.is_alive() && !load.is_of(task))
    }
}
