//! What the ledger records: entries, and the events in them.
//!
//! An entry is decided as a whole and appended as a whole. Events are facts in the past
//! tense, except the `…Intended` ones, which are written *before* the effect that they name
//! is asked for. New kinds are only ever added; a reader that meets a kind it does not
//! know refuses to act.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::process::Process;
use crate::domain::{Dump, FailureReason, PassOutcome, RunOutcome, Stage};
use crate::platform::{DeadMan, PartsUpload, TaskRequest};

/// The version of the entry format.
pub const ENTRY_VERSION: u32 = 1;

/// One entry: `log/{seq:020}.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The format's version.
    pub v: u32,
    /// Its number; the first is 1, and no number is ever missing.
    pub seq: u64,
    /// When it was written, by the writer's clock.
    pub at: DateTime<Utc>,
    /// The writer's epoch; 0 for one-shot commands, which never act.
    pub epoch: u64,
    /// Who wrote it: host, process, command.
    pub writer: String,
    /// Tells our own success from somebody else's after a lost answer.
    pub nonce: String,
    /// What it says.
    pub events: Vec<Event>,
}

/// Who wanted a run or a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// `schedule`, or the caller's ARN or user name.
    pub by: String,
    /// The reason given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The ticket given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
}

impl Asked {
    /// The nightly plan itself.
    #[must_use]
    pub fn schedule() -> Self {
        Self { by: "schedule".to_owned(), reason: None, ticket: None }
    }
}

/// Why a scan was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanCause {
    /// A slot of the schedule was due.
    Slot,
    /// The process began.
    StartUp,
    /// Somebody asked.
    Request,
    /// The newest date should have been whole by now, and was not at the last look.
    ReadyBy,
}

/// What a scan found, as far as later scans and people need it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanRecord {
    /// Why it was made.
    pub cause: ScanCause,
    /// The slot (a local date) that it satisfied, if one was due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<NaiveDate>,
    /// Slots that passed without a scan before this one.
    #[serde(default)]
    pub missed_slots: u32,
    /// How many dates have each status.
    pub counts: BTreeMap<String, u32>,
    /// The watermark.
    pub whole_through: Option<NaiveDate>,
    /// Dates seen available, in ranges `a..b`: what `regressed` is measured against.
    pub available: Vec<String>,
    /// The healable dates, in queue order.
    pub queue: Vec<NaiveDate>,
    /// Tables that matched: a collapse is measured against it.
    pub tables: u32,
    /// Partitions seen in the window, over all tables.
    pub partitions: u64,
    /// The configuration's hash: counts are compared only under the same one.
    pub config: String,
    /// What could not be seen; empty for a clear look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blind: Vec<String>,
}

/// Why we stop a task of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopWhy {
    /// A live run appeared (H1).
    Yield,
    /// Past its deadline.
    Deadline,
    /// An operator asked.
    Cancelled,
    /// The hold may not last longer.
    HoldTooLong,
}

/// What an operator can ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// Scan now.
    Scan,
    /// Heal these dates, or the whole queue when there are none.
    Heal {
        /// Named dates stand above the allowlist, never above `deny` or safety.
        dates: Vec<NaiveDate>,
        /// At most so many runs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_runs: Option<u32>,
    },
    /// Forget the spent attempts of a date and its quarantine.
    Retry {
        /// The date.
        date: NaiveDate,
    },
    /// End the run in progress.
    Cancel,
    /// Start nothing until then.
    Pause {
        /// The end of the pause.
        until: DateTime<Utc>,
    },
    /// End a pause or a stop.
    Resume,
}

/// Why the trigger is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum HoldWhy {
    /// A write of ours to the landing bucket.
    Upload {
        /// The date written.
        date: NaiveDate,
        /// The key written.
        key: String,
    },
    /// A run whose load must not be hit.
    Run {
        /// The run's id.
        run: String,
    },
}

impl HoldWhy {
    /// Whether it is this run.
    #[must_use]
    pub fn is_of_run(&self, id: &str) -> bool {
        matches!(self, Self::Run { run } if run == id)
    }
}

/// Something in AWS that a run left, known by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trace {
    /// The RDS snapshot.
    Snapshot,
    /// Its export to S3.
    Export,
}

/// How an upload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UploadOutcome {
    /// The dump is in the landing bucket.
    Written,
    /// It could not be put there, or was not to be.
    Failed,
    /// Who asked for it ended it, or was gone before its parts were all there.
    Cancelled,
}

impl UploadOutcome {
    /// The public name.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How a run may be followed after it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// From the top, within the attempts.
    FromTheTop,
    /// Never unattended: the date is quarantined (H8, H21, or an operator cancelled it).
    Unsafe,
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The writer acts from now on, in a new epoch; older epochs stand by.
    Acting {
        /// The command: `run` or `heal`.
        command: String,
        /// gapmend's version.
        version: String,
        /// The process, so that its death can be seen before its first beat.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        process: Option<Process>,
    },
    /// The writer acts no longer.
    Left {},

