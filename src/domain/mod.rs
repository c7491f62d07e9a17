//! The nouns of gapmend: dates, dumps, coverage, statuses, runs, the trigger and failures.
//!
//! Nothing here does IO or reads a clock; everything is plain data with the few
//! laws that hold for it. Every other layer speaks in these words.

pub mod copied;
pub mod coverage;
pub mod date_format;
pub mod date_set;
pub mod date_status;
pub mod dump;
pub mod failure;
pub mod id_pattern;
pub mod partition_date;
pub mod pipeline;
pub mod run;
pub mod spelled_date;
pub mod table_list;
#[cfg(test)]
pub(crate) mod testing;
pub mod trigger;
pub mod volume;

pub use copied::{CopiedFile, CopyListing, CopyState, ExportListing, FileId, Whose};
pub use coverage::{Coverage, IgnoredTable, OddSpellings, PartitionSample, TableCoverage};
pub use date_format::{DateFormat, DateFormatError};
pub use date_set::DateSet;
pub use date_status::{DateStatus, Flag};
pub use dump::{Dump, DumpFault, ScriptId};
pub use failure::{Blindness, ErrorClass, FailureReason, Seen};
pub use id_pattern::{IdPattern, IdPatternError};
pub use partition_date::{DateSpan, PartitionDate};
pub use pipeline::{
    Export, ExportStatus, Network, NodeKind, NodeRun, Rule, RuleState, RuleTarget, Snapshot, Task,
    TaskFamily, TaskState, WorkflowNode, WorkflowRun, WorkflowStatistics, WorkflowStatus,
};
pub use run::{PassOutcome, RunOutcome, Stage};
pub use spelled_date::{NO_VALUE, Spelled};
pub use table_list::{TableId, TableList};
pub use trigger::TriggerState;
pub use volume::{
    TableOnDate, TableVolumes, Usual, Volume, VolumeBook, VolumeLimits, Volumes, Written,
    bytes_in_units,
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::Serialize;

    use super::*;

    #[track_caller]
    fn assert_spelled<T: Copy + Serialize>(all: &[T], label: impl Fn(T) -> &'static str) {
        for one in all {
            assert_eq!(serde_json::to_value(one).unwrap(), label(*one));
        }
    }

    #[test]
    fn a_label_is_the_word_that_the_ledger_keeps() {
        assert_spelled(&DateStatus::ALL, DateStatus::label);
        assert_spelled(&Flag::ALL, Flag::label);
        assert_spelled(&ErrorClass::ALL, ErrorClass::label);
        assert_spelled(&FailureReason::ALL, FailureReason::label);
        assert_spelled(&Stage::ALL, Stage::label);
        assert_spelled(&RunOutcome::ALL, RunOutcome::label);
        assert_spelled(&PassOutcome::ALL, PassOutcome::label);
        assert_spelled(&TriggerState::ALL, TriggerState::label);
    }

    #[test]
    fn every_status_has_a_letter_of_its_own() {
        let letters: BTreeSet<char> = DateStatus::ALL.iter().map(|it| it.letter()).collect();
        assert_eq!(letters.len(), DateStatus::ALL.len());
    }
}
