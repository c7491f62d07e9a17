//! The only place that names `aws_sdk_*`: the real services behind [`crate::platform::Platform`].
//!
//! ```text
//!   s3 glue ecs rds eventbridge scheduler logs sts     one service each, in our words
//!        │ every request                │ every list
//!        ▼                              ▼
//!      line: permits, attempts        pages: tokens followed by hand
//!        │ every failure
//!        ▼
//!      error: one classification          http: the client beneath
//! ```
//!
//! What it never does: decide; repeat a request whose effect is unknown, unless the service
//! guarantees that a repetition does nothing; turn a page that was lost into a short list; keep
//! or say what tasks carry in their overrides besides the date (H30).

mod config;
mod convert;
mod ecs;
mod error;
mod eventbridge;
mod glue;
mod http;
mod line;
mod logs;
mod pages;
mod partition_page;
mod proxy;
mod rds;
mod s3;
mod scheduler;
mod sts;

#[cfg(test)]
mod canned;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use bytes::Bytes;
use chrono::{DateTime, Utc};

pub use self::config::load as sdk_config;
pub use self::http::client as http_client;
use self::line::Line;
use crate::config::settings::AwsSettings;
use crate::domain::{Export, Rule, Snapshot, Task, WorkflowRun};
use crate::platform::{
    Answer, CallObserver, Caller, CatalogTable, Clock, Created, DeadMan, DeleteMarker, DeletedKey,
    Listing, MarkedObject, ObjectInfo, ObjectRange, Partition, PartitionQuery, PartsUpload,
    Platform, PlatformError, TaskFamily, TaskRequest, TaskStart, Versioning,
};

/// Every operation that is ever asked for, as `service:Operation`: so that the metrics of all of
/// them exist from the start.
pub const OPERATIONS: [&str; 38] = [
    ecs::DESCRIBE_TASKS,
    ecs::LIST_TASKS,
    ecs::RUN_TASK,
    ecs::STOP_TASK,
    eventbridge::DESCRIBE_RULE,
    eventbridge::DISABLE_RULE,
    eventbridge::ENABLE_RULE,
    eventbridge::LIST_TARGETS,
    glue::BATCH_DELETE_PARTITION,
    glue::BATCH_GET_PARTITION,
    glue::GET_PARTITIONS,
    glue::GET_RUN,
    glue::GET_RUN_PROPERTIES,
    glue::GET_RUNS,
    glue::GET_TABLES,
    glue::START_RUN,
    logs::GET_LOG_EVENTS,
    rds::DESCRIBE_EXPORTS,
    rds::DESCRIBE_SNAPSHOTS,
    s3::ABORT_UPLOAD,
    s3::BEGIN_UPLOAD,
    s3::COMPLETE_UPLOAD,
    s3::COPY_OBJECT,
    s3::DELETE_OBJECT,
    s3::DELETE_OBJECTS,
    s3::GET_OBJECT,
    s3::GET_VERSIONING,
    s3::HEAD_OBJECT,
    s3::LIST_OBJECTS,
    s3::LIST_UPLOADS,
    s3::LIST_VERSIONS,
    s3::PUT_OBJECT,
    s3::UPLOAD_PART,
    scheduler::CREATE_SCHEDULE,
    scheduler::DELETE_SCHEDULE,
    scheduler::GET_SCHEDULE,
    scheduler::GET_SCHEDULE_GROUP,
    sts::GET_CALLER_IDENTITY,
];

/// AWS, as gapmend asks it.
pub struct AwsPlatform {
    catalog: glue::Catalog,
    logs: logs::Logs,
    objects: s3::Objects,
    rules: eventbridge::Rules,
    schedules: scheduler::Schedules,
    snapshots: rds::Snapshots,
    tasks: ecs::Tasks,
    identity: sts::Identity,
}

