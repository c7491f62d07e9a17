//! One year, or a season of it: a world, machines, people and weather, all in one virtual time and one thread.
//!
//! ```text
//!   faults on, a year ──► faults off, people undo what they did, until nothing is left to heal
//! ```

use std::sync::{Arc, Mutex};

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use gapmend::config::Settings;
use gapmend::ledger::MemoryStore;
use gapmend::platform::Clock;
use gapmend::sim::{Names, Sim, SimClock, Timing, WorldBuilder};

use super::book::Book;
use super::checks::{self, Evidence};
use super::climate::{Climate, LOOKBACK_DAYS, Policy};
use super::host::Host;
use super::journal::Journal;
use super::people::People;

/// One history in so many is a whole year; the others are seasons of it.
const YEARS_ONE_IN: u64 = 100;
/// The days of a year, and of a season.
const DAYS: i64 = 365;
const DAYS_OF_A_SEASON: std::ops::RangeInclusive<i64> = 15..=40;
/// The checkers look so often; a history ends at the first complaint.
const DAYS_BETWEEN_CHECKS: i64 = 10;
/// Without faults, nights until nothing is left to heal: a date of the last day is old enough
/// after seven, and there is one run a night at the least.
const NIGHTS_TO_CONVERGE: i64 = 7 + LOOKBACK_DAYS;

/// Everything that the parts of a year share.
pub(super) struct Year {
    pub(super) sim: Sim,
    pub(super) clock: SimClock,
    pub(super) store: MemoryStore,
    pub(super) climate: Climate,
    pub(super) journal: Journal,
    pub(super) book: Mutex<Book>,
    policy: Mutex<(u64, Policy, Arc<Settings>)>,
    calm: Mutex<bool>,
}

/// A year that went wrong, or nothing.
pub(super) struct Outcome {
    pub(super) complaint: Option<String>,
    pub(super) history: Vec<String>,
}

/// The noon on which a history begins.
fn first_noon(random: &mut fastrand::Rng) -> DateTime<Utc> {
    let new_year: DateTime<Utc> = "2026-01-01T12:00:00Z".parse().unwrap();
    new_year + TimeDelta::days(random.i64(0..DAYS))
}

fn days(seed: u64, random: &mut fastrand::Rng) -> i64 {
    let season = random.i64(DAYS_OF_A_SEASON);
    if seed.is_multiple_of(YEARS_ONE_IN) { DAYS } else { season }
}

/// Loads take half their usual time, so that fewer looks are needed.
pub(super) fn timing() -> Timing {
    let usual = Timing::realistic();
    Timing { load: usual.load / 2, ..usual }
}

/// Three tables in two zones.
pub(super) fn names() -> Names {
    let mut names = Names::default();
    names.raw[0].tables.truncate(2);
    names.raw[1].tables.truncate(1);
    names
}

impl Year {
    fn drawn(random: &mut fastrand::Rng) -> Arc<Self> {
        let climate = Climate::drawn(random);
        let noon = first_noon(random);
        let builder = WorldBuilder::at(noon)
            .seed(random.u64(..))
            .names(names())
            .timing(timing())
            .days(40)
            .supplied_at(NaiveTime::from_hms_opt(23, 5, 0).unwrap())
            .gap(noon.date_naive() - TimeDelta::days(12));
        let sim = builder.build();
        let policy = climate.policy.clone();
        let settings = Arc::new(policy.settings(noon));
        let year = Self {
            clock: SimClock::of_one_task(sim.clone()),
            sim,
            store: MemoryStore::new(),
            climate,
            journal: Journal::default(),
            book: Mutex::default(),
            policy: Mutex::new((0, policy.clone(), Arc::clone(&settings))),
            calm: Mutex::new(false),
        };
        year.book.lock().unwrap().policies.insert(settings.hash.clone(), policy);
        Arc::new(year)
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.sim.lock().now()
    }

    pub(super) fn is_calm(&self) -> bool {
        *self.calm.lock().unwrap()
    }

