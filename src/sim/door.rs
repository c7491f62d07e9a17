//! The Platform door: the same world, in our words, in virtual time.
//!
//! Every request goes through [`World::receive`] under the name of the AWS operation that it
//! stands for, so a fault hits here exactly what it would hit on the wire. Lists ask page by
//! page, with AWS's page sizes; what takes two operations in AWS takes two here.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::door_words::{
    error, export, lost, object_info, refusal, rule, snapshot, task, workflow_run,
};
use super::ecs::{ContainerOverride, DesiredStatus, RunTask, TaskFilter};
use super::error::SimResult;
use super::events::ScheduleRecord;
use super::faults::Moment;
use super::s3::{Body, WriteIf};
use super::world::{Sim, World};
use crate::domain::{Export, Rule, Snapshot, Task, WorkflowRun};
use crate::platform::{
    Answer, Caller, CatalogTable, Created, DeadMan, DeleteMarker, DeletedKey, Listing,
    MarkedObject, ObjectInfo, ObjectRange, Partition, PartitionQuery, PartsUpload, Platform,
    PlatformError, TableKind, TaskFamily, TaskRequest, TaskStart, Versioning,
};

/// Keys of one page of a listing.
const KEYS_PER_PAGE: usize = 1000;
/// Tables of one page.
const TABLES_PER_PAGE: usize = 100;
/// Partitions of one page.
const PARTITIONS_PER_PAGE: usize = 1000;
/// The target of a dead man's switch.
const ENABLE_RULE: &str = "arn:aws:scheduler:::aws-sdk:eventbridge:enableRule";

/// A `Platform` over the model.
#[derive(Clone, Debug)]
pub struct SimPlatform {
    sim: Sim,
}

impl SimPlatform {
    /// A platform over this world.
    #[must_use]
    pub fn new(sim: Sim) -> Self {
        Self { sim }
    }

    /// The world behind it.
    #[must_use]
    pub fn sim(&self) -> &Sim {
        &self.sim
    }

    /// One request: it is counted, it may go wrong before or after its effect, and it has its answer.
    fn ask<T>(
        &self,
        operation: &'static str,
        target: &str,
        effect: impl FnOnce(&mut World) -> SimResult<T>,
    ) -> Answer<T> {
        let mut world = self.sim.lock();
        let fault = world.receive(operation, target);
        if let Some(fault) = fault.filter(|fault| fault.moment == Moment::Before) {
            return Err(lost(operation, fault));
        }
        let answer = effect(&mut world);
        match fault {
            Some(fault) => Err(lost(operation, fault)),
            None => answer.map_err(|refused| error(operation, &refused)),
        }
    }

    /// Tasks of one `desiredStatus`, with the value of the date variable.
    fn tasks_where(&self, family: &TaskFamily, filter: &TaskFilter) -> Answer<Vec<Task>> {
        let cluster = family.cluster.as_str();
        let arns = self.ask("ecs:ListTasks", cluster, |world| world.list_tasks(cluster, filter))?;
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let described = self.ask("ecs:DescribeTasks", &arns.join(","), |world| {
            world.describe_tasks(cluster, &arns)
        });
        let (tasks, _missing) = described?;
        Ok(tasks.iter().map(|record| task(record, family)).collect())
    }

    /// Of both statuses: a task that is being stopped is listed under STOPPED and still alive.
    fn tasks_of_both(&self, family: &TaskFamily, filter: &TaskFilter) -> Answer<Vec<Task>> {
        let mut tasks = self.tasks_where(family, filter)?;
        let stopped = TaskFilter { desired_status: Some(DesiredStatus::Stopped), ..filter.clone() };
        for task in self.tasks_where(family, &stopped)? {
            if !tasks.iter().any(|known| known.arn == task.arn) {
                tasks.push(task);
            }
        }
        Ok(tasks)
    }
}

#[async_trait]
impl Platform for SimPlatform {
    async fn caller(&self) -> Answer<Caller> {
        let (caller, skew) =
            self.ask("sts:GetCallerIdentity", "", |world| Ok((world.caller(), world.clock_skew)))?;
        let clock_skew = Some(skew);
        Ok(Caller { account: caller.account, arn: caller.arn, clock_skew })
    }

