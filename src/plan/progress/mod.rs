//! What the run in progress needs next: one function a stage, each a straight reading of
//! what the services show.
//!
//! After a crash nothing is special: the same look is read the same way, and the furthest
//! thing that exists is adopted. Once loaded, repair forward: from the top is only safe
//! before the date's export id is spent (H21).

mod copy;
mod export;
mod load;
mod publish;
mod verify;

pub(super) use copy::{copier_call, describe_fault};
pub(crate) use load::{STOP_AGAIN_AFTER_SECONDS, TASK_APPEARS_WITHIN_MINUTES};

use chrono::{DateTime, Duration, Utc};

use super::rest::Rest;
use super::{EndRun, Step};
use crate::config::DatasetSettings;
use crate::domain::{Blindness, FailureReason, RunOutcome, Seen, Stage, Task};
use crate::ledger::{Repeat, Request, Run, State, StopWhy};
use crate::observe::{Observation, RunView, Watch};
use crate::plan::span;

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
        Stage::Copy => progress.copy(),
        Stage::Publish => progress.publish(),
        Stage::Verify => progress.verify(),
    }
}

/// Whether a task of the run's load may be alive.
#[must_use]
pub fn may_be_loading(run: &Run) -> bool {
    run.stage <= Stage::Load && run.load.is_some()
}

/// The stop of our task, when the tasks alone show that it must make way or that its hold may not
/// last longer: what needs no ledger and no other look.
#[must_use]
pub fn must_stop(
    ledger: &State,
    tasks: Seen<Vec<Task>>,
    dataset: &DatasetSettings,
    now: DateTime<Utc>,
) -> Option<Step> {
    let run =
        ledger.active_run().filter(|run| run.dataset == dataset.name && may_be_loading(run))?;
    let seen = Observation {
        scan: Seen::Blind(Vec::new()),
        watch: Watch { tasks, ..Watch::of_nothing(now) },
        confirmed: None,
    };
    let view = RunView::default();
    let progress = Progress { run, ledger, seen: &seen, view: &view, dataset, now };
    let step = progress.load_running(progress.listed_task()?).ok()?;
    let harmless =
        matches!(step, Step::StopTask { why: StopWhy::Yield | StopWhy::HoldTooLong, .. });
    harmless.then_some(step)
}

/// What the end of a run says that an operator asked for.
const CANCELLED: &str = "an operator cancelled the run";

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
        let patience =
            self.dataset.stage_deadline(self.run.stage).saturating_add(hours(UNSEEN_AT_MOST_HOURS));
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
        self.seen.watch.tasks.known()?.iter().find(|task| task.is_alive() && load.is_of(task))
    }

    // ---- the steps that every stage takes ---------------------------------------------

    fn cancel_requested(&self) -> bool {
        self.ledger.datasets.get(&self.run.dataset).is_some_and(|state| {
            state.pending.values().any(|(request, _)| *request == Request::Cancel)
        })
    }

    fn stage_took_longer_than(&self, limit: std::time::Duration) -> bool {
        let limit = span(limit);
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
