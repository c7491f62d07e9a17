//! A process that can die: every call that leaves it is numbered, and at a chosen one it
//! stops for ever. The test then drops it, as a crash does.
//!
//! An effect is two calls: one before it is asked for, and one when its answer comes, so that
//! a death falls before it and after it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use gapmend::domain::{Export, Rule, RuleState, Snapshot, Task, WorkflowRun};
use gapmend::ledger::store::Lock;
use gapmend::ledger::{MemoryStore, Store, StoreError};
use gapmend::platform::{
    Answer, Caller, CatalogTable, Created, DeadMan, DeleteMarker, DeletedKey, Listing,
    MarkedObject, ObjectInfo, ObjectRange, Partition, PartitionQuery, PartsUpload, Platform,
    PlatformError, TaskFamily, TaskRequest, TaskStart, Versioning,
};
use gapmend::sim::{RuleSetting, Sim, SimPlatform};
use tokio::sync::Notify;

/// Numbers the calls of one process, and ends it at one of them.
pub(super) struct Fate {
    sim: Sim,
    dies_at: u64,
    calls: Mutex<Vec<Call>>,
    died: Notify,
    senses: Arc<dyn Senses>,
}

/// How a process sees the world, and who looks on. Left alone, it sees truly and unwatched.
pub(super) trait Senses: Send + Sync {
    /// How far its clock is before the world's.
    fn clock_offset(&self) -> TimeDelta {
        TimeDelta::zero()
    }
    /// How old what ECS and EventBridge tell it is this time.
    fn lag(&self) -> TimeDelta {
        TimeDelta::zero()
    }
    /// A call is about to leave it, whatever it is.
    fn leaves(&self, _call: &'static str) {}
    /// It is about to ask for an effect.
    fn asks(&self, _effect: &Effect) {}
    /// It was answered.
    fn answered(&self, _effect: &Effect, _refusal: Option<String>) {}
    /// It wrote an entry.
    fn wrote(&self, _seq: u64, _entry: &Bytes) {}
}

/// Sees truly, unwatched.
struct Plain;

impl Senses for Plain {}

/// An effect that a process asks for.
pub(super) struct Effect {
    /// The call.
    pub(super) name: &'static str,
    /// What it is about, in words that are the same whenever the history is played again.
    pub(super) about: String,
    /// What the ledger must say before it: the kind of the entry, and a part of it.
    pub(super) intent: Option<(&'static str, String)>,
}

impl Effect {
    fn new(name: &'static str, about: impl Into<String>) -> Self {
        Self { name, about: about.into(), intent: None }
    }

    fn intended(self, kind: &'static str, part: impl Into<String>) -> Self {
        Self { intent: Some((kind, part.into())), ..self }
    }
}

/// One call, and when it left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) name: &'static str,
    pub(super) at: DateTime<Utc>,
}

/// The answer to an effect is about to reach the process.
const ANSWERED: &str = "its answer";

impl Call {
    /// Whether the world or the ledger may be another after it.
    fn has_effect(&self) -> bool {
        !self.name.contains("read") && self.name != ANSWERED
    }
}

impl Fate {
    /// Dies right before its `dies_at`-th call; calls are counted from 1.
    pub(super) fn dies_at(sim: &Sim, dies_at: u64) -> Arc<Self> {
        Self::with_senses(sim, dies_at, Arc::new(Plain))
    }

    pub(super) fn with_senses(sim: &Sim, dies_at: u64, senses: Arc<dyn Senses>) -> Arc<Self> {
        let (sim, calls, died) = (sim.clone(), Mutex::default(), Notify::new());
        Arc::new(Self { sim, dies_at, calls, died, senses })
    }

    pub(super) fn immortal(sim: &Sim) -> Arc<Self> {
        Self::dies_at(sim, u64::MAX)
    }

    /// The calls before which a death makes a difference: after a read in the same instant
    /// the world and the ledger are what they were before it.
    pub(super) fn points(&self) -> Vec<(u64, Call)> {
        let calls = self.calls.lock().unwrap();
        let differs = |(index, call): &(usize, &Call)| {
            let before = index.checked_sub(1).map(|before| calls[before]);
            before.is_none_or(|before| before.has_effect() || before.at != call.at)
        };
        let points = calls.iter().enumerate().filter(differs);
        points.map(|(index, call)| (index as u64 + 1, *call)).collect()
    }

    /// How many calls it has made.
    pub(super) fn calls(&self) -> u64 {
        self.calls.lock().unwrap().len() as u64
    }

    /// Returns when it has died.
    pub(super) async fn death(&self) {
        self.died.notified().await;
    }