    /// A look at everything ended.
    Scanned {
        /// The dataset.
        dataset: String,
        /// What it found.
        scan: ScanRecord,
    },
    /// A pass ended with something to say (waiting passes are not recorded one by one).
    Passed {
        /// The dataset.
        dataset: String,
        /// How it ended.
        outcome: PassOutcome,
        /// Why.
        detail: String,
    },
    /// An operator asked for something.
    Requested {
        /// The dataset.
        dataset: String,
        /// What.
        request: Request,
        /// Who, and why.
        asked: Asked,
    },
    /// A `cancel` or `scan` request was dealt with.
    RequestDone {
        /// The dataset.
        dataset: String,
        /// The entry that asked.
        seq: u64,
        /// What came of it.
        answer: String,
    },

    /// A run began: its preflight was clear.
    RunStarted {
        /// `dataset/date/attempt`.
        run: String,
        /// The dataset.
        dataset: String,
        /// The date.
        date: NaiveDate,
        /// Counts the date's runs from 1.
        attempt: u32,
        /// The stage it begins at: `load`, or later when an export is taken up (H21).
        stage: Stage,
        /// The dump that it is about.
        dump: Option<Dump>,
        /// Who wanted it.
        asked: Asked,
        /// Which rule of the configuration allowed it.
        permitted_by: String,
        /// Tables that are expected to have the date in the end.
        tables_expected: u32,
        /// Tables that had it when the run began, by the confirming look.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tables_before: Option<u32>,
        /// The effective configuration's hash.
        config: String,
        /// gapmend's version.
        version: String,
        /// When the preflight look began.
        preflight_at: DateTime<Utc>,
    },
    /// The load task is about to be asked for, with exactly this request.
    LoadIntended {
        /// The run.
        run: String,
        /// The request; a repetition sends the same again, token included.
        task: TaskRequest,
    },
    /// ECS accepted it.
    LoadSubmitted {
        /// The run.
        run: String,
        /// The task.
        task_arn: String,
    },
    /// Our task is about to be stopped.
    StopIntended {
        /// The run.
        run: String,
        /// The task.
        task_arn: String,
        /// Why.
        why: StopWhy,
        /// In words.
        detail: String,
    },
    /// A stage is over and the next one begins.
    StageEnded {
        /// The run.
        run: String,
        /// The stage that is over.
        stage: Stage,
        /// The one that begins.
        next: Stage,
        /// What was seen.
        detail: String,
    },
    /// The run's snapshot or export was seen: for the audit, whatever becomes of the run.
    RunTraced {
        /// The run.
        run: String,
        /// What it is.
        trace: Trace,
        /// Its id.
        id: String,
    },
    /// The workflow is about to be started by us (H19).
    PublishIntended {
        /// The run.
        run: String,
        /// The workflow.
        workflow: String,
        /// Its run properties.
        properties: BTreeMap<String, String>,
    },
    /// The workflow run of this date is known.
    PublishFound {
        /// The run.
        run: String,
        /// Its id.
        workflow_run: String,
        /// Whether we started it.
        ours: bool,
    },
    /// A run is over.
    RunEnded {
        /// The run.
        run: String,
        /// How.
        outcome: RunOutcome,
        /// The stage it ended in.
        stage: Stage,
        /// Why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<FailureReason>,
        /// In words.
        detail: String,
        /// The last lines of the task's log.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        log_tail: Vec<String>,
        /// What may follow a failure.
        repeat: Repeat,
        /// Tables that have the date, by the last look.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tables_present: Option<u32>,
    },

