//! A machine on which the daemon runs: the real loop, over a clock that may step and lag, from
//! one death to the next.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use gapmend::config::Settings;
use gapmend::daemon::{Engine, Errand, NoRecorder, Report, take_up, turns};
use gapmend::ledger::{Entry, Event, Ledger, Store};
use gapmend::platform::{Clock, World};
use gapmend::sim::{RuleSetting, SimPlatform};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::journal::entry_in_words;
use super::year::Year;
use crate::mortal::{Effect, Fate, MortalPlatform, MortalStore, Senses};

/// Shorter sleeps are somebody's patience, and kept to the second; from here on it is idleness.
const IDLE_FROM: Duration = Duration::from_secs(10);
/// Nobody is slower than this while a load of ours is alive, or the rule is held.
const BUSY_NAP: Duration = Duration::from_mins(1);
/// An intent is looked for in so many of the last entries.
const INTENT_WITHIN_ENTRIES: usize = 60;

/// One machine.
pub(super) struct Host {
    pub(super) name: &'static str,
    year: Arc<Year>,
    random: Mutex<fastrand::Rng>,
    pub(super) clock_offset: Mutex<TimeDelta>,
    /// Whether somebody wants a daemon here.
    wanted: watch::Sender<bool>,
    stopping: Mutex<CancellationToken>,
    pub(super) killed: Notify,
    pub(super) reports: Mutex<Option<watch::Receiver<Arc<Report>>>>,
}

impl Host {
    pub(super) fn new(name: &'static str, year: &Arc<Year>, random: fastrand::Rng) -> Arc<Self> {
        Arc::new(Self {
            name,
            year: Arc::clone(year),
            random: Mutex::new(random),
            clock_offset: Mutex::default(),
            wanted: watch::Sender::new(false),
            stopping: Mutex::default(),
            killed: Notify::new(),
            reports: Mutex::default(),
        })
    }

    pub(super) fn start(&self) {
        self.wanted.send_replace(true);
    }

    /// The daemon is asked to end (SIGTERM), and not started again.
    pub(super) fn stop(&self) {
        self.wanted.send_replace(false);
        self.stopping.lock().unwrap().cancel();
    }

    /// Lives, dies, and lives again, for ever.
    pub(super) async fn exist(self: &Arc<Self>) {
        let mut wanted = self.wanted.subscribe();
        loop {
            while !*wanted.borrow_and_update() {
                wanted.changed().await.expect("the host itself holds the sender");
            }
            self.live().await;
            let down = self.random.lock().unwrap().u64(1..=240);
            let down = if self.year.is_calm() { 10 } else { down * down / 4 };
            self.year.clock.sleep(Duration::from_secs(down)).await;
        }
    }

    async fn live(self: &Arc<Self>) {
        let life = self.year.book.lock().unwrap().begin(self.name);
        let senses = Arc::new(Eyes { host: Arc::clone(self), life });
        let dies_at = self.draws_death();
        let fate = Fate::with_senses(&self.year.sim, dies_at, senses);
        *self.stopping.lock().unwrap() = CancellationToken::new();
        self.tell("starts");
        let end = tokio::select! {
            biased;
            () = fate.death() => "dies".to_owned(),
            () = self.killed.notified() => "is killed".to_owned(),
            end = self.serve(&fate, life) => end,
        };
        *self.reports.lock().unwrap() = None;
        self.year.book.lock().unwrap().end(life, self.year.now());
        self.tell(&end);
    }

    fn draws_death(&self) -> u64 {
        let most = self.year.climate.calls_to_live;
        if most == 0 || self.year.is_calm() {
            return u64::MAX;
        }
        self.random.lock().unwrap().u64(1..=most)
    }

