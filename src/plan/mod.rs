//! Deciding. [`plan`] is pure and total: from the ledger, an observation, the settings and
//! the time it makes a census of the dates, a queue, and **at most one** [`Step`].
//!
//! "One at a time" is therefore a type and not a lock. Start-up, the nightly scan, a request
//! and a retry all come through here. Doing nothing is an answer with its reason ([`Rest`]).
//!
//! What this layer never does: IO, reading a clock, remembering.
//!
//! ```text
//! tend ── hold        what the hold of the trigger needs next: asked first in every pass
//!      └─ sweep       what landed while it was held
//! serve_upload         what a dump needs that a person asked to be put into the landing bucket
//! plan ── census      what each date is, and why            (calendar, expected, lag)
//!      ├─ queue       the healable ones, in order
//!      ├─ progress    what the run in progress needs next
//!      └─ start       what the head of the queue needs next, or which gate is closed
//! ```

mod calendar;
mod census;
mod expected;
mod gates;
mod hold;
mod lag;
mod live;
mod progress;
mod queue;
mod rest;
mod staging;
mod start;
mod sweep;
#[cfg(test)]
mod tests;
mod upload;
mod wake;

use chrono::{DateTime, Duration, NaiveDate, Utc};

pub use calendar::{is_expected, local, local_instant};
pub use census::{Census, DateVerdict, Gap};
pub use expected::{RETIRED_AFTER_DATES, expected_tables};
pub(crate) use gates::odd_target;
pub use hold::{HoldPlan, release_due_at, tend};
pub use live::{Newest, awaited, newest, rescue_until};
pub(crate) use progress::TASK_APPEARS_WITHIN_MINUTES;
pub use progress::{may_be_loading, must_stop};
pub use rest::Rest;
pub use sweep::Swept;
pub use upload::{serve as serve_upload, would_hold};
pub use wake::after_no_answer;

use crate::config::DatasetSettings;
use crate::domain::{Dump, FailureReason, RunOutcome, Stage};
use crate::ledger::{Asked, HoldStep, Repeat, Run, State, StopWhy, Upload, UploadOutcome};
use crate::observe::Observation;
use crate::platform::{DeadMan, TaskRequest};

/// What is to be done now, and everything that led to it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Every date's status.
    pub census: Option<Census>,
    /// The healable dates, in order.
    pub queue: Vec<Candidate>,
    /// The one thing to do, or why nothing.
    pub step: Result<Step, Rest>,
    /// When to look again at the latest.
    pub wake_at: DateTime<Utc>,
}

/// A date that can be healed.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The date.
    pub date: NaiveDate,
    /// The number its next run will have.
    pub attempt: u32,
    /// The dump that the task will read.
    pub dump: Dump,
    /// Who asked for it by name, or the schedule.
    pub asked: Asked,
    /// The rule of the configuration that allows it.
    pub permitted_by: String,
    /// Whether its files lie in the copy, whole: nothing is loaded.
    pub takes_up: bool,
}

/// The one thing to do. It carries all that `act` needs: the actor has no choices.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Look at the snapshots, exports and workflow runs that a start must not meet, then plan
    /// again with what was seen.
    Survey,
    /// Look at one date narrowly, then plan again with what was seen.
    Confirm {
        /// The date.
        date: NaiveDate,
    },
    /// Begin a run at its load.
    Begin(Box<Begin>),
    /// Begin a run at a later stage, for its export exists already (H21).
    TakeUp(Box<Begin>),
    /// Send the load's request again, with the same token: its answer was lost.
    Resubmit {
        /// The run.
        run: String,
        /// The same request.
        task: TaskRequest,
    },
    /// Note the task that a lost answer was about.
    NoteTask {
        /// The run.
        run: String,
        /// The task.
        task_arn: String,
    },
    /// Stop our task.
    StopTask {
        /// The run.
        run: String,
        /// The cluster.
        cluster: String,
        /// The task.
        task_arn: String,
        /// Why.
        why: StopWhy,
        /// In words.
        detail: String,
    },
    /// Note that a stage is over.
    EndStage {
        /// The run.
        run: String,
        /// The stage that is over.
        stage: Stage,
        /// The one that begins.
        next: Stage,
        /// What was seen.
        detail: String,
    },
    /// Note the workflow run of the date.
    NoteWorkflow {
        /// The run.
        run: String,
        /// Its id.
        workflow_run: String,
        /// Whether we started it.
        ours: bool,
    },
    /// Start the workflow ourselves (H19).
    StartWorkflow {
        /// The run.
        run: String,
        /// The workflow.
        workflow: String,
        /// The run properties.
        properties: std::collections::BTreeMap<String, String>,
    },
    /// Note that the run is over.
    EndRun(Box<EndRun>),

    /// Write down that the trigger is about to be held.
    Hold(Box<HoldPlan>),
    /// Arm the hold's dead man's switch.
    ArmDeadMan {
        /// The hold.
        hold: String,
        /// The switch.
        switch: DeadMan,
    },
    /// Delete the hold's dead man's switch.
    DisarmDeadMan {
        /// Its group.
        group: String,
        /// Its name.
        name: String,
    },
    /// Note that the switch was read back, and disable the rule.
    DisableRule {
        /// The hold.
        hold: String,
        /// The rule.
        rule: String,
        /// Its bus.
        event_bus: String,
    },
    /// Enable the rule; the hold's entry is already the intent, so no ledger is needed. Asked
    /// for also when the rule was read as enabled: only an answered request proves it.
    EnableRule {
        /// The hold.
        hold: String,
        /// The rule.
        rule: String,
        /// Its bus.
        event_bus: String,
        /// Why now.
        why: String,
    },
    /// Enable a rule whose hold is proven by its switch alone, and delete the switch.
    ReleaseProven {
        /// The switch.
        switch: DeadMan,
    },
    /// Note that a step of the hold was seen done.
    MoveHold {
        /// The hold.
        hold: String,
        /// Which.
        step: HoldStep,
        /// What was seen.
        detail: String,
    },
    /// Copy the dump to the name that the task reads, under a hold that is felt.
    StageDump {
        /// The hold.
        hold: String,
        /// The rule and its bus: it is read again right before the write (H15).
        rule: (String, String),
        /// The landing bucket.
        bucket: String,
        /// The dump's key.
        from: String,
        /// The key that the task reads.
        to: String,
        /// What is recorded as the attempt when the copy is refused.
        begin: Box<Begin>,
    },
    /// Make the object of an upload's parts, under a hold that is felt.
    WriteUpload {
        /// The hold.
        hold: String,
        /// The rule and its bus: it is read again right before the write (H15).
        rule: (String, String),
        /// The upload.
        upload: Box<Upload>,
    },
    /// Forget an upload's parts, and note that it is over.
    EndUpload {
        /// The upload.
        upload: Box<Upload>,
        /// How.
        outcome: UploadOutcome,
        /// In words.
        detail: String,
    },
    /// Note that the hold is over, with the live dumps that landed in it.
    CloseHold {
        /// The hold.
        hold: String,
        /// The dataset.
        dataset: String,
        /// By whom the rule was enabled.
        detail: String,
        /// What landed.
        swept: Vec<Swept>,
        /// Live tasks that began after our write.
        fired: Vec<String>,
    },
    /// Note that the live run of a dump failed because of us: it is driven again (H2).
    SweepHurt {
        /// The dataset.
        dataset: String,
        /// The dump.
        dump: Swept,
        /// What was seen.
        detail: String,
    },
    /// Start the live run of a swept dump, as the rule's own target would.
    DriveLive {
        /// The dataset.
        dataset: String,
        /// The date: today, in UTC.
        date: NaiveDate,
        /// The request.
        task: TaskRequest,
    },
    /// Note that the day of a swept dump is over.
    MissLiveDump {
        /// The dataset.
        dataset: String,
        /// The date.
        date: NaiveDate,
        /// Its key.
        key: String,
        /// Its `ETag`.
        etag: String,
    },
}

