//! What goes wrong with a date: a script for each stage of its ingestion, live or backdated.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::NaiveDate;

/// How often a thing happens: each time it is asked, it uses one up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    /// Never.
    #[default]
    Never,
    /// The next so many times.
    First(u32),
    /// Every time.
    Always,
}

impl Times {
    /// Whether it happens now.
    pub fn take(&mut self) -> bool {
        match self {
            Self::Never | Self::First(0) => false,
            Self::First(left) => {
                *left -= 1;
                true
            }
            Self::Always => true,
        }
    }
}

/// What the copier does about the workflow run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WorkflowStart {
    /// Starts it.
    #[default]
    OnTime,
    /// The error was swallowed: never (H19).
    Never,
    /// Starts it so much later.
    Late(Duration),
    /// Starts it twice: events come at least once (H10).
    Twice,
}

/// What the supplier delivers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DumpKind {
    /// A whole zip.
    #[default]
    Whole,
    /// Nothing.
    Missing,
    /// A whole zip, so much later than usual.
    Late(Duration),
    /// A zip whose end is cut off.
    Truncated,
    /// A zip with two `.sql`.
    TwoSql,
    /// A handful of bytes.
    Tiny,
    /// The very bytes of another date's dump.
    CopyOf(NaiveDate),
}

/// How the copy jobs fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFailure {
    /// Which raw zone's job, by its index in `Names::raw`.
    pub zone: usize,
    /// How many tables it has written by then (H8).
    pub tables_written: usize,
    /// How often.
    pub times: Times,
}

/// The script of a date. The default is a good day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// What the supplier delivers for it.
    pub dump: DumpKind,
    /// The event of a write on this day never reaches the rule: the trail does its best only (H17).
    pub event_lost: Times,
    /// `RunTask` answers 200 with `failures[]`.
    pub capacity_refused: Times,
    /// The task never leaves `PROVISIONING`.
    pub never_starts: Times,
    /// The task stops with `TaskFailedToStart` and no exit code.
    pub fails_to_start: Times,
    /// The task runs and never ends.
    pub hangs: Times,
    /// The task exits 1 in the middle of its load, before the snapshot.
    pub exits_1: Times,
    /// What it logs before that.
    pub log_lines: Vec<String>,
    /// The load takes so much longer.
    pub load_slower: Duration,
    /// ECS shows the task as running for so long after its process ended.
    pub lingers: Duration,
    /// The snapshot ends as `failed`.
    pub snapshot_fails: Times,
    /// The event that would start the export never comes (H17).
    pub export_never_starts: Times,
    /// The export ends as `FAILED`.
    pub export_fails: Times,
    /// The export completes without these tables, and says so in a warning (H22).
    pub export_skips: BTreeSet<String>,
    /// The event that would start the copier never comes (H17).
    pub copier_never_runs: Times,
    /// The copier loses these tables and says nothing (H18).
    pub copy_loses: BTreeSet<String>,
    /// The copier loses so many files, the first ones, and says nothing (H18).
    pub copy_loses_files: u32,
    /// The copier is cut off half way, each time, and starts nothing (H20).
    pub copier_cut_off: Times,
    /// What the copier does about the workflow run.
    pub workflow_start: WorkflowStart,
    /// The crawl fails: the run is COMPLETED all the same (H26).
    pub crawl_fails: Times,
    /// A copy job fails.
    pub job_fails: Option<JobFailure>,
    /// The copy jobs never end.
    pub jobs_hang: Times,
    /// The jobs succeed and write nothing.
    pub writes_nothing: Times,
    /// The dump of this date has no such tables (H28).
    pub tables_absent: BTreeSet<String>,
    /// The event fires the rule so many times more than once (at-least-once delivery).
    pub fires_again: u32,
}
