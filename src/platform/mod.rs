//! The one place where the world begins.
//!
//! [`Platform`] is everything that gapmend asks of AWS, in our words; [`Clock`] is time.
//! There are two platforms: `aws/` (the real services) and `sim/` (the model of the pipeline).
//!
//! What this layer never does: decide, retry a call whose effect is unknown, or turn
//! "could not see" into "is not there". A list is returned whole or not at all.

mod call;
mod table_kind;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};

pub use self::call::{CallObserver, CallResult, Unobserved};
pub use self::table_kind::TableKind;
pub use crate::domain::TaskFamily;
use crate::domain::{ErrorClass, Export, Network, Rule, Snapshot, Task, WorkflowRun};

/// Time. Only an implementation of this reads a clock.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> DateTime<Utc>;
    /// Waits; virtual clocks return when the virtual time has passed.
    async fn sleep(&self, duration: Duration);
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A call that did not give the answer asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformError {
    /// The service and operation, e.g. `glue:GetPartitions`.
    pub operation: &'static str,
    /// What kind of failure it is.
    pub class: ErrorClass,
    /// The service's own code, e.g. `EntityNotFoundException`.
    pub code: Option<String>,
    /// The service's message.
    pub message: String,
    /// For AWS support.
    pub request_id: Option<String>,
}

impl std::fmt::Display for PlatformError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} answered {}", self.operation, self.class.label())?;
        if let Some(code) = &self.code {
            write!(f, " ({code})")?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " [request {id}]")?;
        }
        Ok(())
    }
}

impl std::error::Error for PlatformError {}

/// The answer of every call.
pub type Answer<T> = Result<T, PlatformError>;

/// Who we are to AWS, and how far our clock is from AWS's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account's twelve digits.
    pub account: String,
    /// Our ARN.
    pub arn: String,
    /// AWS's `Date` minus our clock.
    pub clock_skew: Option<chrono::Duration>,
}

/// An object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// The whole key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Without quotes.
    pub etag: String,
    /// When it was last written.
    pub last_modified: DateTime<Utc>,
    /// The class as S3 writes it, e.g. `STANDARD`, `GLACIER`; `None` for an object out of an
    /// archive that was restored, and can be read for now.
    pub storage_class: Option<String>,
}

/// What to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The bucket.
    pub bucket: String,
    /// Only keys that begin with this.
    pub prefix: String,
    /// Only keys after this one, exclusive.
    pub start_after: Option<String>,
    /// Keys from this one on are not needed: pages that have only such ones are not asked for.
    pub end_before: Option<String>,
    /// Stop once this many objects have come; `None` for all of them.
    pub at_most: Option<usize>,
}

impl Listing {
    /// Whether the last object of a page says that no later page is needed.
    #[must_use]
    pub fn is_past_end(&self, last: Option<&ObjectInfo>) -> bool {
        self.end_before.as_ref().zip(last).is_some_and(|(end, last)| last.key >= *end)
    }
}

/// What became of a create-if-absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is ours.
    Created,
    /// The key was there already (which may be our own earlier attempt: compare what is there).
    Exists,
}

/// An upload in parts that is under way.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PartsUpload {
    /// The bucket.
    pub bucket: String,
    /// The key that it will write.
    pub key: String,
    /// S3's own name for it.
    pub id: String,
}

/// What is under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkedObject {
    /// Bytes.
    pub size: u64,
    /// Without quotes.
    pub etag: String,
    /// The mark of the upload that wrote it; with encryption the `ETag` says nothing of whose
    /// bytes it is.
    pub mark: Option<String>,
}

/// Whether a bucket keeps what is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versioning {
    /// A deleted object stays as an older version, under a delete marker.
    Enabled,
    /// It was once; what is deleted now may be gone.
    Suspended,
    /// It never was: what is deleted is gone.
    Never,
}

impl Versioning {
    /// As S3 writes it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Suspended => "Suspended",
            Self::Never => "never enabled",
        }
    }
}

/// S3 takes no more keys in one deletion.
pub const KEYS_PER_DELETION: usize = 1_000;

/// Glue takes no more partitions in one deletion.
pub const PARTITIONS_PER_DELETION: usize = 25;

