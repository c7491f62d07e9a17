//! Two datasets that share nothing: two pipelines, each with its own calendar, queue and trigger,
//! behind one daemon that runs one date at a time over both, fairly.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use gapmend::config::{self, Environment, Settings};
use gapmend::daemon::{Engine, Errand, NoRecorder};
use gapmend::domain::{
    DateStatus, Export, Rule, RunOutcome, Snapshot, Task, TaskFamily, TriggerState, WorkflowRun,
};
use gapmend::ledger::{Ledger, MemoryStore};
use gapmend::platform::{
    Answer, Caller, CatalogTable, Clock, Created, DeadMan, DeleteMarker, DeletedKey, Listing,
    MarkedObject, ObjectInfo, ObjectRange, Partition, PartitionQuery, PartsUpload, Platform,
    PlatformError, TaskRequest, TaskStart, Versioning, World,
};
use gapmend::sim::{Names, RuleSetting, Sim, SimClock, SimPlatform, WorldBuilder};

use super::bed::{date, noon, world};

const LIBERATOR: &str = include_str!("../../config/liberator.toml");
/// What every name of the second pipeline holds, and none of the first.
const OTHER: &str = "permits";
const HOLD_RUN: &str = r#"
hold = "run"
max_hold = "5h"
dead_man = { group = "gapmend", role_arn = "arn:aws:iam::111122223333:role/dead-man", after = "6h" }
"#;

/// A name of the first pipeline as the second has it.
fn renamed(name: &str) -> String {
    let shared = [
        ("datasets.liberator", "datasets.permits"),
        ("dataplatform-prod-", "permits-prod-"),
        ("env-enforcement-raw-zone", "permits-enforcement-raw-zone"),
        ("liberator-to-rds-snapshot", "permits-to-rds-snapshot"),
        ("parking-liberator-", "parking-permits-"),
        ("sql-to-parquet", "permits-to-parquet"),
    ];
    shared.iter().fold(name.to_owned(), |name, (one, other)| name.replace(one, other))
}

fn other_names() -> Names {
    let mut names = Names::default();
    for name in [
        &mut names.dump_bucket,
        &mut names.export_bucket,
        &mut names.landing_zone_bucket,
        &mut names.landing_database,
        &mut names.raw_bucket,
        &mut names.cluster,
        &mut names.family,
        &mut names.log_group,
        &mut names.log_stream_prefix,
        &mut names.export_prefix,
        &mut names.instance,
        &mut names.rule,
        &mut names.live_workflow,
        &mut names.live_crawler,
        &mut names.backdated_workflow,
        &mut names.backdated_crawler,
    ] {
        *name = renamed(name);
    }
    for zone in &mut names.raw {
        zone.database = renamed(&zone.database);
    }
    names
}

/// Both pipelines in one account: whose a thing is, its name tells.
struct Both {
    one: SimPlatform,
    other: SimPlatform,
}

impl Both {
    fn of(&self, name: &str) -> &SimPlatform {
        if name.contains(OTHER) { &self.other } else { &self.one }
    }
}

