//! Every law of safety is broken on purpose, by hand and without our code, and must complain: a
//! checker that cannot fail proves nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use gapmend::daemon::{ConfigReport, Report};
use gapmend::domain::{Network, Stage};
use gapmend::ledger::{Asked, Entry, Event, Request, ScanCause, ScanRecord, State};
use gapmend::sim::{
    ContainerOverride, DumpKind, Profile, RuleSetting, RunTask, Sim, Times, WorldBuilder,
};

use super::book::Book;
use super::checks::{self, Evidence};
use super::climate::{Climate, Policy};
use super::year;
use crate::bed::noon;

/// A world at noon with a fortnight of gaps, and what is written of it.
struct Bench {
    sim: Sim,
    book: Book,
    climate: Climate,
    reports: Vec<Arc<Report>>,
}

/// Breaks one law.
type Breach = fn(&mut Bench);

fn days_ago(days: i64) -> NaiveDate {
    noon().date_naive() - TimeDelta::days(days)
}

/// One of four gaps, the youngest first.
fn gap(number: i64) -> NaiveDate {
    days_ago(10 + number)
}

/// What each law forbids.
const BREACHES: [(&str, Breach); 20] = [
    ("there are never two loads at once", |bench| {
        bench.loads(gap(0), "a");
        bench.hours(0);
        bench.loads(gap(1), "b");
        bench.hours(4);
    }),
    ("only bare dates are loaded", |bench| bench.loads(gap(0) - TimeDelta::days(9), "a")),
    ("only old dates are loaded", |bench| bench.loads(days_ago(2), "a")),
    ("only good dumps are loaded", |bench| {
        bench.sim.lock().profiles.entry(gap(0)).or_default().dump = DumpKind::Truncated;
        bench.sim.lock().write_dump(gap(0));
        bench.hours(1);
        bench.loads(gap(0), "a");
    }),
    ("only good dumps are loaded", |bench| bench.loads(days_ago(60), "a")),
    ("attempts are bounded", |bench| {
        let failing = Profile { exits_1: Times::Always, ..Profile::default() };
        bench.sim.lock().profiles.insert(gap(0), failing);
        for nonce in ["a", "b", "c", "d"] {
            bench.loads(gap(0), nonce);
            bench.hours(6);
        }
    }),
    ("no load begins beside another", |bench| {
        bench.sim.lock().person_runs_task(Some(gap(1)));
        bench.minutes(30);
        bench.loads(gap(0), "a");
    }),
    ("snapshots without an export are spared", |bench| {
        bench.sim.lock().timing.export_start = std::time::Duration::from_mins(30);
        bench.sim.lock().person_runs_task(Some(gap(1)));
        while bench.sim.lock().tasks()[0].stopped_at.is_none() {
            bench.minutes(1);
        }
        bench.minutes(13); // its snapshot is available, its export not asked for
        bench.loads(gap(0), "a");
        bench.hours(4);
    }),
    ("only what people allow is begun", |bench| {
        let closed = Policy { deny: [gap(0)].into(), ..bench.policy() };
        bench.begins_under(closed);
    }),
    ("only what people allow is begun", |bench| {
        let frozen = Policy { freeze: [days_ago(0)].into(), ..bench.policy() };
        bench.begins_under(frozen);
    }),
    ("only what people allow is begun", |bench| {
        let until = bench.now() + TimeDelta::minutes(1);
        bench.requests(Request::Pause { until });
        bench.begins_under(bench.policy());
    }),
    ("a night's number of runs is kept", |bench| {
        for _ in 0..=bench.policy().max_runs {
            bench.begins_under(bench.policy());
        }
    }),
    ("an intent comes before its effect", |bench| bench.book.caught.push("seen".to_owned())),
    ("a slot is scanned once", |bench| {
        bench.scans_slot();
        bench.scans_slot();
    }),
    ("memory is what a replay gives", |bench| {
        let ledger = State { seq: 7, ..State::default() };
        bench.book.replayed = State { runs: Vec::new(), ..ledger.clone() };
        bench.book.replayed.datasets.entry("liberator".to_owned()).or_default();
        bench.reports.push(Arc::new(bench.report(ledger)));
    }),
    ("a pass asks little of AWS", |bench| {
        let life = bench.book.begin("daemon A");
        bench.book.slept(life, checks::CALLS_OF_A_PASS_AT_MOST + 1);
    }),
    ("what we healed is there once", |bench| {
        bench.sim.lock().profiles.entry(gap(0)).or_default().dump = DumpKind::CopyOf(gap(1));
        bench.sim.lock().write_dump(gap(0));
        bench.loads(gap(0), "a");
        bench.hours(9);
    }),
    ("the rule comes back", |bench| {
        bench.disables_rule();
        bench.hours(7);
    }),
    ("no live dump is lost by us", |bench| {
        bench.disables_rule();
        bench.hours(14);
        bench.sim.lock().set_trigger(RuleSetting::Enabled, "caller");
        bench.hours(72);
    }),
    ("our own writes fire nothing", |bench| {
        let mut world = bench.sim.lock();
        let (bucket, key) = (world.names.dump_bucket.clone(), "parking/ours.zip");
        world.put_object(&bucket, key, "ours", false).unwrap();
        world.advance_to(noon() + TimeDelta::hours(1));
    }),
];

/// The two ways of getting in an operator's way.
const AGAINST_AN_OPERATOR: [Breach; 2] = [
    |bench| {
        bench.sim.lock().operator_disables_trigger();
        bench.hours(1);
        bench.disables_rule();
    },
    |bench| {
        bench.sim.lock().operator_disables_trigger();
        bench.hours(1);
        bench.sim.lock().set_trigger(RuleSetting::Enabled, "caller");
    },
];