/// What became of one key of a deletion: the delete marker's version id, or why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedKey {
    /// The key.
    pub key: String,
    /// The delete marker's version id, which takes the deletion back; `None` in a bucket
    /// without versions.
    pub outcome: Result<Option<String>, PlatformError>,
}

/// A delete marker that lies on a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteMarker {
    /// The key.
    pub key: String,
    /// Deleting this version takes the deletion back.
    pub version_id: String,
    /// When it was made.
    pub last_modified: DateTime<Utc>,
}

/// A table of the catalog, as far as we need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogTable {
    /// Its name.
    pub name: String,
    /// Its partition keys in order: name and type.
    pub partition_keys: Vec<(String, String)>,
    /// `s3://bucket/prefix/`, when it has one. Never built from names.
    pub location: Option<String>,
    /// How its data is found.
    pub kind: TableKind,
}

/// Which partitions of a table to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionQuery {
    /// The Glue database.
    pub database: String,
    /// The table.
    pub table: String,
    /// A Glue expression over the partition keys; `None` for all partitions.
    pub expression: Option<String>,
    /// Stop once this many partitions have come; `None` for all of them.
    pub at_most: Option<usize>,
}

/// A partition, as far as we need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its values, in the order of the table's keys.
    pub values: Vec<String>,
    /// `s3://bucket/prefix`, when it has one.
    pub location: Option<String>,
}

/// A task to start.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TaskRequest {
    /// Cluster name or ARN.
    pub cluster: String,
    /// Family, or ARN with revision.
    pub task_definition: String,
    /// The container that is overridden.
    pub container: String,
    /// The container's extra environment: the date variable, or none for a live run.
    pub environment: BTreeMap<String, String>,
    /// Where it runs.
    pub network: Network,
    /// The Fargate platform version; `None` for the latest.
    pub platform_version: Option<String>,
    /// Our own, at most 64 characters: the same token and parameters start nothing twice.
    pub client_token: String,
    /// Our own, at most 128 letters, digits, `-`, `/`, `_`.
    pub started_by: String,
}

/// What came of a task request: a 200 answer can still be a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskStart {
    /// The task's ARN.
    Started(String),
    /// ECS's `failures[]`, in words.
    Refused(String),
}

/// A dead man's switch: a one-time schedule that enables a rule when nobody else does.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DeadMan {
    /// The schedule's name.
    pub name: String,
    /// The schedule's group.
    pub group: String,
    /// The rule that it enables.
    pub rule: String,
    /// The rule's bus.
    pub event_bus: String,
    /// When it fires; to the second.
    pub fires_at: DateTime<Utc>,
    /// The role that the scheduler takes.
    pub role_arn: String,
}

impl DeadMan {
    /// The name of a dataset's switch: the same for every hold, so that one that is found beside
    /// a disabled rule proves whose doing that is.
    #[must_use]
    pub fn name_for(dataset: &str) -> String {
        format!("gapmend-{dataset}")
    }
}

/// Everything that gapmend asks of AWS.
///
/// Reads may be retried inside; calls with an effect are sent once, except where the
/// service guarantees that a repetition does nothing (a token, a create-if-absent, a state).
#[async_trait]
pub trait Platform: Send + Sync {
    /// Our account and ARN (`sts:GetCallerIdentity`).
    async fn caller(&self) -> Answer<Caller>;

    /// Objects in key order, page by page. A lost page is an error, never a short list.
    async fn list_objects(
        &self,
        listing: &Listing,
        page: &mut (dyn FnMut(Vec<ObjectInfo>) + Send),
    ) -> Answer<()>;
    /// The folders right below a prefix, each whole and with its trailing slash (a listing by
    /// delimiter). A lost page is an error, never a short list.
    async fn folders(&self, bucket: &str, prefix: &str) -> Answer<Vec<String>>;
    /// Bytes `from..from+length` of the object with that `ETag`; `Conflict` when it changed.
    async fn read_range(&self, bucket: &str, object: &ObjectRange) -> Answer<Bytes>;
    /// A whole small object; `None` when it is absent.
    async fn get_object(&self, bucket: &str, key: &str) -> Answer<Option<Bytes>>;
    /// Creates an object unless the key exists (`If-None-Match: *`).
    async fn create_object(&self, bucket: &str, key: &str, body: Bytes) -> Answer<Created>;
    /// Overwrites a small object: for caches only.
    async fn put_object(&self, bucket: &str, key: &str, body: Bytes) -> Answer<()>;
    /// Copies within a bucket unless the target exists (`If-None-Match: *`), once.
    async fn copy_object(&self, bucket: &str, from: &str, to: &str) -> Answer<Created>;