    async fn list_objects(
        &self,
        listing: &Listing,
        page: &mut (dyn FnMut(Vec<ObjectInfo>) + Send),
    ) -> Answer<()> {
        let mut after = listing.start_after.clone();
        let mut wanted = listing.at_most.unwrap_or(usize::MAX);
        let target = format!("{}/{}", listing.bucket, listing.prefix);
        loop {
            let count = wanted.min(KEYS_PER_PAGE);
            let objects = self.ask("s3:ListObjectsV2", &target, |world| {
                world.list_objects(&listing.bucket, &listing.prefix, after.as_deref(), count)
            })?;
            wanted -= objects.len();
            let is_last = objects.len() < KEYS_PER_PAGE || wanted == 0;
            let objects: Vec<_> = objects.iter().map(object_info).collect();
            after = objects.last().map(|object| object.key.clone());
            let is_past_end = listing.is_past_end(objects.last());
            page(objects);
            if is_last || is_past_end {
                return Ok(());
            }
        }
    }

    async fn folders(&self, bucket: &str, prefix: &str) -> Answer<Vec<String>> {
        let mut folders = Vec::new();
        loop {
            let last = folders.last().map(|folder: &String| format!("{folder}\u{10ffff}"));
            let target = format!("{bucket}/{prefix}");
            let page = self.ask("s3:ListObjectsV2", &target, |world| {
                world.folders(bucket, prefix, last.as_deref(), KEYS_PER_PAGE)
            })?;
            let is_last = page.len() < KEYS_PER_PAGE;
            folders.extend(page);
            if is_last {
                return Ok(folders);
            }
        }
    }

    async fn read_range(&self, bucket: &str, object: &ObjectRange) -> Answer<Bytes> {
        self.ask("s3:GetObject", &object.key, |world| {
            let body = world.body(bucket, &object.key, Some(&object.etag))?;
            if object.from >= body.len() {
                return Err(refusal("InvalidRange", 416, "The requested range is not satisfiable"));
            }
            Ok(body.range(object.from, object.length))
        })
    }

    async fn get_object(&self, bucket: &str, key: &str) -> Answer<Option<Bytes>> {
        self.ask("s3:GetObject", key, |world| {
            none_if(world.body(bucket, key, None).map(Body::bytes), "NoSuchKey")
        })
    }

    async fn create_object(&self, bucket: &str, key: &str, body: Bytes) -> Answer<Created> {
        self.ask("s3:PutObject", key, |world| created(world.put_object(bucket, key, body, true)))
    }

    async fn put_object(&self, bucket: &str, key: &str, body: Bytes) -> Answer<()> {
        self.ask("s3:PutObject", key, |world| {
            world.put_object(bucket, key, body, false).map(|_| ())
        })
    }

    async fn copy_object(&self, bucket: &str, from: &str, to: &str) -> Answer<Created> {
        self.ask("s3:CopyObject", to, |world| {
            created(world.copy_object(bucket, from, bucket, to, true))
        })
    }

    async fn begin_upload(&self, bucket: &str, key: &str, mark: &str) -> Answer<PartsUpload> {
        let id = self.ask("s3:CreateMultipartUpload", key, |world| {
            world.create_multipart_upload(bucket, key, Some(mark))
        })?;
        Ok(PartsUpload { bucket: bucket.to_owned(), key: key.to_owned(), id })
    }

    async fn upload_part(&self, upload: &PartsUpload, number: u32, body: Bytes) -> Answer<String> {
        self.ask("s3:UploadPart", &upload.key, |world| world.upload_part(&upload.id, number, body))
    }

    async fn complete_upload(
        &self,
        upload: &PartsUpload,
        etags: &[String],
        replaces: Option<&str>,
    ) -> Answer<Created> {
        let parts: Vec<(u32, String)> = (1..).zip(etags.iter().cloned()).collect();
        let only_if = replaces.map_or(WriteIf::Absent, WriteIf::Unchanged);
        self.ask("s3:CompleteMultipartUpload", &upload.key, |world| {
            created(world.complete_multipart_upload(&upload.id, &parts, only_if))
        })
    }

    async fn abort_upload(&self, upload: &PartsUpload) -> Answer<()> {
        self.ask("s3:AbortMultipartUpload", &upload.key, |world| {
            none_if(world.abort_multipart_upload(&upload.id), "NoSuchUpload").map(|_| ())
        })
    }