#[async_trait]
impl Platform for Both {
    async fn caller(&self) -> Answer<Caller> {
        self.one.caller().await
    }
    async fn list_objects(
        &self,
        listing: &Listing,
        page: &mut (dyn FnMut(Vec<ObjectInfo>) + Send),
    ) -> Answer<()> {
        self.of(&listing.bucket).list_objects(listing, page).await
    }
    async fn folders(&self, bucket: &str, prefix: &str) -> Answer<Vec<String>> {
        self.of(bucket).folders(bucket, prefix).await
    }
    async fn read_range(&self, bucket: &str, object: &ObjectRange) -> Answer<Bytes> {
        self.of(bucket).read_range(bucket, object).await
    }
    async fn get_object(&self, bucket: &str, key: &str) -> Answer<Option<Bytes>> {
        self.of(bucket).get_object(bucket, key).await
    }
    async fn create_object(&self, bucket: &str, key: &str, body: Bytes) -> Answer<Created> {
        self.of(bucket).create_object(bucket, key, body).await
    }
    async fn put_object(&self, bucket: &str, key: &str, body: Bytes) -> Answer<()> {
        self.of(bucket).put_object(bucket, key, body).await
    }
    async fn copy_object(&self, bucket: &str, from: &str, to: &str) -> Answer<Created> {
        self.of(bucket).copy_object(bucket, from, to).await
    }
    async fn begin_upload(&self, bucket: &str, key: &str, mark: &str) -> Answer<PartsUpload> {
        self.of(bucket).begin_upload(bucket, key, mark).await
    }
    async fn upload_part(&self, upload: &PartsUpload, number: u32, body: Bytes) -> Answer<String> {
        self.of(&upload.bucket).upload_part(upload, number, body).await
    }
    async fn complete_upload(
        &self,
        upload: &PartsUpload,
        etags: &[String],
        replaces: Option<&str>,
    ) -> Answer<Created> {
        self.of(&upload.bucket).complete_upload(upload, etags, replaces).await
    }
    async fn abort_upload(&self, upload: &PartsUpload) -> Answer<()> {
        self.of(&upload.bucket).abort_upload(upload).await
    }
    async fn uploads_to(
        &self,
        bucket: &str,
        key: &str,
    ) -> Answer<Vec<(PartsUpload, DateTime<Utc>)>> {
        self.of(bucket).uploads_to(bucket, key).await
    }
    async fn marked_object(&self, bucket: &str, key: &str) -> Answer<Option<MarkedObject>> {
        self.of(bucket).marked_object(bucket, key).await
    }
    async fn bucket_versioning(&self, bucket: &str) -> Answer<Versioning> {
        self.of(bucket).bucket_versioning(bucket).await
    }
    async fn delete_objects(&self, bucket: &str, keys: &[String]) -> Answer<Vec<DeletedKey>> {
        self.of(bucket).delete_objects(bucket, keys).await
    }
    async fn delete_markers(&self, bucket: &str, prefix: &str) -> Answer<Vec<DeleteMarker>> {
        self.of(bucket).delete_markers(bucket, prefix).await
    }
    async fn delete_partitions(
        &self,
        database: &str,
        table: &str,
        values: &[Vec<String>],
    ) -> Answer<Vec<(Vec<String>, PlatformError)>> {
        self.of(database).delete_partitions(database, table, values).await
    }
    async fn table_pages(
        &self,
        database: &str,
        page: &mut (dyn FnMut(Vec<CatalogTable>) + Send),
    ) -> Answer<()> {
        self.of(database).table_pages(database, page).await
    }
    async fn partitions(
        &self,
        query: &PartitionQuery,
        page: &mut (dyn FnMut(Vec<Partition>) + Send),
    ) -> Answer<()> {
        self.of(&query.database).partitions(query, page).await
    }
    async fn partitions_at(
        &self,
        database: &str,
        table: &str,
        values: &[Vec<String>],
    ) -> Answer<Vec<Partition>> {
        self.of(database).partitions_at(database, table, values).await
    }
    async fn family_tasks(&self, family: &TaskFamily) -> Answer<Vec<Task>> {
        self.of(&family.cluster).family_tasks(family).await
    }
    async fn tasks_started_by(&self, family: &TaskFamily, started_by: &str) -> Answer<Vec<Task>> {
        self.of(&family.cluster).tasks_started_by(family, started_by).await
    }
    async fn task(&self, family: &TaskFamily, arn: &str) -> Answer<Option<Task>> {
        self.of(&family.cluster).task(family, arn).await
    }
    async fn run_task(&self, request: &TaskRequest) -> Answer<TaskStart> {
        self.of(&request.cluster).run_task(request).await
    }
    async fn stop_task(&self, cluster: &str, arn: &str, reason: &str) -> Answer<()> {
        self.of(cluster).stop_task(cluster, arn, reason).await
    }
    async fn log_tail(&self, group: &str, stream: &str, lines: usize) -> Answer<Vec<String>> {
        self.of(group).log_tail(group, stream, lines).await
    }
    async fn snapshot(&self, id: &str) -> Answer<Option<Snapshot>> {
        self.of(id).snapshot(id).await
    }
    async fn snapshots(&self, instance: &str) -> Answer<Vec<Snapshot>> {
        self.of(instance).snapshots(instance).await
    }
    async fn export(&self, id: &str) -> Answer<Option<Export>> {
        self.of(id).export(id).await
    }
    async fn exports_of(&self, snapshot_arn: &str) -> Answer<Vec<Export>> {
        self.of(snapshot_arn).exports_of(snapshot_arn).await
    }
    async fn workflow_runs(&self, name: &str, since: DateTime<Utc>) -> Answer<Vec<WorkflowRun>> {
        self.of(name).workflow_runs(name, since).await
    }
    async fn workflow_run(&self, name: &str, id: &str) -> Answer<WorkflowRun> {
        self.of(name).workflow_run(name, id).await
    }
    async fn start_workflow_run(
        &self,
        name: &str,
        properties: &BTreeMap<String, String>,
    ) -> Answer<String> {
        self.of(name).start_workflow_run(name, properties).await
    }
    async fn rule(&self, name: &str, event_bus: &str) -> Answer<Rule> {
        self.of(name).rule(name, event_bus).await
    }
    async fn disable_rule(&self, name: &str, event_bus: &str) -> Answer<()> {
        self.of(name).disable_rule(name, event_bus).await
    }
    async fn enable_rule(&self, name: &str, event_bus: &str) -> Answer<()> {
        self.of(name).enable_rule(name, event_bus).await
    }
    async fn arm_dead_man(&self, switch: &DeadMan) -> Answer<()> {
        self.of(&switch.name).arm_dead_man(switch).await
    }
    async fn dead_man(&self, group: &str, name: &str) -> Answer<Option<DeadMan>> {
        self.of(name).dead_man(group, name).await
    }
    async fn disarm_dead_man(&self, group: &str, name: &str) -> Answer<()> {
        self.of(name).disarm_dead_man(group, name).await
    }
    async fn takes_dead_men(&self, group: &str) -> Answer<bool> {
        self.of(group).takes_dead_men(group).await
    }
}