    /// Begins an upload in parts, once; the object that comes of it carries `mark`. Fires nothing.
    async fn begin_upload(&self, bucket: &str, key: &str, mark: &str) -> Answer<PartsUpload>;
    /// Sends a part, which S3 checks by its MD5; the same part again replaces it. Answers its
    /// `ETag`. Fires nothing.
    async fn upload_part(&self, upload: &PartsUpload, number: u32, body: Bytes) -> Answer<String>;
    /// Makes the object of its parts, once: this is the write that fires the rule (H12). Only
    /// while the key is absent, or while it is still the object with the `ETag` in `replaces`;
    /// else [`Created::Exists`].
    async fn complete_upload(
        &self,
        upload: &PartsUpload,
        etags: &[String],
        replaces: Option<&str>,
    ) -> Answer<Created>;
    /// Forgets an upload and its parts; absent is fine.
    async fn abort_upload(&self, upload: &PartsUpload) -> Answer<()>;
    /// The uploads under way to exactly this key, and when each began.
    async fn uploads_to(
        &self,
        bucket: &str,
        key: &str,
    ) -> Answer<Vec<(PartsUpload, DateTime<Utc>)>>;
    /// What is under a key, and the mark of the upload that wrote it; `None` when it is absent.
    async fn marked_object(&self, bucket: &str, key: &str) -> Answer<Option<MarkedObject>>;

    /// Whether a bucket keeps what is deleted.
    async fn bucket_versioning(&self, bucket: &str) -> Answer<Versioning>;
    /// Puts a delete marker on each key, once; at most [`KEYS_PER_DELETION`] keys. Never deletes a
    /// version. What became of each key is in the answer, in no certain order.
    async fn delete_objects(&self, bucket: &str, keys: &[String]) -> Answer<Vec<DeletedKey>>;
    /// The delete markers on keys that begin like this, the latest and older ones.
    async fn delete_markers(&self, bucket: &str, prefix: &str) -> Answer<Vec<DeleteMarker>>;

    /// Every table of a database, page by page. A lost page is an error, never a short list.
    async fn table_pages(
        &self,
        database: &str,
        page: &mut (dyn FnMut(Vec<CatalogTable>) + Send),
    ) -> Answer<()>;
    /// Every table of a database.
    async fn tables(&self, database: &str) -> Answer<Vec<CatalogTable>> {
        let mut tables = Vec::new();
        self.table_pages(database, &mut |page| tables.extend(page)).await?;
        Ok(tables)
    }
    /// Partitions of a table, page by page, without column schemas.
    async fn partitions(
        &self,
        query: &PartitionQuery,
        page: &mut (dyn FnMut(Vec<Partition>) + Send),
    ) -> Answer<()>;
    /// Those of a table's partitions that have one of these lists of values; absent ones simply
    /// do not come back.
    async fn partitions_at(
        &self,
        database: &str,
        table: &str,
        values: &[Vec<String>],
    ) -> Answer<Vec<Partition>>;

    /// Takes partitions out of the catalog; at most [`PARTITIONS_PER_DELETION`]. Answers those
    /// that could not be taken out, each with the reason; an absent one is out.
    async fn delete_partitions(
        &self,
        database: &str,
        table: &str,
        values: &[Vec<String>],
    ) -> Answer<Vec<(Vec<String>, PlatformError)>>;

