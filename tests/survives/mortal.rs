//! A process that can die: every call that leaves it is numbered, and at a chosen one it
//! stops for ever. The test then drops it, as a crash does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use gapmend::domain::{Export, Rule, Snapshot, Task, WorkflowRun};
use gapmend::ledger::store::Lock;
use gapmend::ledger::{MemoryStore, Store, StoreError};
use gapmend::platform::{
    Answer, Caller, CatalogTable, Created, DeadMan, Listing, ObjectInfo, ObjectRange, Partition,
    PartitionQuery, Platform, TaskFamily, TaskRequest, TaskStart,
};
use gapmend::sim::{Sim, SimPlatform};
use tokio::sync::Notify;

/// Numbers the calls of one process, and ends it at one of them.
#[derive(Debug)]
pub(super) struct Fate {
    sim: Sim,
    dies_at: u64,
    calls: Mutex<Vec<Call>>,
    died: Notify,
}

/// One call, and when it left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) name: &'static str,
    pub(super) at: DateTime<Utc>,
}

impl Call {
    /// Whether the world or the ledger may be another after it.
    fn has_effect(&self) -> bool {
        !self.name.contains("read")
    }
}

impl Fate {
    /// Dies right before its `dies_at`-th call; calls are counted from 1.
    pub(super) fn dies_at(sim: &Sim, dies_at: u64) -> Arc<Self> {
        let (sim, calls, died) = (sim.clone(), Mutex::default(), Notify::new());
        Arc::new(Self { sim, dies_at, calls, died })
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
        self.inner.create(seq, bytes).await
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

#[async_trait]
impl Platform for MortalPlatform {
    async fn caller(&self) -> Answer<Caller> {
        self.fate.call("read sts:caller").await;
        self.inner.caller().await
    }
    async fn list_objects(
        &self,
        listing: &Listing,
        page: &mut (dyn FnMut(Vec<ObjectInfo>) + Send),
    ) -> Answer<()> {
        self.fate.call("read s3:list").await;
        self.inner.list_objects(listing, page).await
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
        self.fate.call("s3:create").await;
        self.inner.create_object(bucket, key, body).await
    }
    async fn put_object(&self, bucket: &str, key: &str, body: Bytes) -> Answer<()> {
        self.fate.call("s3:put").await;
        self.inner.put_object(bucket, key, body).await
    }
    async fn copy_object(&self, bucket: &str, from: &str, to: &str) -> Answer<Created> {
        self.fate.call("s3:copy").await;
        self.inner.copy_object(bucket, from, to).await
    }
    async fn tables(&self, database: &str) -> Answer<Vec<CatalogTable>> {
        self.fate.call("read glue:tables").await;
        self.inner.tables(database).await
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
        self.inner.family_tasks(family).await
    }
    async fn tasks_started_by(&self, family: &TaskFamily, who: &str) -> Answer<Vec<Task>> {
        self.fate.call("read ecs:tasks_started_by").await;
        self.inner.tasks_started_by(family, who).await
    }
    async fn task(&self, family: &TaskFamily, arn: &str) -> Answer<Option<Task>> {
        self.fate.call("read ecs:task").await;
        self.inner.task(family, arn).await
    }
    async fn run_task(&self, request: &TaskRequest) -> Answer<TaskStart> {
        self.fate.call("ecs:run_task").await;
        let answer = self.inner.run_task(request).await;
        self.fate.call("ecs:run_task answers").await;
        answer
    }
    async fn stop_task(&self, cluster: &str, arn: &str, reason: &str) -> Answer<()> {
        self.fate.call("ecs:stop_task").await;
        let answer = self.inner.stop_task(cluster, arn, reason).await;
        self.fate.call("ecs:stop_task answers").await;
        answer
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
        self.fate.call("glue:start_workflow_run").await;
        let answer = self.inner.start_workflow_run(name, properties).await;
        self.fate.call("glue:start_workflow_run answers").await;
        answer
    }
    async fn rule(&self, name: &str, event_bus: &str) -> Answer<Rule> {
        self.fate.call("read events:rule").await;
        self.inner.rule(name, event_bus).await
    }
    async fn disable_rule(&self, name: &str, event_bus: &str) -> Answer<()> {
        self.fate.call("events:disable").await;
        self.inner.disable_rule(name, event_bus).await
    }
    async fn enable_rule(&self, name: &str, event_bus: &str) -> Answer<()> {
        self.fate.call("events:enable").await;
        self.inner.enable_rule(name, event_bus).await
    }
    async fn arm_dead_man(&self, switch: &DeadMan) -> Answer<()> {
        self.fate.call("scheduler:arm").await;
        self.inner.arm_dead_man(switch).await
    }
    async fn dead_man(&self, group: &str, name: &str) -> Answer<Option<DeadMan>> {
        self.fate.call("read scheduler:get").await;
        self.inner.dead_man(group, name).await
    }
    async fn disarm_dead_man(&self, group: &str, name: &str) -> Answer<()> {
        self.fate.call("scheduler:disarm").await;
        self.inner.disarm_dead_man(group, name).await
    }
}
