//! RDS: the instance, its snapshots, their exports.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::error::SimResult;
use super::world::World;

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRecord {
    /// Its identifier.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// Of which instance.
    pub instance: String,
    /// `creating`, `available`, `failed`.
    pub status: &'static str,
    /// `manual`, `awsbackup`, `automated`.
    pub kind: &'static str,
    /// Percent made.
    pub percent: u8,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
}

/// An export task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportRecord {
    /// `ExportTaskIdentifier`: can be used once, ever (H21).
    pub id: String,
    /// The snapshot's ARN.
    pub source_arn: String,
    /// `STARTING`, `IN_PROGRESS`, `COMPLETE`, `FAILED`, `CANCELED`.
    pub status: &'static str,
    /// Percent exported.
    pub percent: u8,
    /// The bucket that it writes to.
    pub bucket: String,
    /// When the snapshot was made.
    pub snapshot_time: DateTime<Utc>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// JSON with `skippedTables` (H22).
    pub warning: Option<String>,
    /// Why it failed.
    pub failure: Option<String>,
}

/// A database instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceRecord {
    /// Its identifier.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// `available`, `backing-up`, …
    pub status: &'static str,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Rds {
    pub(super) instances: BTreeMap<String, InstanceRecord>,
    pub(super) snapshots: BTreeMap<String, SnapshotRecord>,
    pub(super) exports: BTreeMap<String, ExportRecord>,
}

impl World {
    /// `rds:DescribeDBInstances` without paging.
    pub fn db_instances(&self, id: Option<&str>) -> SimResult<Vec<InstanceRecord>> {
        let _ = id;
        todo!()
    }

    /// `rds:DescribeDBSnapshots` without paging; an id that is absent is an error, an instance without snapshots is not.
    pub fn db_snapshots(
        &self,
        instance: Option<&str>,
        id: Option<&str>,
    ) -> SimResult<Vec<SnapshotRecord>> {
        let _ = (instance, id);
        todo!()
    }

    /// `rds:DescribeExportTasks` without paging; an id that is absent is an error, a source without exports is not.
    pub fn export_tasks(
        &self,
        id: Option<&str>,
        source_arn: Option<&str>,
    ) -> SimResult<Vec<ExportRecord>> {
        let _ = (id, source_arn);
        todo!()
    }
}
