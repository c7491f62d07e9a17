//! Runs: one backdated ingestion of one date, its stages and its outcome.

use serde::{Deserialize, Serialize};

/// The stages of a run, in the order in which a date passes through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// A last narrow look before anything is started.
    Preflight,
    /// A copy of the dump under the name that the task reads, the trigger held.
    StageDump,
    /// The ECS task.
    Load,
    /// The RDS snapshot that the task requested (H23).
    Snapshot,
    /// Its export to S3.
    Export,
    /// The export's files, carried into the zone that the workflow reads.
    Copy,
    /// The Glue workflow.
    Publish,
    /// The proof: partitions with objects in every expected table.
    Verify,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 8] = [
        Self::Preflight,
        Self::StageDump,
        Self::Load,
        Self::Snapshot,
        Self::Export,
        Self::Copy,
        Self::Publish,
        Self::Verify,
    ];

    /// The public name.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::StageDump => "stage_dump",
            Self::Load => "load",
            Self::Snapshot => "snapshot",
            Self::Export => "export",
            Self::Copy => "copy",
            Self::Publish => "publish",
            Self::Verify => "verify",
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// The data is there, seen by a fresh look.
    Succeeded,
    /// It went wrong; the reason says whether it may be repeated.
    Failed,
    /// An operator or a restart ended it.
    Cancelled,
    /// We yielded to a live run; it counts against nothing.
    Void,
}

impl RunOutcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Succeeded, Self::Failed, Self::Cancelled, Self::Void];

    /// The public name.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Void => "void",
        }
    }
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassOutcome {
    /// A run ended with its data seen.
    Healed,
    /// A run was begun or moved on.
    Started,
    /// A run is in progress, or something is in the way for now.
    Waiting,
    /// No date is healable.
    NothingToDo,
    /// There is work, but a rule of ours forbids it now.
    Skipped,
    /// The look was blind or a step failed.
    Error,
}

impl PassOutcome {
    /// Every outcome.
    pub const ALL: [Self; 6] =
        [Self::Healed, Self::Started, Self::Waiting, Self::NothingToDo, Self::Skipped, Self::Error];

    /// The public name.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Healed => "healed",
            Self::Started => "started",
            Self::Waiting => "waiting",
            Self::NothingToDo => "nothing_to_do",
            Self::Skipped => "skipped",
            Self::Error => "error",
        }
    }
}