/// Makes the clients; sends nothing. Credentials come from the SDK's own chain.
pub async fn connect(
    settings: &AwsSettings,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn CallObserver>,
) -> AwsPlatform {
    let shared = sdk_config(settings).await;
    AwsPlatform::over(&shared, settings, clock, observer)
}

impl AwsPlatform {
    /// The same over an SDK configuration that the caller has changed: with credentials or an
    /// HTTP client of its own.
    pub fn over(
        shared: &SdkConfig,
        settings: &AwsSettings,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn CallObserver>,
    ) -> Self {
        let line = Arc::new(Line::new(settings.max_in_flight, clock, observer));
        Self {
            catalog: glue::Catalog::new(shared, line.clone()),
            logs: logs::Logs::new(shared, line.clone()),
            objects: s3::Objects::new(shared, line.clone(), &settings.account_id),
            rules: eventbridge::Rules::new(shared, line.clone()),
            schedules: scheduler::Schedules::new(shared, line.clone()),
            snapshots: rds::Snapshots::new(shared, line.clone()),
            tasks: ecs::Tasks::new(shared, line.clone()),
            identity: sts::Identity::new(shared, line),
        }
    }
}

#[async_trait]
impl Platform for AwsPlatform {
    async fn caller(&self) -> Answer<Caller> {
        self.identity.caller().await
    }

    async fn list_objects(
        &self,
        listing: &Listing,
        page: &mut (dyn FnMut(Vec<ObjectInfo>) + Send),
    ) -> Answer<()> {
        self.objects.list(listing, page).await
    }

    async fn folders(&self, bucket: &str, prefix: &str) -> Answer<Vec<String>> {
        self.objects.folders(bucket, prefix).await
    }

    async fn read_range(&self, bucket: &str, object: &ObjectRange) -> Answer<Bytes> {
        self.objects.read_range(bucket, object).await
    }

    async fn get_object(&self, bucket: &str, key: &str) -> Answer<Option<Bytes>> {
        self.objects.get(bucket, key).await
    }

    async fn create_object(&self, bucket: &str, key: &str, body: Bytes) -> Answer<Created> {
        self.objects.create(bucket, key, body).await
    }

    async fn put_object(&self, bucket: &str, key: &str, body: Bytes) -> Answer<()> {
        self.objects.put(bucket, key, body).await
    }

    async fn copy_object(&self, bucket: &str, from: &str, to: &str) -> Answer<Created> {
        self.objects.copy(bucket, from, to).await
    }

    async fn begin_upload(&self, bucket: &str, key: &str, mark: &str) -> Answer<PartsUpload> {
        self.objects.begin_upload(bucket, key, mark).await
    }

    async fn upload_part(&self, upload: &PartsUpload, number: u32, body: Bytes) -> Answer<String> {
        self.objects.upload_part(upload, number, body).await
    }

    async fn complete_upload(
        &self,
        upload: &PartsUpload,
        etags: &[String],
        replaces: Option<&str>,
    ) -> Answer<Created> {
        self.objects.complete_upload(upload, etags, replaces).await
    }

    async fn abort_upload(&self, upload: &PartsUpload) -> Answer<()> {
        self.objects.abort_upload(upload).await
    }

    async fn uploads_to(
        &self,
        bucket: &str,
        key: &str,
    ) -> Answer<Vec<(PartsUpload, DateTime<Utc>)>> {
        self.objects.uploads_to(bucket, key).await
    }

    async fn marked_object(&self, bucket: &str, key: &str) -> Answer<Option<MarkedObject>> {
        self.objects.marked(bucket, key).await
    }

    async fn bucket_versioning(&self, bucket: &str) -> Answer<Versioning> {
        self.objects.versioning(bucket).await
    }

    async fn delete_objects(&self, bucket: &str, keys: &[String]) -> Answer<Vec<DeletedKey>> {
        self.objects.delete(bucket, keys).await
    }

    async fn delete_markers(&self, bucket: &str, prefix: &str) -> Answer<Vec<DeleteMarker>> {
        self.objects.delete_markers(bucket, prefix).await
    }

