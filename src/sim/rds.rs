//! RDS: the instance, its snapshots, their exports.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};

use super::error::{SimError, SimResult};
use super::world::{Happening, World};

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
    /// The dates whose rows are in a snapshot: which no service tells.
    pub(super) snapshot_rows: BTreeMap<String, BTreeSet<NaiveDate>>,
    /// The same of an export, which outlives its snapshot.
    pub(super) export_rows: BTreeMap<String, BTreeSet<NaiveDate>>,
}

impl World {
    /// `rds:DescribeDBInstances` without paging.
    pub fn db_instances(&self, id: Option<&str>) -> SimResult<Vec<InstanceRecord>> {
        let Some(id) = id else { return Ok(self.rds.instances.values().cloned().collect()) };
        let instance = self.rds.instances.get(id).cloned();
        let missing = || {
            let message = format!("DBInstance {id} not found.");
            SimError::new("DBInstanceNotFound", 404, message)
        };
        instance.map(|instance| vec![instance]).ok_or_else(missing)
    }

    /// Gives the instance another status, e.g. `backing-up`: no snapshot can be made then (H24).
    pub fn set_instance_status(&mut self, status: &'static str) {
        if let Some(instance) = self.rds.instances.get_mut(&self.names.instance) {
            instance.status = status;
        }
    }

    /// `rds:DescribeDBSnapshots` without paging; an id that is absent is an error, an instance without snapshots is not.
    pub fn db_snapshots(
        &self,
        instance: Option<&str>,
        id: Option<&str>,
    ) -> SimResult<Vec<SnapshotRecord>> {
        let fits = |snapshot: &&SnapshotRecord| {
            instance.is_none_or(|instance| snapshot.instance == instance)
                && id.is_none_or(|id| snapshot.id == id || snapshot.arn == id)
        };
        let found: Vec<_> = self.rds.snapshots.values().filter(fits).cloned().collect();
        match id {
            Some(id) if found.is_empty() => {
                let message = format!("DBSnapshot {id} not found.");
                Err(SimError::new("DBSnapshotNotFound", 404, message))
            }
            Some(_) | None => Ok(found),
        }
    }

    /// `rds:DescribeExportTasks` without paging; an id that is absent is an error, a source without exports is not.
    pub fn export_tasks(
        &self,
        id: Option<&str>,
        source_arn: Option<&str>,
    ) -> SimResult<Vec<ExportRecord>> {
        let fits = |export: &&ExportRecord| {
            id.is_none_or(|id| export.id == id)
                && source_arn.is_none_or(|source| export.source_arn == source)
        };
        let found: Vec<_> = self.rds.exports.values().filter(fits).cloned().collect();
        match id {
            Some(id) if found.is_empty() => {
                let message = format!("ExportTask {id} not found.");
                Err(SimError::new("ExportTaskNotFound", 404, message))
            }
            Some(_) | None => Ok(found),
        }
    }

    /// The load task's own clean-up; the id of a snapshot that is in the way.
    pub(super) fn delete_settled_snapshots(&mut self) -> Result<(), String> {
        let own = |snapshot: &&SnapshotRecord| !snapshot.id.starts_with("awsbackup");
        let ids: Vec<_> = self.rds.snapshots.values().filter(own).map(|s| s.id.clone()).collect();
        for id in ids {
            let snapshot = &self.rds.snapshots[&id];
            // RDS deletes failed ones too; automated ones belong to the instance.
            if snapshot.status == "creating" || snapshot.kind == "automated" {
                return Err(id);
            }
            self.rds.snapshots.remove(&id);
        }
        Ok(())
    }

    /// The load task's `CreateDBSnapshot`.
    pub(super) fn create_snapshot(
        &mut self,
        id: &str,
        rows_of: BTreeSet<NaiveDate>,
    ) -> SimResult<()> {
        if self.rds.snapshots.contains_key(id) {
            let message = format!("Cannot create the snapshot because {id} already exists.");
            return Err(SimError::new("DBSnapshotAlreadyExists", 400, message));
        }
        let instance = self.rds.instances.get(&self.names.instance);
        let status = instance.map_or("absent", |instance| instance.status);
        if !matches!(status, "available" | "storage-optimization") {
            let message = format!("Instance is currently {status}.");
            return Err(SimError::new("InvalidDBInstanceState", 400, message));
        }
        let snapshot = self.snapshot_record(id, "creating", 0);
        self.rds.snapshots.insert(id.to_owned(), snapshot);
        self.rds.snapshot_rows.insert(id.to_owned(), rows_of);
        self.after(self.timing.snapshot, Happening::SnapshotSettles { id: id.to_owned() });
        Ok(())
    }

    pub(super) fn snapshot_record(
        &self,
        id: &str,
        status: &'static str,
        percent: u8,
    ) -> SnapshotRecord {
        SnapshotRecord {
            id: id.to_owned(),
            arn: self.names.arn("rds", &format!("snapshot:{id}")),
            instance: self.names.instance.clone(),
            status,
            kind: "manual",
            percent,
            created_at: self.now,
        }
    }
}
