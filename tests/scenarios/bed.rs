//! The test bed: a world, a ledger in memory, the real engine, virtual time.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use gapmend::config::{self, DatasetSettings, Environment, Mode, Settings};
use gapmend::daemon::{Engine, Errand, Healed, NoRecorder, heal};
use gapmend::domain::DateStatus;
use gapmend::ledger::memory::Fault;
use gapmend::ledger::store::{Operation, Trouble};
use gapmend::ledger::{Asked, Entry, Event, Ledger, MemoryStore};
use gapmend::plan::{Census, DateVerdict};
use gapmend::platform::{Clock, World};
use gapmend::sim::{Sim, SimClock, SimPlatform, WorldBuilder};
use tokio_util::sync::CancellationToken;

/// The Liberator configuration of the repository, made to act.
const LIBERATOR: &str = include_str!("../../config/liberator.toml");

/// A process has looked at everything, and said why it rests, after so many passes.
const PASSES_TO_REST: usize = 3;

pub struct Bed {
    pub sim: Sim,
    pub clock: SimClock,
    pub store: MemoryStore,
    pub settings: Arc<Settings>,
}

pub fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

pub fn noon() -> DateTime<Utc> {
    "2026-06-30T12:00:00Z".parse().unwrap()
}

/// A world at noon, 30 days of history.
pub fn world() -> WorldBuilder {
    WorldBuilder::at(noon())
}

/// The keys of the date's objects in one table.
pub fn keys_of(world: &gapmend::sim::World, table: &str, day: &str) -> Vec<String> {
    let folder = date(day).format("import_date=%Y%m%d/").to_string();
    let bucket = &world.names.raw_bucket;
    let objects = world.list_objects(bucket, "", None, usize::MAX).unwrap();
    let keys = objects.into_iter().map(|object| object.key);
    let of_table = table.trim_start_matches("liberator_");
    keys.filter(|key| key.contains(&folder) && key.contains(of_table)).collect()
}

impl Bed {
    /// The bed over a world, in mode auto, with more TOML at the end.
    pub fn new(world: WorldBuilder, more: &str) -> Self {
        let sim = world.build();
        let clock = SimClock::new(sim.clone());
        let text = LIBERATOR.replace("mode = \"observe\"", "mode = \"auto\"");
        let text = format!("{text}\n{more}\n[datasets.liberator.window]\nlookback_days = 25\n");
        let settings = config::load_text(&text, &Environment::default(), noon())
            .unwrap_or_else(|problems| panic!("{problems}"))
            .settings;
        Self { sim, clock, store: MemoryStore::new(), settings: Arc::new(settings) }
    }

    /// The bed with settings that are changed after they were read.
    pub fn with_dataset(
        world: WorldBuilder,
        more: &str,
        change: impl FnOnce(&mut DatasetSettings),
    ) -> Self {
        let mut bed = Self::new(world, more);
        let mut settings = (*bed.settings).clone();
        let dataset = settings.datasets.get_mut("liberator").unwrap();
        change(Arc::make_mut(dataset));
        bed.settings = Arc::new(settings);
        bed
    }

    /// The bed in mode observe.
    pub fn observing(world: WorldBuilder) -> Self {
        Self::with_dataset(world, "", |dataset| dataset.mode = Mode::Observe)
    }

    /// The same world, whose ledger is lost.
    pub fn forgetting_the_ledger(self) -> Self {
        Self { store: MemoryStore::new(), ..self }
    }

    /// Nothing can be written to the ledger any more.
    pub fn break_ledger(&self) {
        self.store.choose_faults(|_, operation| {
            (operation == Operation::Create).then_some(Fault::Answers(Trouble::Failed))
        });
    }

    /// Nothing that is written to the ledger is ever answered any more.
    pub fn hang_ledger(&self) {
        self.store
            .choose_faults(|_, operation| (operation == Operation::Create).then_some(Fault::Hangs));
    }

    /// The same from the moment in which a task exists: its start cannot be written down.
    pub fn break_ledger_with_the_first_task(&self) {
        let sim = self.sim.clone();
        self.store.choose_faults(move |_, operation| {
            let broken = operation == Operation::Create && !sim.lock().tasks().is_empty();
            broken.then_some(Fault::Answers(Trouble::Failed))
        });
    }

    /// The ledger as a process that begins now reads it.
    pub async fn ledger(&self) -> Ledger {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        Ledger::open(Arc::new(self.store.clone()), clock, "test").await.unwrap()
    }

    /// A process that begins now and acts, as a daemon does.
    pub async fn acting_engine(&self) -> Engine {
        let mut ledger = self.ledger().await;
        ledger.act("run").await.unwrap();
        let settings = Arc::clone(&self.settings);
        Engine::new(self.world(), ledger, settings, Arc::new(NoRecorder), Errand::default())
    }

    /// One pass, and the sleep until the next one.
    pub async fn pass_and_sleep(&self, engine: &mut Engine) {
        self.pass_of("liberator", engine).await;
    }

    /// A pass of a dataset, and the time until the next.
    pub async fn pass_of(&self, dataset: &str, engine: &mut Engine) {
        let pass = engine.pass(dataset).await;
        let wait = (pass.wake_at - self.clock.now()).to_std().unwrap_or_default();
        self.clock.sleep(wait.clamp(Duration::from_millis(20), Duration::from_mins(1))).await;
    }

