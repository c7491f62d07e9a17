//! How long it takes to plan ten datasets of ten years: `cargo bench --bench planning`.
//!
//! Each has two hundred tables and 3,650 dates, a gap every month, a partial date every quarter
//! and a ledger with a run for every gap that there ever was.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement may fail loudly")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, Utc};
use gapmend::config::{self, DatasetSettings, Environment};
use gapmend::domain::{Coverage, DateSet, Dump, RunOutcome, Seen, Stage, TableCoverage, TableId};
use gapmend::ledger::{Asked, Entry, Event, Repeat, State};
use gapmend::observe::{LandingView, Observation, Scan, TriggerView, Watch};
use gapmend::plan::{self, Night};

const LIBERATOR: &str = include_str!("../config/liberator.toml");
const DATASETS: usize = 10;
const DATES: u64 = 3_650;
const TABLES: usize = 200;
const GAP_EVERY_DAYS: u64 = 30;
const PARTIAL_EVERY_DAYS: u64 = 90;
const ROUNDS: usize = 20;

fn now() -> DateTime<Utc> {
    "2026-06-30T12:00:00Z".parse().unwrap()
}

fn day(number: u64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 6, 30).unwrap() - Days::new(DATES) + Days::new(number)
}

fn main() {
    let datasets: Vec<(DatasetSettings, Observation)> =
        (0..DATASETS).map(|number| dataset(&format!("feed-{number}"))).collect();
    let ledger = ledger(&datasets);
    let night = Night {
        began_at: now() - Duration::from_hours(9),
        ends_at: now() + Duration::from_hours(15),
        max_runs: None,
        only: None,
    };
    let mut took: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let begun = tokio::time::Instant::now();
            for (dataset, seen) in &datasets {
                let plan = plan::plan(&ledger, seen, dataset, &night, now());
                assert!(plan.queue.len() > 50, "{}", plan.queue.len());
            }
            begun.elapsed()
        })
        .collect();
    took.sort_unstable();
    println!(
        "planning {DATASETS} datasets of {DATES} dates and {TABLES} tables, {} runs in the ledger: \
         {:.1} ms (fastest {:.1}, slowest {:.1})",
        ledger.runs.len(),
        milliseconds(took[ROUNDS / 2]),
        milliseconds(took[0]),
        milliseconds(took[ROUNDS - 1]),
    );
}

fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1_000.0
}

fn dataset(name: &str) -> (DatasetSettings, Observation) {
    let text = LIBERATOR.replace("mode = \"observe\"", "mode = \"auto\"");
    let loaded = config::load_text(&text, &Environment::default(), now()).unwrap();
    let mut dataset = (*Arc::clone(&loaded.settings.datasets["liberator"])).clone();
    name.clone_into(&mut dataset.name);
    let watch = Watch {
        at: now(),
        rule: None,
        tasks: Seen::Known(Vec::new()),
        traffic: None,
        run: None,
        trigger: TriggerView::default(),
    };
    let observation = Observation { scan: Seen::Known(scan()), watch, confirmed: None };
    (dataset, observation)
}

fn scan() -> Scan {
    let dates: Vec<NaiveDate> = (0..DATES).map(day).collect();
    let has = |table: usize, number: u64| {
        let partial = number % PARTIAL_EVERY_DAYS == 1 && table < TABLES / 2;
        !number.is_multiple_of(GAP_EVERY_DAYS) && !partial
    };
    let tables = (0..TABLES).map(|table| {
        let found = (0..DATES).filter(|number| has(table, *number)).map(day);
        let catalogued: DateSet = found.collect();
        TableCoverage {
            id: TableId { database: "raw".to_owned(), table: format!("liberator_t{table:04}") },
            source: "parking".to_owned(),
            optional: false,
            begins: catalogued.first(),
            sample: None,
            stored: Some(catalogued.clone()),
            catalogued,
            written_twice: DateSet::default(),
            spelled: gapmend::domain::OddSpellings::default(),
        }
    });
    let coverage = Coverage { tables: tables.collect(), ..Coverage::default() };
    let dumps: BTreeMap<_, _> =
        dates.iter().map(|date| (*date, vec![dump(*date)].into())).collect();
    Scan {
        at: now(),
        today: now().date_naive(),
        window: dates,
        named: BTreeSet::new(),
        landing: LandingView { dumps: Arc::new(dumps), ..LandingView::default() },
        coverage,
        exports: BTreeMap::new(),
        copies: BTreeMap::new(),
    }
}

fn dump(date: NaiveDate) -> Dump {
    Dump {
        key: date.format("parking/liberator_dump_%Y%m%d.zip").to_string(),
        size: 4096,
        etag: date.to_string(),
        last_modified: date.and_hms_opt(23, 5, 0).unwrap().and_utc(),
        archived: None,
    }
}

/// A healed run of every second gap, in every dataset.
fn ledger(datasets: &[(DatasetSettings, Observation)]) -> State {
    let mut state = State::default();
    let mut note = |events: Vec<Event>| {
        let seq = state.seq + 1;
        let (writer, nonce) = ("bench".to_owned(), String::new());
        state.apply(&Entry { v: 1, seq, at: now(), epoch: 1, writer, nonce, events }).unwrap();
    };
    for (dataset, _) in datasets {
        for date in (0..DATES).filter(|number| number.is_multiple_of(2 * GAP_EVERY_DAYS)).map(day) {
            let run = format!("{}/{date}/1", dataset.name);
            note(vec![
                Event::RunStarted {
                    run: run.clone(),
                    dataset: dataset.name.clone(),
                    date,
                    attempt: 1,
                    stage: Stage::Load,
                    dump: Some(dump(date)),
                    asked: Asked::schedule(),
                    permitted_by: "mode auto".to_owned(),
                    tables_expected: 200,
                    tables_before: None,
                    config: String::new(),
                    version: String::new(),
                    preflight_at: now(),
                },
                Event::RunEnded {
                    run,
                    outcome: RunOutcome::Cancelled,
                    stage: Stage::Load,
                    reason: None,
                    detail: "it ended".to_owned(),
                    log_tail: Vec::new(),
                    repeat: Repeat::FromTheTop,
                    tables_present: None,
                },
            ]);
        }
    }
    state
}