    pub(super) fn settings(&self) -> (u64, Arc<Settings>) {
        let policy = self.policy.lock().unwrap();
        (policy.0, Arc::clone(&policy.2))
    }

    pub(super) fn policy(&self) -> Policy {
        self.policy.lock().unwrap().1.clone()
    }

    /// A new configuration file: processes take it up by themselves.
    pub(super) fn configure(&self, policy: Policy) {
        let settings = Arc::new(policy.settings(self.now()));
        let now = self.now();
        {
            let mut book = self.book.lock().unwrap();
            book.policies.insert(settings.hash.clone(), policy.clone());
            book.configured(policy.gone, now);
        }
        let mut current = self.policy.lock().unwrap();
        *current = (current.0 + 1, policy, settings);
    }

    pub(super) async fn until(&self, at: DateTime<Utc>) {
        let wait = (at - self.now()).to_std().unwrap_or_default();
        self.clock.sleep(wait).await;
    }

    /// The first complaint of the checkers that look while the year goes on.
    fn complaint(&self, hosts: &[Arc<Host>]) -> Option<String> {
        let mut book = self.book.lock().unwrap();
        book.read(&self.store);
        let world = self.sim.lock();
        let reports = hosts.iter().filter_map(|host| {
            let reports = host.reports.lock().unwrap();
            reports.as_ref().map(|reports| Arc::clone(&reports.borrow()))
        });
        let evidence = Evidence {
            world: &world,
            book: &book,
            climate: &self.climate,
            reports: reports.collect(),
        };
        checks::first_complaint(&evidence)
    }
}

/// Plays a seed's year. The same seed gives the same history, to the letter.
pub(super) fn play(seed: u64) -> Outcome {
    let (complaint, year) = lived(seed);
    let history = complaint.as_ref().map(|_| year.journal.told(&year.sim.lock()));
    Outcome { complaint, history: history.unwrap_or_default() }
}

/// The whole history of a seed, whether it is good or bad.
pub(super) fn history(seed: u64) -> Vec<String> {
    let (_, year) = lived(seed);
    let world = year.sim.lock();
    year.journal.told(&world)
}

fn lived(seed: u64) -> (Option<String>, Arc<Year>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let year = Year::drawn(&mut random);
    let hosts = ["daemon A", "daemon B"].map(|name| Host::new(name, &year, random.fork()));
    let days = days(seed, &mut random);
    let people = People::new(&year, hosts.clone(), random.fork());
    let complaint = crate::bed::block_on(async {
        let [first, second] = &hosts;
        tokio::select! {
            biased;
            complaint = direct(&year, &hosts, people, days) => complaint,
            () = first.exist() => unreachable!("it exists for ever"),
            () = second.exist() => unreachable!("it exists for ever"),
        }
    });
    (complaint, year)
}

/// The year itself: what people and the weather do every day, and the looks of the checkers.
async fn direct(
    year: &Arc<Year>,
    hosts: &[Arc<Host>; 2],
    mut people: People,
    days: i64,
) -> Option<String> {
    let noon = year.now();
    hosts[0].start();
    for day in 0..days {
        people.live_through(noon + TimeDelta::days(day)).await;
        if day % DAYS_BETWEEN_CHECKS == 0
            && let Some(complaint) = year.complaint(hosts)
        {
            return Some(complaint);
        }
    }
    *year.calm.lock().unwrap() = true;
    year.book.lock().unwrap().calm_turns = Some(0);
    people.undo_everything().await;
    let last = year.now().date_naive();
    for _ in 0..NIGHTS_TO_CONVERGE {
        people.tidy_up().await;
        year.until(year.now() + TimeDelta::days(1)).await;
    }
    let complaint = year.complaint(hosts).or_else(|| checks::converged(&year.book.lock().unwrap()));
    if complaint.is_some() {
        return complaint;
    }
    hosts[0].stop();
    year.until(year.now() + TimeDelta::hours(3)).await;
    checks::at_rest(year, last).await
}