    async fn uploads_to(
        &self,
        bucket: &str,
        key: &str,
    ) -> Answer<Vec<(PartsUpload, DateTime<Utc>)>> {
        self.ask("s3:ListMultipartUploads", key, |world| {
            world.list_objects(bucket, "", None, 1)?;
            let uploads = world.uploads(bucket).into_iter().filter(|upload| upload.key == key);
            Ok(uploads
                .map(|upload| {
                    let (bucket, key, id) = (upload.bucket, upload.key, upload.id);
                    (PartsUpload { bucket, key, id }, upload.began_at)
                })
                .collect())
        })
    }

    async fn marked_object(&self, bucket: &str, key: &str) -> Answer<Option<MarkedObject>> {
        self.ask("s3:HeadObject", key, |world| {
            let found = none_if(world.object(bucket, key, None).cloned(), "NoSuchKey")?;
            Ok(found.map(|object| MarkedObject {
                size: object.body.len(),
                etag: object.etag,
                mark: object.mark,
            }))
        })
    }

    async fn bucket_versioning(&self, bucket: &str) -> Answer<Versioning> {
        self.ask("s3:GetBucketVersioning", bucket, |world| {
            Ok(match world.bucket_versioning(bucket)? {
                Some("Enabled") => Versioning::Enabled,
                Some(_) => Versioning::Suspended,
                None => Versioning::Never,
            })
        })
    }

    async fn delete_objects(&self, bucket: &str, keys: &[String]) -> Answer<Vec<DeletedKey>> {
        self.ask("s3:DeleteObjects", bucket, |world| {
            world.bucket_versioning(bucket)?;
            Ok(keys
                .iter()
                .map(|key| DeletedKey {
                    key: key.clone(),
                    outcome: world
                        .delete_key(bucket, key)
                        .map_err(|refused| error("s3:DeleteObjects", &refused)),
                })
                .collect())
        })
    }

    async fn delete_markers(&self, bucket: &str, prefix: &str) -> Answer<Vec<DeleteMarker>> {
        self.ask("s3:ListObjectVersions", prefix, |world| {
            let markers = world.delete_markers(bucket, prefix)?.into_iter();
            Ok(markers
                .map(|marker| DeleteMarker {
                    key: marker.key,
                    version_id: marker.version_id,
                    last_modified: marker.made_at,
                })
                .collect())
        })
    }

    async fn table_pages(
        &self,
        database: &str,
        page: &mut (dyn FnMut(Vec<CatalogTable>) + Send),
    ) -> Answer<()> {
        let tables = self.ask("glue:GetTables", database, |world| world.tables(database))?;
        let in_our_words = |table: super::TableRecord| CatalogTable {
            kind: TableKind::read(table.target.is_some(), Some(&table.table_type), |name| {
                table.parameters.get(name).map(String::as_str)
            }),
            name: table.name,
            partition_keys: table.partition_keys,
            location: table.location,
        };
        let tables: Vec<_> = tables.into_iter().map(in_our_words).collect();
        for (number, chunk) in tables.chunks(TABLES_PER_PAGE).enumerate() {
            if number > 0 {
                self.ask("glue:GetTables", database, |_| Ok(()))?;
            }
            page(chunk.to_vec());
        }
        Ok(())
    }

    async fn partitions_at(
        &self,
        database: &str,
        table: &str,
        values: &[Vec<String>],
    ) -> Answer<Vec<Partition>> {
        let target = format!("{database}.{table}");
        let rows = self.ask("glue:BatchGetPartition", &target, |world| {
            world.batch_partitions(database, table, values)
        })?;
        let in_our_words =
            |row: super::PartitionRecord| Partition { values: row.values, location: row.location };
        Ok(rows.into_iter().map(in_our_words).collect())
    }

    async fn partitions(
        &self,
        query: &PartitionQuery,
        page: &mut (dyn FnMut(Vec<Partition>) + Send),
    ) -> Answer<()> {
        let target = format!("{}.{}", query.database, query.table);
        let first = self.ask("glue:GetPartitions", &target, |world| {
            world.partitions(&query.database, &query.table, query.expression.as_deref())
        })?;
        let rows = first.into_iter().take(query.at_most.unwrap_or(usize::MAX));
        let rows = rows.map(|row| Partition { values: row.values, location: row.location });
        let rows: Vec<_> = rows.collect();
        for (number, chunk) in rows.chunks(PARTITIONS_PER_PAGE).enumerate() {
            if number > 0 {
                self.ask("glue:GetPartitions", &target, |_| Ok(()))?;
            }
            page(chunk.to_vec());
        }
        Ok(())
    }

