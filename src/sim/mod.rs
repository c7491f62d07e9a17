//! One model of the pipeline and its hazards, with two doors: `Platform` and the AWS wire protocols.
//!
//! ```text
//!   SimPlatform (door.rs, virtual time)      wire/ (HTTP on loopback, real time)
//!                    └──────────────┬──────────────┘
//!                             World (one mutex)
//!   supplier ─► dump bucket ─► trail ─► rule ─► load task ─► snapshot ─► export ─► copier ─► workflow ─► raw
//! ```
//!
//! The world is pure and synchronous: it holds no clock and starts no thread, and it moves only
//! when [`World::advance_to`] is told the time. The same seed and the same calls give the same world.
//! It models what the real pipeline does wrong (the hazards H1 to H32 of ARCHITECTURE.md), because a model
//! that is kinder than the world proves nothing.
//!
//! What it never does: open a socket, read a file, know what gapmend intends.

mod build;
mod clock;
mod copying;
mod door;
mod door_words;
mod ecs;
mod error;
mod events;
mod expression;
mod faults;
mod glue;
mod history;
mod inspect;
mod load;
mod logs;
mod names;
mod pipeline;
mod profile;
mod rds;
mod s3;
mod task;
mod timing;
mod versions;
pub mod wire;
mod workflow;
mod world;
pub mod zip;

#[cfg(test)]
mod tests;

pub use build::WorldBuilder;
pub use clock::{SimClock, TimeHold};
pub use door::SimPlatform;
pub use ecs::{
    ContainerOverride, DesiredStatus, RunTask, RunTaskAnswer, TaskFailure, TaskFilter, TaskRecord,
    TaskStatus,
};
pub use error::{SimError, SimResult};
pub use events::{RuleChange, RuleRecord, RuleSetting, ScheduleRecord, TargetRecord};
pub use faults::{Call, Fault, FaultKind, FaultRule, FaultWhen, Faults, Moment};
pub use glue::{PartitionRecord, TableRecord};
pub use inspect::{Generation, Incident, LoadInterval, Overlap, TrailEvent, Writer};
pub use logs::LogLine;
pub use names::{Names, RawZone};
pub use profile::{DumpKind, JobFailure, Profile, Times, WorkflowStart};
pub use rds::{ExportRecord, InstanceRecord, SnapshotRecord};
pub use s3::{Body, BucketVersioning, ObjectRecord, UploadRecord, WriteIf};
pub use timing::{Span, Timing};
pub use versions::MarkerRecord;
pub use workflow::{
    CrawlRecord, CrawlerRecord, JobRunRecord, JobSpec, RunStatistics, RunStatus, WorkflowRecord,
    WorkflowRunRecord,
};
pub use world::{Caller, Sim, World};
