//! Which failures can occur where: the label pairs of `run_failures_total`.

use crate::domain::{FailureReason, Stage};

use FailureReason::{
    CopyIncomplete, DataChanged, Deadline, Denied, Failed, Lost, NotExported, NotStarted,
    OutputMissing, SourceChanged, Spent,
};

/// The pairs of stage and reason that a run can end with.
///
/// `preflight` is absent: a run is recorded only after a clear one. `not_started` is for what
/// we ask a service to start (a task, a workflow); the snapshot and its export are asked for
/// by others, so they can only be late, lost, refused to our eyes, or wrong.
pub(super) const PAIRS: [(Stage, &[FailureReason]); 7] = [
    // The copy under the expected name: the dump may vanish under it, the hold may run out.
    (Stage::StageDump, &[Deadline, Failed, Denied, SourceChanged]),
    // The only stage that reads the dump, and the one before which the date may heal itself.
    (Stage::Load, &[Deadline, NotStarted, Failed, Denied, SourceChanged, Lost, DataChanged]),
    // Requested by the task that "succeeded" (H23): it may never come, or come broken.
    (Stage::Snapshot, &[Deadline, Failed, Denied, Lost, NotExported]),
    // Once per id (H21), and with a warning when tables were skipped (H22).
    (Stage::Export, &[Deadline, Failed, OutputMissing, Denied, Spent, Lost, NotExported]),
    // Made by the copier, which swallows its errors (H18) or is cut off (H20).
    (Stage::Copy, &[Deadline, CopyIncomplete, Denied, Lost]),
    // Started by others, or by us when they do not (H19).
    (Stage::Publish, &[Deadline, NotStarted, Failed, Denied, Lost, CopyIncomplete]),
    // The proof itself.
    (Stage::Verify, &[Deadline, OutputMissing, Denied, DataChanged, CopyIncomplete]),
];

/// Every pair of labels.
pub(super) fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAIRS.iter().flat_map(|(stage, reasons)| {
        reasons.iter().map(move |reason| (stage.label(), reason.label()))
    })
}