    async fn delete_partitions(
        &self,
        database: &str,
        table: &str,
        values: &[Vec<String>],
    ) -> Answer<Vec<(Vec<String>, PlatformError)>> {
        let target = format!("{database}.{table}");
        self.ask("glue:BatchDeletePartition", &target, |world| {
            world.delete_partitions(database, table, values).map(|_| Vec::new())
        })
    }

    async fn family_tasks(&self, family: &TaskFamily) -> Answer<Vec<Task>> {
        let filter = TaskFilter { family: Some(family.family.clone()), ..TaskFilter::default() };
        let mut tasks = self.tasks_of_both(family, &filter)?;
        tasks.retain(Task::is_alive);
        Ok(tasks)
    }

    async fn tasks_started_by(&self, family: &TaskFamily, started_by: &str) -> Answer<Vec<Task>> {
        let filter =
            TaskFilter { started_by: Some(started_by.to_owned()), ..TaskFilter::default() };
        self.tasks_of_both(family, &filter)
    }

    async fn task(&self, family: &TaskFamily, arn: &str) -> Answer<Option<Task>> {
        let (tasks, _missing) = self.ask("ecs:DescribeTasks", arn, |world| {
            world.describe_tasks(&family.cluster, &[arn.to_owned()])
        })?;
        Ok(tasks.first().map(|record| task(record, family)))
    }

    async fn run_task(&self, request: &TaskRequest) -> Answer<TaskStart> {
        let answer = self
            .ask("ecs:RunTask", &request.client_token, |world| world.run_task(&asked(request)))?;
        if let Some(failure) = answer.failures.first() {
            return Ok(TaskStart::Refused(failure.reason.clone()));
        }
        let started = answer.tasks.first().map(|task| TaskStart::Started(task.arn.clone()));
        Ok(started.unwrap_or_else(|| TaskStart::Refused("no task and no failure".to_owned())))
    }

    async fn stop_task(&self, cluster: &str, arn: &str, reason: &str) -> Answer<()> {
        self.ask("ecs:StopTask", arn, |world| world.stop_task(cluster, arn, reason).map(|_| ()))
    }

    async fn log_tail(&self, group: &str, stream: &str, lines: usize) -> Answer<Vec<String>> {
        self.ask("logs:GetLogEvents", stream, |world| {
            let found = none_if(world.log_events(group, stream), "ResourceNotFoundException")?;
            let all = found.unwrap_or_default();
            let skipped = all.len().saturating_sub(lines);
            Ok(all.into_iter().skip(skipped).map(|line| line.message).collect())
        })
    }

    async fn snapshot(&self, id: &str) -> Answer<Option<Snapshot>> {
        self.ask("rds:DescribeDBSnapshots", id, |world| {
            let found = none_if(world.db_snapshots(None, Some(id)), "DBSnapshotNotFound")?;
            Ok(found.and_then(|found| found.first().map(snapshot)))
        })
    }

    async fn snapshots(&self, instance: &str) -> Answer<Vec<Snapshot>> {
        self.ask("rds:DescribeDBSnapshots", instance, |world| {
            Ok(world.db_snapshots(Some(instance), None)?.iter().map(snapshot).collect())
        })
    }

    async fn export(&self, id: &str) -> Answer<Option<Export>> {
        self.ask("rds:DescribeExportTasks", id, |world| {
            let found = none_if(world.export_tasks(Some(id), None), "ExportTaskNotFound")?;
            Ok(found.and_then(|found| found.first().map(export)))
        })
    }

    async fn exports_of(&self, snapshot_arn: &str) -> Answer<Vec<Export>> {
        self.ask("rds:DescribeExportTasks", snapshot_arn, |world| {
            Ok(world.export_tasks(None, Some(snapshot_arn))?.iter().map(export).collect())
        })
    }

    async fn workflow_runs(&self, name: &str, since: DateTime<Utc>) -> Answer<Vec<WorkflowRun>> {
        self.ask("glue:GetWorkflowRuns", name, |world| {
            world.workflow(name)?;
            Ok(world.workflow_runs_since(name, since).map(|run| workflow_run(run, None)).collect())
        })
    }

    async fn workflow_run(&self, name: &str, id: &str) -> Answer<WorkflowRun> {
        self.ask("glue:GetWorkflowRun", id, |world| {
            let crawler = world.workflow(name)?.crawler.clone();
            Ok(workflow_run(world.workflow_run(name, id)?, Some(&crawler)))
        })
    }