    async fn serve(self: &Arc<Self>, fate: &Arc<Fate>, life: usize) -> String {
        let store: Arc<dyn Store> =
            Arc::new(MortalStore { inner: self.year.store.clone(), fate: Arc::clone(fate) });
        let clock: Arc<dyn Clock> =
            Arc::new(HostClock { host: Arc::clone(self), fate: Arc::clone(fate), life });
        let platform = MortalPlatform {
            inner: SimPlatform::new(self.year.sim.clone()),
            fate: Arc::clone(fate),
        };
        let ledger = match Ledger::open(store, Arc::clone(&clock), self.name).await {
            Ok(ledger) => ledger,
            Err(error) => return format!("cannot start: {error}"),
        };
        let world = World { platform: Arc::new(platform), clock };
        let (mut version, settings) = self.year.settings();
        let mut engine =
            Engine::new(world, ledger, settings, Arc::new(NoRecorder), Errand::default());
        *self.reports.lock().unwrap() = Some(engine.reports());
        let year = Arc::clone(&self.year);
        let mut reload: gapmend::daemon::Reload = Box::new(move || {
            let (newest, settings) = year.settings();
            let news = newest != version;
            version = newest;
            news.then(|| Ok(Settings::clone(&settings)))
        });
        let stopping = self.stopping.lock().unwrap().clone();
        if let Err(error) = take_up(&mut engine, &stopping).await {
            return format!("cannot act: {error}");
        }
        match turns(&mut engine, &Notify::new(), &mut reload, &stopping).await {
            Ok(()) => "leaves".to_owned(),
            Err(error) => format!("ends: {error}"),
        }
    }

    fn tell(&self, what: &str) {
        self.year.journal.say(self.year.now(), self.name, what);
    }

    /// Whether this is no time to be slow: a load of ours is alive, or we hold the rule.
    fn is_busy(&self) -> bool {
        let world = self.year.sim.lock();
        let changes = world.rule_history().iter().rev();
        let mut off = changes.take_while(|change| change.state == RuleSetting::Disabled);
        let held = off.any(|change| change.who == "caller"); // whoever disabled it once more
        held || world.has_live_task_of("gapmend/")
    }
}

/// The machine's clock, as one process reads it.
struct HostClock {
    host: Arc<Host>,
    fate: Arc<Fate>,
    life: usize,
}

#[async_trait]
impl Clock for HostClock {
    fn now(&self) -> DateTime<Utc> {
        self.host.year.clock.now() + *self.host.clock_offset.lock().unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        let year = &self.host.year;
        let calls = self.fate.calls();
        year.book.lock().unwrap().slept(self.life, calls);
        let longest = if self.host.is_busy() { BUSY_NAP } else { year.climate.longest_nap };
        let slower = duration >= IDLE_FROM;
        let nap =
            if slower { self.host.random.lock().unwrap().u64(30..=longest.as_secs()) } else { 0 };
        year.clock.sleep(duration.max(Duration::from_secs(nap))).await;
    }
}

/// How a process on this machine sees the world, and what is noted of it.
struct Eyes {
    host: Arc<Host>,
    life: usize,
}

impl Senses for Eyes {
    fn clock_offset(&self) -> TimeDelta {
        *self.host.clock_offset.lock().unwrap()
    }

    fn lag(&self) -> TimeDelta {
        let (seconds, per_mille) = self.host.year.climate.lag;
        if seconds == 0 || self.host.year.is_calm() {
            return TimeDelta::zero();
        }
        let mut random = self.host.random.lock().unwrap();
        let lags = random.u16(0..1000) < per_mille;
        if lags { TimeDelta::seconds(random.i64(0..=seconds)) } else { TimeDelta::zero() }
    }

    /// Calls of the ledger's store are work as well, and time stands still meanwhile.
    fn leaves(&self, _call: &'static str) {
        self.host.year.clock.now();
    }

    fn asks(&self, effect: &Effect) {
        self.host.year.book.lock().unwrap().asks();
        let Some((kind, part)) = &effect.intent else { return };
        let recent = self.host.year.store.last_entries(INTENT_WITHIN_ENTRIES);
        let says = |entry: &Bytes| {
            let text = String::from_utf8_lossy(entry);
            text.contains(kind) && text.contains(part.as_str())
        };
        if !recent.iter().any(says) {
            let what =
                format!("{} of {} was asked for without its intent", effect.name, effect.about);
            self.host.year.book.lock().unwrap().caught.push(what);
        }
    }

    fn answered(&self, effect: &Effect, refusal: Option<String>) {
        let answer =
            refusal.map_or("done".to_owned(), |refusal| format!("not answered: {refusal}"));
        self.host.tell(&format!("asks {} {}: {answer}", effect.name, effect.about));
    }

    fn wrote(&self, _seq: u64, bytes: &Bytes) {
        self.host.tell(&format!("writes {}", entry_in_words(bytes)));
        let Ok(entry) = serde_json::from_slice::<Entry>(bytes) else { return };
        if entry.events.iter().any(|event| matches!(event, Event::Acting { .. })) {
            self.host.year.book.lock().unwrap().acts(self.life, self.host.year.now());
        }
    }
}