/// The first pipeline's time, which the second follows.
struct OneTime {
    clock: SimClock,
    other: Sim,
}

#[async_trait]
impl Clock for OneTime {
    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
        self.other.advance_to(self.clock.now());
    }
}

struct Pipelines {
    one: Sim,
    other: Sim,
    clock: Arc<OneTime>,
    engine: Engine,
}

const NAMES: [&str; 2] = ["liberator", OTHER];

impl Pipelines {
    async fn new(one: WorldBuilder, other: WorldBuilder) -> Self {
        let (one, other) = (one.build(), other.names(other_names()).build());
        let clock = Arc::new(OneTime { clock: SimClock::new(one.clone()), other: other.clone() });
        let platform =
            Both { one: SimPlatform::new(one.clone()), other: SimPlatform::new(other.clone()) };
        let world = World { platform: Arc::new(platform), clock: clock.clone() };
        let store = Arc::new(MemoryStore::new());
        let mut ledger = Ledger::open(store, clock.clone(), "test").await.unwrap();
        ledger.act("run").await.unwrap();
        let settings = Arc::new(settings());
        let engine = Engine::new(world, ledger, settings, Arc::new(NoRecorder), Errand::default());
        Self { one, other, clock, engine }
    }

    fn sim(&self, name: &str) -> &Sim {
        if name == OTHER { &self.other } else { &self.one }
    }

    /// Turns of the daemon's loop until the ledger holds so many runs that are over.
    async fn turn_until_over(&mut self, runs: usize) {
        let end = self.clock.now() + chrono::Duration::days(2);
        while self.engine.ledger().state().runs.iter().filter(|run| !run.is_active()).count() < runs
        {
            assert!(self.clock.now() < end, "{:#?}", self.engine.ledger().state().runs);
            self.turn().await;
        }
    }

    async fn turn(&mut self) {
        for name in self.engine.turn_order() {
            if self.engine.due_at(&name) <= self.clock.now() {
                self.engine.pass(&name).await;
            }
            self.assert_one_at_a_time();
        }
        self.clock.sleep(Duration::from_secs(10)).await;
    }

    fn assert_one_at_a_time(&self) {
        let active = |run: &&gapmend::ledger::Run| run.is_active();
        let runs = &self.engine.ledger().state().runs;
        assert!(runs.iter().filter(active).count() <= 1, "{runs:#?}");
        let ours = |sim: &Sim| {
            let world = sim.lock();
            let alive = world.tasks().into_iter().filter(|task| task.stopped_at.is_none());
            alive
                .filter(|task| {
                    task.started_by.as_deref().is_some_and(|by| by.starts_with("gapmend"))
                })
                .count()
        };
        assert!(ours(&self.one) + ours(&self.other) <= 1);
    }
}

