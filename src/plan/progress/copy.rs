//! The copy: the export's files on their way into the zone that the workflow reads. The copier
//! swallows its errors (H18) and may be cut off (H20), so its word is compared file by file, and
//! nothing incomplete is published by gapmend.

use chrono::{DateTime, Utc};

use super::{Progress, waits};
use crate::domain::{CopyState, FailureReason, FileId, Stage, Whose, WorkflowRun};
use crate::ledger::Repeat;
use crate::plan::Step;
use crate::plan::rest::Rest;
use crate::plan::span;

impl Progress<'_> {
    pub(super) fn copy(&self) -> Result<Step, Rest> {
        let Some(copy) = &self.view.copy else {
            return Ok(self.end_stage(self.stage_after_copy(), "no copy is configured"));
        };
        let begun = self.date_workflow_run();
        match &copy.whose {
            Whose::OneExport { .. } => {
                let (files, tables) = (copy.files, copy.tables);
                let detail = format!("all {files} files of {tables} tables are in the copy");
                Ok(self.end_stage(self.stage_after_copy(), detail))
            }
            Whose::Unknown | Whose::Nobody if self.exports_are_hidden() => match begun {
                Some(found) => {
                    let detail = format!(
                        "workflow run {} began; the copy cannot be compared without export.bucket",
                        found.id
                    );
                    Ok(self.end_stage(self.stage_after_copy(), detail))
                }
                None if self.copy_is_late() => {
                    let detail = format!(
                        "the copier started no workflow, and the copy ({} files) cannot be compared with its export: export.bucket is not set",
                        copy.files
                    );
                    Ok(self.fail(FailureReason::CopyIncomplete, detail, Repeat::Unsafe))
                }
                None => Err(waits(self.run, "waiting for the copier to start the workflow")),
            },
            Whose::Mixed { .. } => Ok(self.copy_is_wrong(copy, begun)),
            Whose::Incomplete { .. } | Whose::Unknown | Whose::Nobody => {
                if begun.is_some() || self.copy_is_late() {
                    return Ok(self.copy_is_wrong(copy, begun));
                }
                Err(waits(self.run, describe_progress(copy)))
            }
        }
    }

    /// The workflow may already have read it: that is written down first, for the date is partial
    /// then, whatever the catalog shows.
    fn copy_is_wrong(&self, copy: &CopyState, begun: Option<&WorkflowRun>) -> Step {
        if let Some(step) = begun.and_then(|found| self.note_workflow(found)) {
            return step;
        }
        let mut detail = describe_fault(copy);
        if let Some(found) = begun {
            detail =
                format!("the copier started workflow run {} over a copy that {detail}", found.id);
        } else {
            detail = format!("the copy {detail}; {}", self.how_to_copy());
        }
        self.fail(FailureReason::CopyIncomplete, detail, Repeat::Unsafe)
    }

    /// Whether what is about to be published is exactly one complete export; `None` when it is.
    pub(super) fn copy_forbids_publishing(&self) -> Option<Result<Step, Rest>> {
        self.dataset.copy.as_ref()?;
        let Some(copy) = &self.view.copy else {
            return Some(Err(waits(self.run, "waiting for a look at the copy")));
        };
        match &copy.whose {
            Whose::OneExport { .. } => None,
            Whose::Nobody | Whose::Incomplete { .. } | Whose::Mixed { .. } | Whose::Unknown => {
                Some(Ok(self.copy_is_wrong(copy, None)))
            }
        }
    }

    /// When the copy was whole: `start_within` counts from then.
    pub(super) fn copy_ended_at(&self) -> Option<DateTime<Utc>> {
        self.view.copy.as_ref()?.newest
    }

    fn copy_is_late(&self) -> bool {
        let deadline = self.dataset.stage_deadline(Stage::Copy);
        let deadline = span(deadline);
        let export_end = self.view.export.as_ref().and_then(|export| export.ended_at);
        // After an outage the export may have ended long ago: the copy gets a look all the same.
        let since = export_end.unwrap_or(self.run.stage_since);
        self.now - since > deadline
    }

    fn exports_are_hidden(&self) -> bool {
        self.dataset.export.as_ref().is_none_or(|export| export.bucket.is_none())
    }

    /// The one call that finishes a copy by hand.
    fn how_to_copy(&self) -> String {
        let id =
            self.dataset.export.as_ref().map(|export| export.snapshot_id.render(self.run.date));
        format!("to finish it, {}", copier_call(&id.unwrap_or_default()))
    }

    fn stage_after_copy(&self) -> Stage {
        if self.dataset.publish.is_some() { Stage::Publish } else { Stage::Verify }
    }
}

/// The call that copies an export: all that the copier reads of its event.
pub(in crate::plan) fn copier_call(id: &str) -> String {
    format!("invoke the copier's function with {{\"detail\":{{\"SourceIdentifier\":\"{id}\"}}}}")
}

/// "1,840 of 2,000 files".
fn describe_progress(copy: &CopyState) -> String {
    match &copy.whose {
        Whose::Incomplete { expected, missing, .. } => {
            let there = expected.saturating_sub(*missing);
            format!("{} of {} files are in the copy", grouped(there), grouped(*expected))
        }
        Whose::Nobody | Whose::OneExport { .. } | Whose::Mixed { .. } | Whose::Unknown => {
            format!("{} files are in the copy", grouped(copy.files))
        }
    }
}

/// What is wrong with a copy, after "the copy" or "a copy that".
pub(in crate::plan) fn describe_fault(copy: &CopyState) -> String {
    match &copy.whose {
        Whose::Incomplete { id, expected: 0, .. } => {
            format!("is empty, and export {id} holds no file")
        }
        Whose::Incomplete { id, expected, missing, examples } => format!(
            "lacks {} of the {} files of export {id}: {}",
            grouped(*missing),
            grouped(*expected),
            few(examples, *missing)
        ),
        Whose::Mixed { ids, strangers } if ids.is_empty() => {
            format!("holds {} files of no export that is complete", grouped(*strangers))
        }
        Whose::Mixed { ids, strangers } => format!(
            "holds {} files that are not of export {}{}",
            grouped(*strangers),
            ids[0],
            ids.get(1).map_or_else(String::new, |other| format!(", but of {other}"))
        ),
        Whose::Nobody => "is empty".to_owned(),
        Whose::OneExport { id } => format!("holds the files of export {id}"),
        Whose::Unknown => format!(
            "holds {} files, and export.bucket is not set to compare them with",
            grouped(copy.files)
        ),
    }
}

fn few(files: &[FileId], of: u64) -> String {
    let names: Vec<String> = files.iter().map(ToString::to_string).collect();
    let more = of.saturating_sub(u64::try_from(names.len()).unwrap_or(u64::MAX));
    let rest = if more > 0 { format!(" and {} more", grouped(more)) } else { String::new() };
    format!("{}{rest}", names.join(", "))
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_in_files() {
        let whose = Whose::Incomplete {
            id: "e".to_owned(),
            expected: 2000,
            missing: 160,
            examples: Vec::new(),
        };
        let copy = CopyState { whose, ..CopyState::default() };
        assert_eq!(describe_progress(&copy), "1,840 of 2,000 files are in the copy");
        assert_eq!((grouped(7), grouped(1_234_567)), ("7".into(), "1,234,567".into()));
    }
}