    /// Passes of one process until that time.
    pub async fn serve_until(&self, engine: &mut Engine, until: DateTime<Utc>) {
        while self.clock.now() < until {
            self.pass_and_sleep(engine).await;
        }
    }

    pub fn world(&self) -> World {
        World {
            platform: Arc::new(SimPlatform::new(self.sim.clone())),
            clock: Arc::new(self.clock.clone()),
        }
    }

    /// A process that begins now: it knows only what the ledger says.
    pub async fn engine(&self, errand: Errand) -> Engine {
        let store = Arc::new(self.store.clone());
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let ledger = Ledger::open(store, clock, "test").await.unwrap();
        Engine::new(self.world(), ledger, Arc::clone(&self.settings), Arc::new(NoRecorder), errand)
    }

    /// The bucket that the trail watches.
    pub fn sim_bucket(&self) -> String {
        self.sim.lock().names.dump_bucket.clone()
    }

    pub async fn heal(&self) -> Healed {
        self.heal_with(Errand::default()).await
    }

    pub async fn heal_with(&self, errand: Errand) -> Healed {
        let mut engine = self.engine(errand).await;
        let names = ["liberator".to_owned()];
        let asked = Asked { by: "tester".to_owned(), reason: None, ticket: None };
        heal(&mut engine, &names, &asked, &CancellationToken::new()).await.unwrap()
    }

    /// What a fresh process sees.
    pub async fn census(&self) -> Census {
        let mut engine = self.engine(Errand::default()).await;
        let pass = engine.pass("liberator").await;
        let report = engine.reports().borrow().clone();
        let census = report.datasets["liberator"].census.clone();
        (*census.unwrap_or_else(|| panic!("{}", pass.detail))).clone()
    }

    /// What a fresh process says of one date.
    pub async fn verdict(&self, day: &str) -> DateVerdict {
        self.census().await.verdict(date(day)).unwrap().clone()
    }

    /// The date's objects and partition in one table are gone, as after a purge.
    pub fn purge(&self, table: &str, day: &str) {
        let mut world = self.sim.lock();
        let zones = world.names.raw.clone();
        let zone = zones.iter().find(|zone| zone.tables.iter().any(|name| name == table)).unwrap();
        world.unregister(&zone.database, table, date(day));
        for key in keys_of(&world, table, day) {
            let bucket = world.names.raw_bucket.clone();
            world.delete_object(&bucket, &key).unwrap();
        }
    }

    /// How often an operation was asked for.
    pub fn calls_of(&self, operation: &str) -> usize {
        let world = self.sim.lock();
        world.calls().iter().filter(|call| call.operation == operation).count()
    }

    pub async fn status(&self, day: &str) -> DateStatus {
        self.census().await.verdict(date(day)).unwrap().status
    }

    /// The laws that hold at the end of every scenario.
    pub async fn assert_quiet_and_sound(&self) {
        {
            let world = self.sim.lock();
            assert!(world.overlaps().is_empty(), "{:?}", world.overlaps());
            assert!(world.wrong_data().is_empty(), "{:?}", world.wrong_data());
        }
        self.assert_changes_nothing().await;
    }

    /// A process that begins now comes to rest without asking for anything, and then has nothing
    /// left to write down.
    pub async fn assert_changes_nothing(&self) {
        let asked = self.effects();
        let mut engine = self.acting_engine().await;
        let known = self.store.entries().len();
        for _ in 0..PASSES_TO_REST {
            engine.pass("liberator").await;
        }
        let entries = self.store.entries();
        for bytes in entries.values().skip(known) {
            let entry: Entry = serde_json::from_slice(bytes).unwrap();
            assert!(entry.events.iter().all(only_tells), "{:#?}", entry.events);
        }
        let pass = engine.pass("liberator").await;
        assert_eq!(self.store.entries().len(), entries.len(), "{pass:?}");
        assert_eq!(self.effects(), asked, "{pass:?}");
        engine.ledger_mut().leave().await.unwrap();
    }

    /// Every call that may change something, and what it was about.
    fn effects(&self) -> Vec<(&'static str, String)> {
        let reads = ["Get", "List", "Describe", "Head", "BatchGet"];
        let is_read = |operation: &str| {
            let name = operation.rsplit(':').next().unwrap_or_default();
            reads.iter().any(|read| name.starts_with(read))
        };
        let world = self.sim.lock();
        let calls = world.calls().iter().filter(|call| !is_read(call.operation));
        calls.map(|call| (call.operation, call.target.clone())).collect()
    }

    /// Exactly one copy of the date in every table.
    pub fn assert_one_copy(&self, day: &str) {
        let copies = self.sim.lock().copies(date(day));
        assert!(!copies.is_empty());
        assert!(copies.values().all(|count| *count == 1), "{day}: {copies:?}");
    }
}

/// Whether an event only tells what was seen.
fn only_tells(event: &Event) -> bool {
    matches!(
        event,
        Event::Scanned { .. }
            | Event::Passed { .. }
            | Event::RuleSeen { .. }
            | Event::RequestDone { .. }
    )
}
