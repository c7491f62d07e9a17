//! RDS: the query protocol.

use super::paging::page;
use super::query::{filters, instant, max_records, reply};
use super::reply::{Refusal, Reply};
use super::route::Incoming;
use super::shape::Service;
use super::uri::Pairs;
use super::xml::Xml;
use crate::sim::{ExportRecord, InstanceRecord, SnapshotRecord, World};

/// What the door knows of RDS.
pub(super) const OPERATIONS: &[&str] =
    &["rds:DescribeDBSnapshots", "rds:DescribeExportTasks", "rds:DescribeDBInstances"];

/// The namespace of RDS's documents.
pub(super) const NAMESPACE: &str = "http://rds.amazonaws.com/doc/2014-10-31/";

/// Carries out an operation.
pub(super) fn answer(operation: &str, request: &Incoming, world: &World) -> Result<Reply, Refusal> {
    let form = request.form();
    match operation {
        "DescribeDBSnapshots" => describe_snapshots(&form, request, world),
        "DescribeExportTasks" => describe_exports(&form, request, world),
        "DescribeDBInstances" => describe_instances(&form, request, world),
        _ => Err(Service::Rds.unknown_operation(operation)),
    }
}

/// A list in the answer: its element, its items' element and how an item is written.
struct Shape<T> {
    action: &'static str,
    list: &'static str,
    item: &'static str,
    key: fn(&T) -> String,
    write: fn(&mut Xml, &T),
}

/// Answers with a page of a list.
fn answer_page<T>(
    items: Vec<T>,
    shape: &Shape<T>,
    scope: &str,
    form: &Pairs,
    request: &Incoming,
) -> Result<Reply, Refusal> {
    let scope = format!("{}\n{scope}", shape.action);
    let page = page(items, shape.key, &scope, form.get("Marker"), max_records(form)?)
        .map_err(|_| Refusal::bad("InvalidParameterValue", "Invalid marker"))?;
    Ok(reply(shape.action, NAMESPACE, &request.id, |xml| {
        xml.maybe("Marker", page.next.as_deref());
        xml.element(shape.list, |xml| {
            for item in &page.items {
                xml.element(shape.item, |xml| (shape.write)(xml, item));
            }
        });
    }))
}

/// A filter that the model does not know is refused, never ignored.
fn unknown_filter(name: &str) -> Refusal {
    Refusal::bad("InvalidParameterValue", format!("Unrecognized filter name: {name}"))
}

/// The values of the one filter by that name.
fn only_filter(form: &Pairs, known: &[&str]) -> Result<Vec<(String, Vec<String>)>, Refusal> {
    let filters = filters(form);
    match filters.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        Some((name, _)) => Err(unknown_filter(name)),
        None => Ok(filters),
    }
}

fn describe_snapshots(form: &Pairs, request: &Incoming, world: &World) -> Result<Reply, Refusal> {
    let instance = form.get("DBInstanceIdentifier");
    let id = form.get("DBSnapshotIdentifier");
    let kind = form.get("SnapshotType");
    let filters = only_filter(form, &["db-instance-id", "db-snapshot-id", "snapshot-type"])?;
    let mut snapshots = world.db_snapshots(instance, id)?;
    snapshots.retain(|snapshot| kind.is_none_or(|kind| snapshot.kind == kind));
    snapshots.retain(|snapshot| {
        filters.iter().all(|(name, values)| {
            let own = match name.as_str() {
                "db-instance-id" => snapshot.instance.as_str(),
                "db-snapshot-id" => snapshot.id.as_str(),
                _ => snapshot.kind,
            };
            values.iter().any(|value| value == own)
        })
    });
    let shape = Shape {
        action: "DescribeDBSnapshots",
        list: "DBSnapshots",
        item: "DBSnapshot",
        key: |snapshot: &SnapshotRecord| snapshot.id.clone(),
        write: write_snapshot,
    };
    answer_page(snapshots, &shape, &format!("{instance:?}{id:?}{kind:?}"), form, request)
}

fn write_snapshot(xml: &mut Xml, snapshot: &SnapshotRecord) {
    xml.text("DBSnapshotIdentifier", &snapshot.id);
    xml.text("DBInstanceIdentifier", &snapshot.instance);
    // A snapshot in the making has no time of its own yet.
    if snapshot.status != "creating" {
        xml.text("SnapshotCreateTime", instant(snapshot.created_at));
    }
    xml.text("Engine", "mysql");
    xml.text("AllocatedStorage", "15");
    xml.text("Status", snapshot.status);
    xml.text("SnapshotType", snapshot.kind);
    xml.text("PercentProgress", snapshot.percent.to_string());
    xml.text("Encrypted", "true");
    xml.text("DBSnapshotArn", &snapshot.arn);
}

fn describe_exports(form: &Pairs, request: &Incoming, world: &World) -> Result<Reply, Refusal> {
    let id = form.get("ExportTaskIdentifier");
    let source = form.get("SourceArn");
    let filters =
        only_filter(form, &["export-task-identifier", "source-arn", "status", "s3-bucket"])?;
    let mut exports = world.export_tasks(id, source)?;
    exports.retain(|export| {
        filters.iter().all(|(name, values)| {
            let own = match name.as_str() {
                "export-task-identifier" => export.id.as_str(),
                "source-arn" => export.source_arn.as_str(),
                "s3-bucket" => export.bucket.as_str(),
                _ => export.status,
            };
            values.iter().any(|value| value.eq_ignore_ascii_case(own))
        })
    });
    let shape = Shape {
        action: "DescribeExportTasks",
        list: "ExportTasks",
        item: "ExportTask",
        key: |export: &ExportRecord| export.id.clone(),
        write: write_export,
    };
    answer_page(exports, &shape, &format!("{id:?}{source:?}"), form, request)
}

fn write_export(xml: &mut Xml, export: &ExportRecord) {
    xml.text("ExportTaskIdentifier", &export.id);
    xml.text("SourceArn", &export.source_arn);
    xml.text("SnapshotTime", instant(export.snapshot_time));
    xml.maybe("TaskStartTime", export.started_at.map(instant));
    xml.maybe("TaskEndTime", export.ended_at.map(instant));
    xml.text("S3Bucket", &export.bucket);
    xml.text("S3Prefix", "");
    xml.text("Status", export.status);
    xml.text("PercentProgress", export.percent.to_string());
    xml.text("TotalExtractedDataInGB", "0");
    xml.maybe("FailureCause", export.failure.as_deref());
    xml.maybe("WarningMessage", export.warning.as_deref());
    xml.text("SourceType", "SNAPSHOT");
}

fn describe_instances(form: &Pairs, request: &Incoming, world: &World) -> Result<Reply, Refusal> {
    let id = form.get("DBInstanceIdentifier");
    only_filter(form, &[])?;
    let instances = world.db_instances(id)?;
    let shape = Shape {
        action: "DescribeDBInstances",
        list: "DBInstances",
        item: "DBInstance",
        key: |instance: &InstanceRecord| instance.id.clone(),
        write: write_instance,
    };
    answer_page(instances, &shape, &format!("{id:?}"), form, request)
}

fn write_instance(xml: &mut Xml, instance: &InstanceRecord) {
    xml.text("DBInstanceIdentifier", &instance.id);
    xml.text("DBInstanceClass", "db.t3.small");
    xml.text("Engine", "mysql");
    xml.text("DBInstanceStatus", instance.status);
    xml.text("AllocatedStorage", "15");
    xml.text("BackupRetentionPeriod", "0");
    xml.text("DBInstanceArn", &instance.arn);
}