    /// Tasks of a family that are not over, whoever started them, with the value of `date_variable`.
    async fn family_tasks(&self, family: &TaskFamily) -> Answer<Vec<Task>>;
    /// Tasks, recently stopped ones too, that carry this `startedBy`.
    async fn tasks_started_by(&self, family: &TaskFamily, started_by: &str) -> Answer<Vec<Task>>;
    /// One task; `None` when ECS does not know it (too new, or stopped over an hour ago).
    async fn task(&self, family: &TaskFamily, arn: &str) -> Answer<Option<Task>>;
    /// Starts a task. Safe to repeat with the same request: the token makes it one task.
    async fn run_task(&self, request: &TaskRequest) -> Answer<TaskStart>;
    /// Stops a task.
    async fn stop_task(&self, cluster: &str, arn: &str, reason: &str) -> Answer<()>;
    /// The last lines of a log stream; none when the stream is absent.
    async fn log_tail(&self, group: &str, stream: &str, lines: usize) -> Answer<Vec<String>>;

    /// One snapshot; `None` when it is absent.
    async fn snapshot(&self, id: &str) -> Answer<Option<Snapshot>>;
    /// The snapshots of an instance.
    async fn snapshots(&self, instance: &str) -> Answer<Vec<Snapshot>>;
    /// One export; `None` when the id was never used.
    async fn export(&self, id: &str) -> Answer<Option<Export>>;
    /// Exports of a snapshot, by its ARN.
    async fn exports_of(&self, snapshot_arn: &str) -> Answer<Vec<Export>>;

    /// Every run of a workflow that began after `since`, without graphs.
    async fn workflow_runs(&self, name: &str, since: DateTime<Utc>) -> Answer<Vec<WorkflowRun>>;
    /// One run of a workflow, with its graph and properties.
    async fn workflow_run(&self, name: &str, id: &str) -> Answer<WorkflowRun>;
    /// Starts a workflow with run properties, once: no retry inside, the service has no token.
    async fn start_workflow_run(
        &self,
        name: &str,
        properties: &BTreeMap<String, String>,
    ) -> Answer<String>;

    /// The rule with its ECS targets.
    async fn rule(&self, name: &str, event_bus: &str) -> Answer<Rule>;
    /// Disables a rule; idempotent.
    async fn disable_rule(&self, name: &str, event_bus: &str) -> Answer<()>;
    /// Enables a rule; idempotent.
    async fn enable_rule(&self, name: &str, event_bus: &str) -> Answer<()>;

    /// Creates a dead man's switch; an equal name that exists is `Conflict`.
    async fn arm_dead_man(&self, switch: &DeadMan) -> Answer<()>;
    /// Reads a dead man's switch back; `None` when it is absent (fired or deleted).
    async fn dead_man(&self, group: &str, name: &str) -> Answer<Option<DeadMan>>;
    /// Deletes a dead man's switch; absent is fine.
    async fn disarm_dead_man(&self, group: &str, name: &str) -> Answer<()>;
    /// Whether a group takes switches: one that is absent or being deleted does not.
    async fn takes_dead_men(&self, group: &str) -> Answer<bool>;
}

/// A part of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRange {
    /// The key.
    pub key: String,
    /// Only while it has this `ETag`.
    pub etag: String,
    /// The first byte.
    pub from: u64,
    /// How many bytes, at least one.
    pub length: u64,
}

/// The world as the daemon holds it: one platform, one clock.
#[derive(Clone)]
pub struct World {
    /// AWS, or the model of it.
    pub platform: Arc<dyn Platform>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl World {
    /// The wall clock.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Today in UTC: the live task's own idea of the date.
    #[must_use]
    pub fn today_utc(&self) -> NaiveDate {
        self.now().date_naive()
    }

    /// The answer of a call, or a timeout once `limit` has passed: for what must not wait as long
    /// as the platform itself would.
    ///
    /// # Errors
    /// What the call answers, or [`ErrorClass::Timeout`]; it may have been carried out then.
    pub async fn within<T>(
        &self,
        limit: Duration,
        operation: &'static str,
        call: impl Future<Output = Answer<T>>,
    ) -> Answer<T> {
        tokio::select! {
            biased;
            answer = call => answer,
            () = self.clock.sleep(limit) => Err(PlatformError {
                operation,
                class: ErrorClass::Timeout,
                code: None,
                message: format!("no answer within {}", humantime::format_duration(limit)),
                request_id: None,
            }),
        }
    }
}