    /// One call is about to leave the process.
    async fn call(&self, name: &'static str) {
        let at = self.sim.lock().now();
        let number = {
            let mut calls = self.calls.lock().unwrap();
            calls.push(Call { name, at });
            calls.len() as u64
        };
        if number >= self.dies_at {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
        self.senses.leaves(name);
    }
}

/// The world as a mortal process sees it.
pub(super) struct MortalPlatform {
    pub(super) inner: SimPlatform,
    pub(super) fate: Arc<Fate>,
}

/// The ledger's store as a mortal process sees it.
pub(super) struct MortalStore {
    pub(super) inner: MemoryStore,
    pub(super) fate: Arc<Fate>,
}

#[async_trait]
impl Store for MortalStore {
    fn describe(&self) -> String {
        self.inner.describe()
    }
    async fn create(&self, seq: u64, bytes: Bytes) -> Result<Created, StoreError> {
        self.fate.call("ledger:create").await;
        let created = self.inner.create(seq, bytes.clone()).await;
        if matches!(created, Ok(Created::Created)) {
            self.fate.senses.wrote(seq, &bytes);
        }
        self.fate.call(ANSWERED).await;
        created
    }
    async fn get(&self, seq: u64) -> Result<Option<Bytes>, StoreError> {
        self.fate.call("read ledger:get").await;
        self.inner.get(seq).await
    }
    async fn list_after(&self, seq: u64) -> Result<Vec<u64>, StoreError> {
        self.fate.call("read ledger:list").await;
        self.inner.list_after(seq).await
    }
    async fn checkpoints(&self) -> Result<Vec<u64>, StoreError> {
        self.inner.checkpoints().await
    }
    async fn get_checkpoint(&self, seq: u64) -> Result<Option<Bytes>, StoreError> {
        self.inner.get_checkpoint(seq).await
    }
    async fn put_checkpoint(&self, seq: u64, bytes: Bytes) -> Result<(), StoreError> {
        self.fate.call("ledger:checkpoint").await;
        self.inner.put_checkpoint(seq, bytes).await
    }
    async fn get_beat(&self) -> Result<Option<Bytes>, StoreError> {
        self.inner.get_beat().await
    }
    async fn put_beat(&self, bytes: Bytes) -> Result<(), StoreError> {
        self.fate.call("ledger:beat").await;
        self.inner.put_beat(bytes).await
    }
    async fn prepare_to_write(&self) -> Result<(), StoreError> {
        self.inner.prepare_to_write().await
    }
    async fn take_lock(&self) -> Result<Lock, StoreError> {
        self.inner.take_lock().await
    }
    async fn look_at_lock(&self) -> Result<Lock, StoreError> {
        self.inner.look_at_lock().await
    }
    async fn drop_lock(&self) {
        self.inner.drop_lock().await;
    }
}

impl MortalPlatform {
    async fn effect<T>(&self, effect: Effect, call: impl Future<Output = Answer<T>>) -> Answer<T> {
        self.fate.call(effect.name).await;
        self.fate.senses.asks(&effect);
        let answer = call.await;
        let refusal = answer.as_ref().err().map(ToString::to_string);
        self.fate.senses.answered(&effect, refusal);
        self.fate.call(ANSWERED).await;
        answer
    }

    /// Tasks as ECS knew them a while ago.
    fn known_then(&self, tasks: Answer<Vec<Task>>) -> Answer<Vec<Task>> {
        let lag = self.fate.senses.lag();
        let then = self.fate.sim.lock().now() - lag;
        let mut tasks = tasks?;
        tasks.retain(|task| task.created_at.is_none_or(|at| at <= then));
        Ok(tasks)
    }

