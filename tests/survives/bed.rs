//! A world in which processes live, die and begin again.

use std::sync::Arc;

use chrono::{DateTime, Duration, NaiveDate, Utc};
use gapmend::config::{self, Environment, Settings};
use gapmend::daemon::{Engine, Errand, NoRecorder, Pass};
use gapmend::ledger::{Ledger, LedgerError, MemoryStore, Store};
use gapmend::plan::Rest;
use gapmend::platform::{Clock, World};
use gapmend::sim::{Sim, SimClock, SimPlatform, WorldBuilder};

use super::mortal::{Fate, MortalPlatform, MortalStore};

/// The Liberator configuration of the repository, made to act.
const LIBERATOR: &str = include_str!("../../config/liberator.toml");
/// Nobody looks oftener than the pipeline moves, so that a night takes few passes.
const COARSE: [(&str, &str); 3] = [
    ("GAPMEND_CONFIG__DATASETS__LIBERATOR__EXPORT__POLL", "10m"),
    ("GAPMEND_CONFIG__DATASETS__LIBERATOR__PUBLISH__POLL", "15m"),
    ("GAPMEND_CONFIG__DATASETS__LIBERATOR__WINDOW__LOOKBACK_DAYS", "12"),
];
/// A life that takes so many passes goes round in circles.
const PASSES_AT_MOST: usize = 3_000;
/// The loop never sleeps longer.
const LONGEST_SLEEP_MINUTES: i64 = 30;

/// The trigger is held while a run loads.
const HOLDS: &str = r#"
hold = "run"
max_hold = "5h"
dead_man = { group = "gapmend", role_arn = "arn:aws:iam::111122223333:role/dead-man", after = "6h" }
"#;
/// It is held while a dump is copied to the name that the task reads.
const STAGES: &str = r#"
dead_man = { group = "gapmend", role_arn = "arn:aws:iam::111122223333:role/dead-man", after = "2h" }
"#;

pub(super) struct Bed {
    pub(super) sim: Sim,
    pub(super) clock: SimClock,
    pub(super) store: MemoryStore,
    pub(super) settings: Arc<Settings>,
    /// What happens in the world at a given time, soonest last.
    pub(super) happenings: std::sync::Mutex<Vec<(DateTime<Utc>, Happening)>>,
}

/// Something that people or the supplier do.
pub(super) type Happening = fn(&mut gapmend::sim::World);

pub(super) fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

pub(super) fn noon() -> DateTime<Utc> {
    "2026-06-30T12:00:00Z".parse().unwrap()
}

/// A world at noon with a fortnight of history.
pub(super) fn world() -> WorldBuilder {
    WorldBuilder::at(noon()).days(16)
}

impl Bed {
    /// The bed over a world, in mode auto; a load is looked at every `poll`.
    pub(super) fn new(world: WorldBuilder, poll: &str) -> Self {
        Self::with(world, poll, "", "refuse")
    }

    /// The same; the trigger is held for runs.
    pub(super) fn holding(world: WorldBuilder, poll: &str) -> Self {
        Self::with(world, poll, HOLDS, "refuse")
    }

    /// The same; dumps under another name are staged.
    pub(super) fn staging(world: WorldBuilder, poll: &str) -> Self {
        Self::with(world, poll, STAGES, "stage")
    }

    /// With the trigger's settings, and what becomes of dumps under another name.
    pub(super) fn with(world: WorldBuilder, poll: &str, trigger: &str, other_name: &str) -> Self {
        let sim = world.build();
        let clock = SimClock::of_one_task(sim.clone());
        let text = LIBERATOR.replace("mode = \"observe\"", "mode = \"auto\"");
        let text = format!("{text}\n{trigger}");
        let load = [
            ("GAPMEND_CONFIG__DATASETS__LIBERATOR__LOAD__POLL", poll),
            ("GAPMEND_CONFIG__DATASETS__LIBERATOR__LOAD__OTHER_NAME", other_name),
        ];
        let environment = COARSE.into_iter().chain(load).collect::<Environment>();
        let settings = config::load_text(&text, &environment, noon())
            .unwrap_or_else(|problems| panic!("{problems}"))
            .settings;
        Self {
            sim,
            clock,
            store: MemoryStore::new(),
            settings: Arc::new(settings),
            happenings: std::sync::Mutex::default(),
        }
    }