    async fn start_workflow_run(
        &self,
        name: &str,
        properties: &BTreeMap<String, String>,
    ) -> Answer<String> {
        self.ask("glue:StartWorkflowRun", name, |world| world.start_workflow_run(name, properties))
    }

    async fn rule(&self, name: &str, event_bus: &str) -> Answer<Rule> {
        let record =
            self.ask("events:DescribeRule", name, |world| world.rule(name, event_bus).cloned())?;
        self.ask("events:ListTargetsByRule", name, |_| Ok(rule(&record)))
    }

    async fn disable_rule(&self, name: &str, event_bus: &str) -> Answer<()> {
        self.ask("events:DisableRule", name, |world| world.disable_rule(name, event_bus))
    }

    async fn enable_rule(&self, name: &str, event_bus: &str) -> Answer<()> {
        self.ask("events:EnableRule", name, |world| world.enable_rule(name, event_bus))
    }

    async fn arm_dead_man(&self, switch: &DeadMan) -> Answer<()> {
        self.ask("scheduler:CreateSchedule", &switch.name, |world| {
            world.create_schedule(schedule(switch)).map(|_| ())
        })
    }

    async fn dead_man(&self, group: &str, name: &str) -> Answer<Option<DeadMan>> {
        self.ask("scheduler:GetSchedule", name, |world| {
            let found = none_if(world.schedule(group, name), "ResourceNotFoundException")?;
            found.map(dead_man).transpose()
        })
    }

    async fn disarm_dead_man(&self, group: &str, name: &str) -> Answer<()> {
        self.ask("scheduler:DeleteSchedule", name, |world| {
            none_if(world.delete_schedule(group, name), "ResourceNotFoundException").map(|_| ())
        })
    }

    async fn takes_dead_men(&self, group: &str) -> Answer<bool> {
        self.ask("scheduler:GetScheduleGroup", group, |world| {
            Ok(world.schedule_groups().iter().any(|known| known == group))
        })
    }
}

fn created(written: SimResult<String>) -> SimResult<Created> {
    let written = none_if(written, "PreconditionFailed")?;
    Ok(if written.is_some() { Created::Created } else { Created::Exists })
}

fn none_if<T>(answer: SimResult<T>, code: &str) -> SimResult<Option<T>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(refused) if refused.code == code => Ok(None),
        Err(refused) => Err(refused),
    }
}

fn asked(request: &TaskRequest) -> RunTask {
    RunTask {
        cluster: request.cluster.clone(),
        task_definition: request.task_definition.clone(),
        network: Some(request.network.clone()),
        launch_type: Some("FARGATE".to_owned()),
        platform_version: request.platform_version.clone(),
        client_token: Some(request.client_token.clone()),
        started_by: Some(request.started_by.clone()),
        overrides: vec![ContainerOverride {
            name: request.container.clone(),
            environment: request.environment.clone(),
            command: Vec::new(),
        }],
        tags: [("gapmend".to_owned(), request.started_by.clone())].into(),
    }
}

fn schedule(switch: &DeadMan) -> ScheduleRecord {
    let input = serde_json::json!({ "Name": switch.rule, "EventBusName": switch.event_bus });
    ScheduleRecord {
        name: switch.name.clone(),
        group: switch.group.clone(),
        expression: switch.fires_at.format("at(%Y-%m-%dT%H:%M:%S)").to_string(),
        timezone: Some("UTC".to_owned()),
        target_arn: ENABLE_RULE.to_owned(),
        input: Some(input.to_string()),
        role_arn: switch.role_arn.clone(),
        state: "ENABLED".to_owned(),
        delete_after: true,
        client_token: None,
        created_at: switch.fires_at,
    }
}

fn dead_man(record: &ScheduleRecord) -> SimResult<DeadMan> {
    let enabled = record.state == "ENABLED";
    let target = record.enables_rule().filter(|_| enabled);
    let (Some((rule, event_bus)), Some(fires_at)) = (target, record.fires_at()) else {
        return Err(refusal("ValidationException", 400, "the schedule is no dead man's switch"));
    };
    Ok(DeadMan {
        name: record.name.clone(),
        group: record.group.clone(),
        rule,
        event_bus,
        fires_at,
        role_arn: record.role_arn.clone(),
    })
}