    /// The trigger is about to be held; also the intent of its release.
    HoldIntended {
        /// Names the hold.
        hold: String,
        /// The dataset.
        dataset: String,
        /// The rule.
        rule: String,
        /// Its bus.
        event_bus: String,
        /// The state found; write-once, and only ever `ENABLED`.
        prior_state: String,
        /// Why.
        why: HoldWhy,
        /// Past it everything of ours is stopped and the rule released.
        until: DateTime<Utc>,
        /// What enables the rule when we do not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dead_man: Option<DeadMan>,
    },
    /// A step of a hold was seen done.
    HoldMoved {
        /// The hold.
        hold: String,
        /// Which.
        step: HoldStep,
    },
    /// The rule was seen enabled again, and the dead man's switch is gone.
    HoldClosed {
        /// The hold.
        hold: String,
        /// By whom the rule was enabled, and what was found.
        detail: String,
        /// Live tasks that began after our write although the rule was held.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        fired: Vec<String>,
        /// It was never begun: its switch or its disabling was refused, and would be again.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        refused: bool,
    },
    /// A live dump landed while the trigger was held.
    LiveDumpSwept {
        /// The dataset.
        dataset: String,
        /// Its date.
        date: NaiveDate,
        /// Its key.
        key: String,
        /// Its `ETag`.
        etag: String,
        /// Whether it can still be driven today.
        missed: bool,
    },
    /// The live run of a swept dump is about to be asked for, as the rule's target would.
    LiveDriveIntended {
        /// The dataset.
        dataset: String,
        /// Its date.
        date: NaiveDate,
        /// The request.
        task: TaskRequest,
    },
    /// ECS accepted it.
    LiveDriveSubmitted {
        /// The dataset.
        dataset: String,
        /// Its date.
        date: NaiveDate,
        /// The task.
        task_arn: String,
    },
    /// The rule was seen disabled, or enabled again, whoever did it.
    RuleSeen {
        /// The dataset.
        dataset: String,
        /// Which.
        disabled: bool,
    },
    /// The parts of a dump are about to be sent to the landing bucket.
    UploadIntended {
        /// Names the upload; its object carries the name as its mark.
        upload: String,
        /// The dataset.
        dataset: String,
        /// The dump's date.
        date: NaiveDate,
        /// The landing bucket.
        bucket: String,
        /// The key that is written.
        key: String,
        /// Bytes.
        size: u64,
        /// Of the whole file, in hex.
        sha256: String,
        /// The `ETag` of the object that it may replace; without it the key must be absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<String>,
        /// Today's own dump, which is to fire the live run: nothing is held for it.
        live: bool,
        /// Who, and why.
        asked: Asked,
        /// The process that sends the parts.
        process: Process,
    },
    /// S3 knows of it: parts may be sent.
    UploadBegun {
        /// The upload.
        upload: String,
        /// S3's own name for it.
        parts: PartsUpload,
    },
    /// All parts are there: whoever acts makes the object, under a hold.
    UploadReady {
        /// The upload.
        upload: String,
        /// The parts' `ETag`s, in order.
        etags: Vec<String>,
    },
    /// The object is about to be made: the write that would fire the rule.
    UploadWriting {
        /// The upload.
        upload: String,
    },
    /// An upload is over, and its parts are gone.
    UploadEnded {
        /// The upload.
        upload: String,
        /// How.
        outcome: UploadOutcome,
        /// In words.
        detail: String,
    },
    /// An operator accepts that entries are lost: they are passed over from now on, and no date
    /// that was a gap by then is run again before somebody says so.
    LossAcknowledged {
        /// The numbers of the entries that are missing, damaged, or make no sense without those.
        lost: Vec<EntrySpan>,
        /// Higher than every epoch that was read: whoever acted stands by.
        epoch: u64,
        /// Who, and why.
        asked: Asked,
    },
    /// Two loads were seen alive together (H1): the data may be mixed.
    LoadsOverlapped {
        /// The dataset.
        dataset: String,
        /// Our run, if one of them was ours.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<String>,
        /// Which tasks.
        detail: String,
    },
}

/// Entries in a row, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntrySpan {
    /// The first.
    pub from: u64,
    /// The last.
    pub to: u64,
}

impl EntrySpan {
    /// Whether an entry is one of them.
    #[must_use]
    pub fn contains(&self, seq: u64) -> bool {
        (self.from..=self.to).contains(&seq)
    }
}

impl std::fmt::Display for EntrySpan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.from == self.to {
            return write!(f, "{}", self.from);
        }
        write!(f, "{} to {}", self.from, self.to)
    }
}

/// The steps of a hold after its intent, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldStep {
    /// The dead man's switch was read back.
    Armed,
    /// The request to disable the rule was answered.
    Answered,
    /// The rule was seen disabled.
    Disabled,
    /// Our write, or the part of the run that needs the hold, is done.
    WorkDone,
    /// The rule was seen enabled.
    Enabled,
}

impl Event {
    /// The run that it is about.
    #[must_use]
    pub fn run(&self) -> Option<&str> {
        match self {
            Self::RunStarted { run, .. }
            | Self::LoadIntended { run, .. }
            | Self::LoadSubmitted { run, .. }
            | Self::StopIntended { run, .. }
            | Self::StageEnded { run, .. }
            | Self::RunTraced { run, .. }
            | Self::PublishIntended { run, .. }
            | Self::PublishFound { run, .. }
            | Self::RunEnded { run, .. } => Some(run),
            Self::Acting { .. }
            | Self::Left {}
            | Self::Scanned { .. }
            | Self::Passed { .. }
            | Self::Requested { .. }
            | Self::RequestDone { .. }
            | Self::HoldIntended { .. }
            | Self::HoldMoved { .. }
            | Self::HoldClosed { .. }
            | Self::LiveDumpSwept { .. }
            | Self::LiveDriveIntended { .. }
            | Self::LiveDriveSubmitted { .. }
            | Self::RuleSeen { .. }
            | Self::UploadIntended { .. }
            | Self::UploadBegun { .. }
            | Self::UploadReady { .. }
            | Self::UploadWriting { .. }
            | Self::UploadEnded { .. }
            | Self::LossAcknowledged { .. }
            | Self::LoadsOverlapped { .. } => None,
        }
    }
}