    /// The rule as EventBridge knew it a while ago.
    fn rule_then(&self, mut rule: Rule) -> Rule {
        let lag = self.fate.senses.lag();
        if lag > TimeDelta::zero() {
            let world = self.fate.sim.lock();
            let then = world.now() - lag;
            let mut before = world.rule_history().iter().filter(|change| change.at <= then);
            rule.state = match before.next_back().map(|change| change.state) {
                Some(RuleSetting::Disabled) => RuleState::Disabled,
                Some(RuleSetting::Enabled) | None => RuleState::Enabled,
                Some(other) => RuleState::Other(other.as_str().to_owned()),
            };
        }
        rule
    }
}

#[async_trait]
impl Platform for MortalPlatform {
    async fn caller(&self) -> Answer<Caller> {
        self.fate.call("read sts:caller").await;
        let mut caller = self.inner.caller().await?;
        let offset = self.fate.senses.clock_offset();
        caller.clock_skew = caller.clock_skew.map(|skew| skew - offset);
        Ok(caller)
    }
    async fn list_objects(
        &self,
        listing: &Listing,
        page: &mut (dyn FnMut(Vec<ObjectInfo>) + Send),
    ) -> Answer<()> {
        self.fate.call("read s3:list").await;
        self.inner.list_objects(listing, page).await
    }
    async fn folders(&self, bucket: &str, prefix: &str) -> Answer<Vec<String>> {
        self.fate.call("read s3:folders").await;
        self.inner.folders(bucket, prefix).await
    }
    async fn read_range(&self, bucket: &str, object: &ObjectRange) -> Answer<Bytes> {
        self.fate.call("read s3:read").await;
        self.inner.read_range(bucket, object).await
    }
    async fn get_object(&self, bucket: &str, key: &str) -> Answer<Option<Bytes>> {
        self.fate.call("read s3:get").await;
        self.inner.get_object(bucket, key).await
    }
    async fn create_object(&self, bucket: &str, key: &str, body: Bytes) -> Answer<Created> {
        let effect = Effect::new("s3:create", key);
        self.effect(effect, self.inner.create_object(bucket, key, body)).await
    }
    async fn put_object(&self, bucket: &str, key: &str, body: Bytes) -> Answer<()> {
        let effect = Effect::new("s3:put", key);
        self.effect(effect, self.inner.put_object(bucket, key, body)).await
    }
    async fn copy_object(&self, bucket: &str, from: &str, to: &str) -> Answer<Created> {
        let effect = Effect::new("s3:copy", to).intended("hold_intended", to);
        self.effect(effect, self.inner.copy_object(bucket, from, to)).await
    }
    async fn begin_upload(&self, bucket: &str, key: &str, mark: &str) -> Answer<PartsUpload> {
        self.fate.call("s3:begin_upload").await;
        let answer = self.inner.begin_upload(bucket, key, mark).await;
        self.fate.call("s3:begin_upload answers").await;
        answer
    }
    async fn upload_part(&self, upload: &PartsUpload, number: u32, body: Bytes) -> Answer<String> {
        self.fate.call("s3:upload_part").await;
        self.inner.upload_part(upload, number, body).await
    }
    async fn complete_upload(
        &self,
        upload: &PartsUpload,
        etags: &[String],
        replaces: Option<&str>,
    ) -> Answer<Created> {
        self.fate.call("s3:complete_upload").await;
        let answer = self.inner.complete_upload(upload, etags, replaces).await;
        self.fate.call("s3:complete_upload answers").await;
        answer
    }
    async fn abort_upload(&self, upload: &PartsUpload) -> Answer<()> {
        self.fate.call("s3:abort_upload").await;
        self.inner.abort_upload(upload).await
    }
    async fn uploads_to(
        &self,
        bucket: &str,
        key: &str,
    ) -> Answer<Vec<(PartsUpload, DateTime<Utc>)>> {
        self.fate.call("read s3:uploads_to").await;
        self.inner.uploads_to(bucket, key).await
    }
    async fn marked_object(&self, bucket: &str, key: &str) -> Answer<Option<MarkedObject>> {
        self.fate.call("read s3:marked_object").await;
        self.inner.marked_object(bucket, key).await
    }
    async fn bucket_versioning(&self, bucket: &str) -> Answer<Versioning> {
        self.fate.call("read s3:versioning").await;
        self.inner.bucket_versioning(bucket).await
    }
    async fn delete_objects(&self, bucket: &str, keys: &[String]) -> Answer<Vec<DeletedKey>> {
        let first = keys.first().cloned().unwrap_or_default();
        let effect = Effect::new("s3:delete", &first).intended("repair_purging", first);
        self.effect(effect, self.inner.delete_objects(bucket, keys)).await
    }
    async fn delete_markers(&self, bucket: &str, prefix: &str) -> Answer<Vec<DeleteMarker>> {
        self.fate.call("read s3:delete_markers").await;
        self.inner.delete_markers(bucket, prefix).await
    }
    async fn delete_partitions(
        &self,
        database: &str,
        table: &str,
        values: &[Vec<String>],
    ) -> Answer<Vec<(Vec<String>, PlatformError)>> {
        let effect = Effect::new("glue:delete_partitions", table).intended("repair_purging", table);
        self.effect(effect, self.inner.delete_partitions(database, table, values)).await
    }
    async fn table_pages(
        &self,
        database: &str,
        page: &mut (dyn FnMut(Vec<CatalogTable>) + Send),
    ) -> Answer<()> {
        self.fate.call("read glue:tables").await;
        self.inner.table_pages(database, page).await
    }
    async fn partitions_at(
        &self,
        database: &str,
        table: &str,
        values: &[Vec<String>],
    ) -> Answer<Vec<Partition>> {
        self.fate.call("read glue:partitions_at").await;
        self.inner.partitions_at(database, table, values).await
    }
    async fn partitions(
        &self,
        query: &PartitionQuery,
        page: &mut (dyn FnMut(Vec<Partition>) + Send),
    ) -> Answer<()> {
        self.fate.call("read glue:partitions").await;
        self.inner.partitions(query, page).await
    }
    async fn family_tasks(&self, family: &TaskFamily) -> Answer<Vec<Task>> {
        self.fate.call("read ecs:family_tasks").await;
        self.known_then(self.inner.family_tasks(family).await)
    }
    async fn tasks_started_by(&self, family: &TaskFamily, who: &str) -> Answer<Vec<Task>> {
        self.fate.call("read ecs:tasks_started_by").await;
        self.known_then(self.inner.tasks_started_by(family, who).await)
    }
    async fn task(&self, family: &TaskFamily, arn: &str) -> Answer<Option<Task>> {
        self.fate.call("read ecs:task").await;
        let task = self.inner.task(family, arn).await?;
        Ok(self.known_then(Ok(task.into_iter().collect()))?.pop())
    }
    async fn run_task(&self, request: &TaskRequest) -> Answer<TaskStart> {
        let date = request.environment.values().next().map_or("today", String::as_str);
        let effect = Effect::new("ecs:run_task", date).intended("_intended", &request.client_token);
        self.effect(effect, self.inner.run_task(request)).await
    }
    async fn stop_task(&self, cluster: &str, arn: &str, reason: &str) -> Answer<()> {
        let effect = Effect::new("ecs:stop_task", reason).intended("stop_intended", arn);
        self.effect(effect, self.inner.stop_task(cluster, arn, reason)).await
    }
    async fn log_tail(&self, group: &str, stream: &str, lines: usize) -> Answer<Vec<String>> {
        self.fate.call("read logs:tail").await;
        self.inner.log_tail(group, stream, lines).await
    }
    async fn snapshot(&self, id: &str) -> Answer<Option<Snapshot>> {
        self.fate.call("read rds:snapshot").await;
        self.inner.snapshot(id).await
    }
    async fn snapshots(&self, instance: &str) -> Answer<Vec<Snapshot>> {
        self.fate.call("read rds:snapshots").await;
        self.inner.snapshots(instance).await
    }
    async fn export(&self, id: &str) -> Answer<Option<Export>> {
        self.fate.call("read rds:export").await;
        self.inner.export(id).await
    }
    async fn exports_of(&self, snapshot_arn: &str) -> Answer<Vec<Export>> {
        self.fate.call("read rds:exports_of").await;
        self.inner.exports_of(snapshot_arn).await
    }
    async fn workflow_runs(&self, name: &str, since: DateTime<Utc>) -> Answer<Vec<WorkflowRun>> {
        self.fate.call("read glue:workflow_runs").await;
        self.inner.workflow_runs(name, since).await
    }
    async fn workflow_run(&self, name: &str, id: &str) -> Answer<WorkflowRun> {
        self.fate.call("read glue:workflow_run").await;
        self.inner.workflow_run(name, id).await
    }
    async fn start_workflow_run(
        &self,
        name: &str,
        properties: &BTreeMap<String, String>,
    ) -> Answer<String> {
        let date = properties.values().next().map_or("none", String::as_str);
        let effect =
            Effect::new("glue:start_workflow_run", date).intended("publish_intended", date);
        self.effect(effect, self.inner.start_workflow_run(name, properties)).await
    }
    async fn rule(&self, name: &str, event_bus: &str) -> Answer<Rule> {
        self.fate.call("read events:rule").await;
        Ok(self.rule_then(self.inner.rule(name, event_bus).await?))
    }
    async fn disable_rule(&self, name: &str, event_bus: &str) -> Answer<()> {
        let effect = Effect::new("events:disable", name).intended("hold_moved", "armed");
        self.effect(effect, self.inner.disable_rule(name, event_bus)).await
    }
    async fn enable_rule(&self, name: &str, event_bus: &str) -> Answer<()> {
        let effect = Effect::new("events:enable", name);
        self.effect(effect, self.inner.enable_rule(name, event_bus)).await
    }
    async fn arm_dead_man(&self, switch: &DeadMan) -> Answer<()> {
        let fires_at = switch.fires_at.to_rfc3339();
        let effect = Effect::new("scheduler:arm", &fires_at).intended("hold_intended", "dead_man");
        self.effect(effect, self.inner.arm_dead_man(switch)).await
    }
    async fn dead_man(&self, group: &str, name: &str) -> Answer<Option<DeadMan>> {
        self.fate.call("read scheduler:get").await;
        self.inner.dead_man(group, name).await
    }
    async fn disarm_dead_man(&self, group: &str, name: &str) -> Answer<()> {
        let effect = Effect::new("scheduler:disarm", name);
        self.effect(effect, self.inner.disarm_dead_man(group, name)).await
    }
    async fn takes_dead_men(&self, group: &str) -> Answer<bool> {
        self.fate.call("read scheduler:group").await;
        self.inner.takes_dead_men(group).await
    }
}