    /// Plans happenings, as minutes after noon.
    pub(super) fn at_minutes(&self, happenings: &[(i64, Happening)]) {
        let mut all: Vec<_> = happenings
            .iter()
            .map(|(minutes, happening)| (noon() + Duration::minutes(*minutes), *happening))
            .collect();
        all.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        *self.happenings.lock().unwrap() = all;
    }

    /// Lets the time pass without a process.
    pub(super) fn pass_time(&self, length: Duration) {
        let until = self.sim.lock().now() + length;
        while let Some(at) = self.next_happening().filter(|at| *at <= until) {
            self.sim.advance_to(at);
            self.let_happen();
        }
        self.sim.advance_to(until);
    }

    fn next_happening(&self) -> Option<DateTime<Utc>> {
        self.happenings.lock().unwrap().last().map(|(at, _)| *at)
    }

    fn let_happen(&self) {
        let now = self.sim.lock().now();
        let mut happenings = self.happenings.lock().unwrap();
        while happenings.last().is_some_and(|(at, _)| *at <= now) {
            let (_, happening) = happenings.pop().unwrap();
            happening(&mut self.sim.lock());
        }
    }

    /// A process that begins now: it knows only what the ledger says.
    pub(super) async fn engine(&self, fate: &Arc<Fate>) -> Engine {
        let ledger = loop {
            let mut ledger = self.ledger(fate).await;
            if ledger.act("run").await.is_ok() {
                break ledger;
            }
            self.clock.sleep(std::time::Duration::from_secs(10)).await;
        };
        self.engine_over(fate, ledger, Errand::default())
    }

    /// A process over a ledger that it has opened.
    pub(super) fn engine_over(&self, fate: &Arc<Fate>, ledger: Ledger, errand: Errand) -> Engine {
        let world = World {
            platform: Arc::new(MortalPlatform {
                inner: SimPlatform::new(self.sim.clone()),
                fate: Arc::clone(fate),
            }),
            clock: Arc::new(self.clock.clone()),
        };
        let settings = Arc::clone(&self.settings);
        Engine::new(world, ledger, settings, Arc::new(NoRecorder), errand)
    }

    pub(super) async fn ledger(&self, fate: &Arc<Fate>) -> Ledger {
        let store = MortalStore { inner: self.store.clone(), fate: Arc::clone(fate) };
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let store: Arc<dyn Store> = Arc::new(store);
        loop {
            match Ledger::open(Arc::clone(&store), Arc::clone(&clock), "test").await {
                Ok(ledger) => return ledger,
                Err(LedgerError::Store(_) | LedgerError::Unsettled { .. }) => {
                    self.clock.sleep(std::time::Duration::from_secs(10)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// A life: passes until nothing is left to do. Answers how many it took.
    pub(super) async fn live(&self, fate: &Arc<Fate>) -> usize {
        let mut engine = self.engine(fate).await;
        for passes in 1..=PASSES_AT_MOST {
            self.let_happen();
            let pass = engine.pass("liberator").await;
            if is_over(&pass) && self.next_happening().is_none() {
                return passes;
            }
            self.nap(&pass).await;
        }
        let last = engine.pass("liberator").await;
        panic!("it goes round in circles: {last:?}");
    }

    async fn nap(&self, pass: &Pass) {
        let now = self.clock.now();
        let longest = now + Duration::minutes(LONGEST_SLEEP_MINUTES);
        let soonest = now + Duration::milliseconds(20);
        let wake_at = pass.wake_at.min(longest).max(soonest);
        let wake_at = self.next_happening().map_or(wake_at, |at| wake_at.min(at).max(now));
        self.clock.sleep((wake_at - now).to_std().unwrap()).await;
    }
}

/// Whether nothing more happens tonight by itself.
fn is_over(pass: &Pass) -> bool {
    pass.rest
        .as_ref()
        .is_some_and(|rest| !rest.passes_by_itself() && !matches!(rest, Rest::Blind(_)))
}

/// Runs a story to its end, on a runtime of its own.
pub(super) fn block_on<T>(story: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(story)
}