    async fn table_pages(
        &self,
        database: &str,
        page: &mut (dyn FnMut(Vec<CatalogTable>) + Send),
    ) -> Answer<()> {
        self.catalog.tables(database, page).await
    }

    async fn partitions(
        &self,
        query: &PartitionQuery,
        page: &mut (dyn FnMut(Vec<Partition>) + Send),
    ) -> Answer<()> {
        self.catalog.partitions(query, page).await
    }

    async fn partitions_at(
        &self,
        database: &str,
        table: &str,
        values: &[Vec<String>],
    ) -> Answer<Vec<Partition>> {
        self.catalog.partitions_at(database, table, values).await
    }

    async fn delete_partitions(
        &self,
        database: &str,
        table: &str,
        values: &[Vec<String>],
    ) -> Answer<Vec<(Vec<String>, PlatformError)>> {
        self.catalog.delete_partitions(database, table, values).await
    }

    async fn family_tasks(&self, family: &TaskFamily) -> Answer<Vec<Task>> {
        self.tasks.alive(family).await
    }

    async fn tasks_started_by(&self, family: &TaskFamily, started_by: &str) -> Answer<Vec<Task>> {
        self.tasks.started_by(family, started_by).await
    }

    async fn task(&self, family: &TaskFamily, arn: &str) -> Answer<Option<Task>> {
        self.tasks.one(family, arn).await
    }

    async fn run_task(&self, request: &TaskRequest) -> Answer<TaskStart> {
        self.tasks.run(request).await
    }

    async fn stop_task(&self, cluster: &str, arn: &str, reason: &str) -> Answer<()> {
        self.tasks.stop(cluster, arn, reason).await
    }

    async fn log_tail(&self, group: &str, stream: &str, lines: usize) -> Answer<Vec<String>> {
        self.logs.tail(group, stream, lines).await
    }

    async fn snapshot(&self, id: &str) -> Answer<Option<Snapshot>> {
        self.snapshots.one(id).await
    }

    async fn snapshots(&self, instance: &str) -> Answer<Vec<Snapshot>> {
        self.snapshots.of_instance(instance).await
    }

    async fn export(&self, id: &str) -> Answer<Option<Export>> {
        self.snapshots.export(id).await
    }

    async fn exports_of(&self, snapshot_arn: &str) -> Answer<Vec<Export>> {
        self.snapshots.exports_of(snapshot_arn).await
    }

    async fn workflow_runs(&self, name: &str, since: DateTime<Utc>) -> Answer<Vec<WorkflowRun>> {
        self.catalog.runs(name, since).await
    }

    async fn workflow_run(&self, name: &str, id: &str) -> Answer<WorkflowRun> {
        self.catalog.run(name, id).await
    }

    async fn start_workflow_run(
        &self,
        name: &str,
        properties: &BTreeMap<String, String>,
    ) -> Answer<String> {
        self.catalog.start_run(name, properties).await
    }

    async fn rule(&self, name: &str, event_bus: &str) -> Answer<Rule> {
        self.rules.rule(name, event_bus).await
    }

    async fn disable_rule(&self, name: &str, event_bus: &str) -> Answer<()> {
        self.rules.disable(name, event_bus).await
    }

    async fn enable_rule(&self, name: &str, event_bus: &str) -> Answer<()> {
        self.rules.enable(name, event_bus).await
    }

    async fn arm_dead_man(&self, switch: &DeadMan) -> Answer<()> {
        self.schedules.arm(switch).await
    }

    async fn dead_man(&self, group: &str, name: &str) -> Answer<Option<DeadMan>> {
        self.schedules.read(group, name).await
    }

    async fn disarm_dead_man(&self, group: &str, name: &str) -> Answer<()> {
        self.schedules.disarm(group, name).await
    }

    async fn takes_dead_men(&self, group: &str) -> Answer<bool> {
        self.schedules.takes(group).await
    }
}
