//! The nouns of gapmend: dates, dumps, coverage, statuses, runs, the trigger and failures.
//!
//! Nothing here does IO or reads a clock; everything is plain data with the few
//! laws that hold for it. Every other layer speaks in these words.

pub mod coverage;
pub mod date_format;
pub mod date_set;
pub mod date_status;
pub mod dump;
pub mod failure;
pub mod partition_date;
pub mod pipeline;
pub mod run;
pub mod table_list;
#[cfg(test)]
pub(crate) mod testing;
pub mod trigger;

pub use coverage::{Coverage, PartitionSample, TableCoverage};
pub use date_format::{DateFormat, DateFormatError};
pub use date_set::DateSet;
pub use date_status::{DateStatus, Flag};
pub use dump::{Dump, DumpFault};
pub use failure::{Blindness, ErrorClass, FailureReason, Seen};
pub use partition_date::{DateSpan, PartitionDate};
pub use pipeline::{
    Export, ExportStatus, Network, NodeKind, NodeRun, Rule, RuleState, RuleTarget, Snapshot, Task,
    TaskFamily, TaskState, WorkflowNode, WorkflowRun, WorkflowStatistics, WorkflowStatus,
};
pub use run::{PassOutcome, RunOutcome, Stage};
pub use table_list::{TableId, TableList};
pub use trigger::TriggerState;