#[test]
fn every_law_complains_when_it_is_broken() {
    let operator = AGAINST_AN_OPERATOR.map(|breach| ("an operator's rule is left alone", breach));
    let breaches: Vec<(&str, Breach)> = BREACHES.into_iter().chain(operator).collect();
    for law in checks::laws_of_safety() {
        assert!(breaches.iter().any(|(broken, _)| *broken == law), "nobody breaks: {law}");
    }
    let mut silent = Vec::new();
    for (number, (law, breach)) in breaches.into_iter().enumerate() {
        let mut bench = Bench::set();
        assert_eq!(bench.complains_of(law), None, "before breach {number}");
        breach(&mut bench);
        silent.extend(bench.complains_of(law).is_none().then(|| format!("{number}: {law}")));
    }
    assert!(silent.is_empty(), "no complaint of breach {silent:#?}");
}

impl Bench {
    fn set() -> Self {
        let mut random = fastrand::Rng::with_seed(1);
        let mut climate = Climate::drawn(&mut random);
        climate.policy = Policy { mode: "auto", max_attempts: 3, hours: None, ..climate.policy };
        let builder = WorldBuilder::at(noon())
            .names(year::names())
            .timing(year::timing())
            .days(40)
            .supplied_at(NaiveTime::from_hms_opt(23, 5, 0).unwrap());
        let days = (10..14).map(|days| noon().date_naive() - TimeDelta::days(days));
        let sim = days.fold(builder, WorldBuilder::gap).build();
        Self { sim, book: Book::default(), climate, reports: Vec::new() }
    }

    fn complains_of(&self, law: &str) -> Option<String> {
        let world = self.sim.lock();
        let reports = self.reports.clone();
        let evidence =
            Evidence { world: &world, book: &self.book, climate: &self.climate, reports };
        checks::complaint_of(law, &evidence)
    }

    // ---- the world -------------------------------------------------------------------

    fn now(&self) -> DateTime<Utc> {
        self.sim.lock().now()
    }

    fn hours(&self, hours: i64) {
        self.minutes(hours * 60);
    }

    fn minutes(&self, minutes: i64) {
        let until = self.now() + TimeDelta::minutes(minutes);
        self.sim.advance_to(until);
    }

    /// A load in our name.
    fn loads(&self, date: NaiveDate, nonce: &str) {
        let mut world = self.sim.lock();
        let environment = [(world.names.date_variable.clone(), date.to_string())].into();
        let name = world.names.family.clone();
        let request = RunTask {
            cluster: world.names.cluster.clone(),
            task_definition: name.clone(),
            network: Some(Network {
                subnets: vec!["subnet-1".to_owned()],
                security_groups: vec!["sg-1".to_owned()],
                assign_public_ip: false,
            }),
            launch_type: None,
            platform_version: None,
            client_token: None,
            started_by: Some(format!("gapmend/liberator/{date}/1-{nonce}")),
            overrides: vec![ContainerOverride { name, environment, command: Vec::new() }],
            tags: BTreeMap::new(),
        };
        let answer = world.run_task(&request).unwrap();
        assert_eq!(answer.failures, []);
    }

    fn disables_rule(&self) {
        self.sim.lock().set_trigger(RuleSetting::Disabled, "caller");
    }

    // ---- what is written -------------------------------------------------------------

    fn policy(&self) -> Policy {
        self.climate.policy.clone()
    }

    fn writes(&mut self, event: Event) {
        let entry = Entry {
            v: 1,
            seq: self.book.entries.len() as u64 + 1,
            at: self.now(),
            epoch: 1,
            writer: "daemon A".to_owned(),
            nonce: String::new(),
            events: vec![event],
        };
        self.book.entries.push(entry);
    }

    fn begins_under(&mut self, policy: Policy) {
        let (date, at) = (gap(0), self.now());
        let config = format!("{policy:?}");
        self.book.policies.insert(config.clone(), policy);
        self.writes(Event::RunStarted {
            run: format!("liberator/{date}/1"),
            dataset: "liberator".to_owned(),
            date,
            attempt: 1,
            stage: Stage::Load,
            dump: None,
            asked: Asked::schedule(),
            permitted_by: "mode".to_owned(),
            tables_expected: 3,
            tables_before: Some(0),
            config,
            version: "1".to_owned(),
            preflight_at: at,
        });
    }

    fn requests(&mut self, request: Request) {
        let dataset = "liberator".to_owned();
        self.writes(Event::Requested { dataset, request, asked: Asked::schedule() });
    }

    fn scans_slot(&mut self) {
        let scan = ScanRecord {
            cause: ScanCause::Slot,
            slot: Some(days_ago(0)),
            missed_slots: 0,
            counts: std::collections::BTreeMap::new(),
            whole_through: None,
            available: Vec::new(),
            queue: Vec::new(),
            tables: 3,
            partitions: 3,
            config: String::new(),
            blind: Vec::new(),
        };
        self.writes(Event::Scanned { dataset: "liberator".to_owned(), scan });
    }

    fn report(&self, ledger: State) -> Report {
        let now = self.now();
        Report {
            started_at: now,
            last_tick_at: now,
            acting: true,
            not_acting: None,
            ledger_problem: None,
            next_scan_at: None,
            ledger: Arc::new(ledger),
            datasets: std::collections::BTreeMap::new(),
            region: String::new(),
            config: ConfigReport::read(now),
        }
    }
}
