//! RDS: snapshots and their exports to S3.

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_rds::operation::describe_db_snapshots::builders::DescribeDBSnapshotsFluentBuilder;
use aws_sdk_rds::operation::describe_export_tasks::builders::DescribeExportTasksFluentBuilder;
use aws_sdk_rds::types::{DbSnapshot, ExportTask};

use super::convert::{instant, percent};
use super::error::{Failure, if_present};
use super::line::Line;
use super::pages::Pages;
use crate::domain::{Export, ExportStatus, Snapshot};
use crate::platform::Answer;

/// `rds:DescribeDBSnapshots`
pub(super) const DESCRIBE_SNAPSHOTS: &str = "rds:DescribeDBSnapshots";
/// `rds:DescribeExportTasks`
pub(super) const DESCRIBE_EXPORTS: &str = "rds:DescribeExportTasks";

/// RDS's own limit.
const RECORDS_PER_PAGE: i32 = 100;

/// Snapshots and exports.
pub(super) struct Snapshots {
    client: aws_sdk_rds::Client,
    line: Arc<Line>,
}

impl Snapshots {
    pub(super) fn new(shared: &SdkConfig, line: Arc<Line>) -> Self {
        Self { client: aws_sdk_rds::Client::new(shared), line }
    }

    /// One snapshot; `None` when it is absent.
    pub(super) async fn one(&self, id: &str) -> Answer<Option<Snapshot>> {
        let request = self.client.describe_db_snapshots().db_snapshot_identifier(id);
        only(if_present(self.snapshots(request).await)?, DESCRIBE_SNAPSHOTS)
    }

    /// Every snapshot of an instance.
    pub(super) async fn of_instance(&self, instance: &str) -> Answer<Vec<Snapshot>> {
        let request = self.client.describe_db_snapshots().db_instance_identifier(instance);
        self.snapshots(request.max_records(RECORDS_PER_PAGE)).await
    }

    /// One export; `None` when its id was never used.
    pub(super) async fn export(&self, id: &str) -> Answer<Option<Export>> {
        let request = self.client.describe_export_tasks().export_task_identifier(id);
        only(if_present(self.exports(request).await)?, DESCRIBE_EXPORTS)
    }

    /// Every export of a snapshot.
    pub(super) async fn exports_of(&self, snapshot_arn: &str) -> Answer<Vec<Export>> {
        let request = self.client.describe_export_tasks().source_arn(snapshot_arn);
        self.exports(request.max_records(RECORDS_PER_PAGE)).await
    }

    async fn snapshots(&self, request: DescribeDBSnapshotsFluentBuilder) -> Answer<Vec<Snapshot>> {
        let mut pages = Pages::of(DESCRIBE_SNAPSHOTS);
        let mut marker = None;
        let mut snapshots = Vec::new();
        loop {
            let request = request.clone().set_marker(marker);
            let page = self.line.read(DESCRIBE_SNAPSHOTS, || request.clone().send()).await?;
            for found in page.db_snapshots.unwrap_or_default() {
                snapshots.push(snapshot(found)?);
            }
            marker = pages.next(page.marker)?;
            if marker.is_none() {
                return Ok(snapshots);
            }
        }
    }

    async fn exports(&self, request: DescribeExportTasksFluentBuilder) -> Answer<Vec<Export>> {
        let mut pages = Pages::of(DESCRIBE_EXPORTS);
        let mut marker = None;
        let mut exports = Vec::new();
        loop {
            let request = request.clone().set_marker(marker);
            let page = self.line.read(DESCRIBE_EXPORTS, || request.clone().send()).await?;
            for found in page.export_tasks.unwrap_or_default() {
                exports.push(export(found)?);
            }
            marker = pages.next(page.marker)?;
            if marker.is_none() {
                return Ok(exports);
            }
        }
    }
}

/// The one thing that was asked for by its id; more than one is an answer to another question.
fn only<T>(found: Option<Vec<T>>, operation: &'static str) -> Answer<Option<T>> {
    let mut found = found.unwrap_or_default();
    if found.len() > 1 {
        return Err(Failure::nonsense("more than one answer to one identifier").of(operation));
    }
    Ok(found.pop())
}

fn snapshot(found: DbSnapshot) -> Answer<Snapshot> {
    let created_at = instant(found.snapshot_create_time.as_ref());
    let (Some(id), Some(arn), Some(status)) =
        (found.db_snapshot_identifier, found.db_snapshot_arn, found.status)
    else {
        return Err(
            Failure::nonsense("a snapshot without id, ARN or status").of(DESCRIBE_SNAPSHOTS)
        );
    };
    Ok(Snapshot { id, arn, status, percent: percent(found.percent_progress), created_at })
}

fn export(found: ExportTask) -> Answer<Export> {
    let started_at = instant(found.task_start_time.as_ref());
    let ended_at = instant(found.task_end_time.as_ref());
    let (Some(id), Some(source_arn), Some(status)) =
        (found.export_task_identifier, found.source_arn, found.status)
    else {
        return Err(
            Failure::nonsense("an export without id, source or status").of(DESCRIBE_EXPORTS)
        );
    };
    Ok(Export {
        id,
        source_arn,
        status: export_status(status),
        percent: percent(found.percent_progress),
        started_at,
        ended_at,
        warning: found.warning_message.filter(|warning| !warning.is_empty()),
        failure: found.failure_cause.filter(|cause| !cause.is_empty()),
    })
}

fn export_status(status: String) -> ExportStatus {
    match status.as_str() {
        "STARTING" | "starting" => ExportStatus::Starting,
        "IN_PROGRESS" | "in_progress" => ExportStatus::InProgress,
        "COMPLETE" | "complete" => ExportStatus::Complete,
        _ => ExportStatus::Ended(status),
    }
}