/// The beginning of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Begin {
    /// What is healed.
    pub candidate: Candidate,
    /// The stage it begins at.
    pub stage: Stage,
    /// The run's id.
    pub run: String,
    /// The load, when it begins there; token and `startedBy` are filled in by `act`.
    pub load: Option<TaskRequest>,
    /// Tables that are expected to have the date in the end.
    pub tables_expected: u32,
    /// Tables that have it already, whole or by half.
    pub tables_before: u32,
    /// When the confirming look began.
    pub preflight_at: DateTime<Utc>,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct EndRun {
    /// The run.
    pub run: String,
    /// How.
    pub outcome: RunOutcome,
    /// In which stage.
    pub stage: Stage,
    /// Why it failed.
    pub reason: Option<FailureReason>,
    /// In words.
    pub detail: String,
    /// The last lines of the task's log.
    pub log_tail: Vec<String>,
    /// What may follow.
    pub repeat: Repeat,
    /// Tables that have the date.
    pub tables_present: Option<u32>,
}

/// What the plan is about, besides the world: who asks, and since when the night lasts.
#[derive(Clone, Debug)]
pub struct Night {
    /// The last slot that was due: runs are counted from here.
    pub began_at: DateTime<Utc>,
    /// The next slot.
    pub ends_at: DateTime<Utc>,
    /// An operator's `--max`, in place of `max_runs_per_night`, counted from `began_at`.
    pub max_runs: Option<u32>,
    /// An operator's `--date`s: nothing else is started.
    pub only: Option<std::collections::BTreeSet<NaiveDate>>,
}

impl Night {
    /// Whether the date may be started for the one who asks.
    fn is_about(&self, date: NaiveDate) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&date))
    }
}

/// Decides for one dataset.
#[must_use]
pub fn plan(
    ledger: &State,
    seen: &Observation,
    dataset: &DatasetSettings,
    night: &Night,
    now: DateTime<Utc>,
) -> Plan {
    let scan = seen.scan.known();
    let census = scan.map(|scan| census::census(ledger, scan, &seen.watch, dataset, night, now));
    let mut queue = match (&census, scan) {
        (Some(census), Some(scan)) => queue::queue(ledger, census, scan, dataset),
        _ => Vec::new(),
    };
    queue.retain(|candidate| night.is_about(candidate.date));
    let step = match own_active_run(ledger, dataset) {
        Some(run) => progress::next(run, ledger, seen, dataset, now),
        None => {
            let situation = start::Situation { ledger, seen, dataset, night, now };
            let step = start::next(&situation, census.as_ref(), &queue);
            hold::bounds(step, ledger, dataset)
        }
    };
    let wake_at = wake::at(&step, ledger, dataset, night, now);
    Plan { census, queue, step, wake_at }
}

/// A span of the configuration as the calendar's arithmetic takes it; one too long for that never ends.
pub(crate) fn span(duration: std::time::Duration) -> Duration {
    Duration::from_std(duration).unwrap_or(Duration::MAX)
}

/// The run in progress, if it is this dataset's.
fn own_active_run<'a>(ledger: &'a State, dataset: &DatasetSettings) -> Option<&'a Run> {
    ledger.active_run().filter(|run| run.dataset == dataset.name)
}