/// Both datasets, each with its own calendar: the second expects nothing at weekends.
fn settings() -> Settings {
    let one = LIBERATOR.replace("mode = \"observe\"", "mode = \"auto\"") + HOLD_RUN;
    let (_, dataset) = one.split_once("[datasets.liberator]").unwrap();
    let other = renamed(&format!("[datasets.liberator]{dataset}"));
    let more = r#"
[datasets.permits.calendar]
expect = "weekdays"
[datasets.permits.window]
lookback_days = 25
[datasets.liberator.window]
lookback_days = 25
"#;
    let text = format!("{one}\n{other}\n{more}");
    let loaded = config::load_text(&text, &Environment::default(), noon());
    loaded.unwrap_or_else(|problems| panic!("{problems}\n{text}")).settings
}

#[tokio::test]
async fn each_pipeline_has_its_own_calendar_and_queue() {
    // 14 June is a Sunday.
    let one = world().no_dump(date("2026-06-14")).gap(date("2026-06-16"));
    let other = world().no_dump(date("2026-06-14")).gap(date("2026-06-11"));
    let mut both = Pipelines::new(one, other).await;
    let wanted = [(DateStatus::NoDump, "2026-06-16"), (DateStatus::NotExpected, "2026-06-11")];
    for (name, (sunday, gap)) in NAMES.into_iter().zip(wanted) {
        both.engine.pass(name).await;
        let plan = both.engine.last_plan(name).unwrap();
        let census = plan.census.as_ref().unwrap();
        assert_eq!(census.verdict(date("2026-06-14")).unwrap().status, sunday, "{name}");
        let queue: Vec<_> = plan.queue.iter().map(|candidate| candidate.date).collect();
        assert_eq!(queue, [date(gap)], "{name}");
    }
}

#[tokio::test]
async fn they_take_turns_one_run_at_a_time_and_each_holds_its_own_trigger() {
    let gaps = [["2026-06-12", "2026-06-16"], ["2026-06-11", "2026-06-15"]];
    let [one, other] =
        gaps.map(|gaps| gaps.iter().fold(world().no_supplier(), |world, gap| world.gap(date(gap))));
    let mut both = Pipelines::new(one, other).await;
    both.turn_until_over(4).await;
    let runs = both.engine.ledger().state().runs.clone();
    let turns: Vec<&str> = runs.iter().map(|run| run.dataset.as_str()).collect();
    assert_eq!(turns.len(), 4, "{runs:#?}");
    assert!(turns.windows(2).all(|pair| pair[0] != pair[1]), "they take turns: {turns:?}");
    for run in &runs {
        assert_eq!(run.end.as_ref().unwrap().outcome, RunOutcome::Succeeded, "{run:#?}");
    }
    for (name, gaps) in NAMES.into_iter().zip(gaps) {
        let world = both.sim(name).lock();
        assert!(world.overlaps().is_empty() && world.wrong_data().is_empty(), "{name}");
        for gap in gaps {
            assert!(world.copies(date(gap)).values().all(|count| *count == 1), "{name} {gap}");
        }
        let ours = runs.iter().filter(|run| run.dataset == name).count();
        let disabled = world.rule_history().iter();
        let disabled = disabled.filter(|change| change.state == RuleSetting::Disabled).count();
        assert_eq!(disabled, ours, "{name}: its rule was held for its own runs alone");
        let rule = world.rule(&world.names.rule, &world.names.event_bus).unwrap();
        assert_eq!(rule.state, RuleSetting::Enabled, "{name}");
    }
}

#[tokio::test]
async fn a_trigger_that_an_operator_disabled_stops_its_own_dataset_and_no_other() {
    let gap = || world().no_supplier().gap(date("2026-06-15"));
    let mut both = Pipelines::new(gap().rule(RuleSetting::Disabled), gap()).await;
    both.turn_until_over(1).await;
    for _ in 0..360 {
        both.turn().await;
    }
    let runs = &both.engine.ledger().state().runs;
    assert_eq!(runs.len(), 1, "{runs:#?}");
    assert_eq!(runs[0].dataset, OTHER);
    let report = both.engine.reports().borrow().clone();
    assert_eq!(report.datasets["liberator"].trigger, TriggerState::DisabledByOther);
    assert_eq!(report.datasets[OTHER].trigger, TriggerState::Enabled);
    assert!(both.one.lock().tasks().is_empty());
}
