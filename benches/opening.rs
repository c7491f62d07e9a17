//! How long it takes to open a ledger of ten years of nights, and what S3 is asked for:
//! `cargo bench --bench opening`.
//!
//! Every night is scanned and passed, every tenth heals a date; checkpoints lie where the daemon
//! would have left them.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement may fail loudly")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, Utc};
use gapmend::domain::{PassOutcome, RunOutcome, Stage};
use gapmend::ledger::{
    Asked, DirectoryStore, Event, Ledger, MemoryStore, Repeat, S3Store, ScanCause, ScanRecord,
    Store,
};
use gapmend::platform::{Clock, Platform};
use gapmend::sim::{SimClock, SimPlatform, WorldBuilder};

const NIGHTS: u64 = 3_650;
const A_RUN_EVERY_NIGHTS: u64 = 10;

fn day(night: u64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2016, 7, 1).unwrap() + Days::new(night)
}

fn morning() -> DateTime<Utc> {
    "2026-07-01T04:00:00Z".parse().unwrap()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let sim = WorldBuilder::at(morning()).days(1).no_supplier().build();
    let clock: Arc<dyn Clock> = Arc::new(SimClock::new(sim.clone()));
    let memory = MemoryStore::new();
    write_ten_years(&memory, &clock).await;
    let entries = memory.entries().len();

    let folder = tempfile::tempdir().unwrap();
    let directory = DirectoryStore::new(folder.path());
    let platform: Arc<dyn Platform> = Arc::new(SimPlatform::new(sim.clone()));
    let bucket = sim.lock().names.ledger_bucket.clone();
    let s3 = S3Store::new(Arc::clone(&platform), &bucket, "gapmend");
    copy(&memory, &directory, folder.path()).await;
    for (seq, bytes) in memory.entries() {
        assert!(matches!(s3.create(seq, bytes).await, Ok(gapmend::platform::Created::Created)));
    }

    let everything = open("a directory, every entry read", Arc::new(directory), &clock).await;
    let last = memory.kept_checkpoints().last().copied().unwrap();
    let checkpoint = memory.get_checkpoint(last).await.unwrap().unwrap();
    println!("the checkpoint at entry {last} has {} KiB", checkpoint.len() / 1024);
    let directory = DirectoryStore::new(folder.path());
    directory.put_checkpoint(last, checkpoint.clone()).await.unwrap();
    s3.put_checkpoint(last, checkpoint).await.unwrap();
    let tail = entries as u64 - last;
    let short = open("a directory, from its checkpoint", Arc::new(directory), &clock).await;
    sim.lock().forget_calls();
    open("S3, from its checkpoint (no latency)", Arc::new(s3), &clock).await;
    let calls = sim.lock().calls().len() as u64;
    println!("of S3: {calls} requests, {tail} of them for the tail; {} others", calls - tail);
    assert!(calls - tail <= 4, "more than four requests besides the tail");
    assert!(everything < Duration::from_secs(1) && short < Duration::from_secs(1));
}

async fn open(title: &str, store: Arc<dyn Store>, clock: &Arc<dyn Clock>) -> Duration {
    let begun = tokio::time::Instant::now();
    let ledger = Ledger::open(store, Arc::clone(clock), "bench").await.unwrap();
    let took = begun.elapsed();
    let (entries, runs) = (ledger.state().seq, ledger.state().runs.len());
    println!("{title}: {entries} entries, {runs} runs in {:.0} ms", took.as_secs_f64() * 1_000.0);
    took
}

async fn copy(from: &MemoryStore, to: &DirectoryStore, root: &std::path::Path) {
    // Only the first is created by the store, for it makes the folders: each create is synced.
    let entries = from.entries();
    let (first, bytes) = entries.first_key_value().unwrap();
    to.prepare_to_write().await.unwrap();
    let _ = to.create(*first, bytes.clone()).await.unwrap();
    for (seq, bytes) in &entries {
        std::fs::write(root.join("log").join(format!("{seq:020}.json")), bytes).unwrap();
    }
}

async fn write_ten_years(store: &MemoryStore, clock: &Arc<dyn Clock>) {
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let mut ledger = Ledger::open(shared, Arc::clone(clock), "bench").await.unwrap();
    for night in 0..NIGHTS {
        let mut entries = vec![vec![scanned(night)], vec![passed()]];
        if night % A_RUN_EVERY_NIGHTS == 0 {
            entries.extend(healed(night).map(|event| vec![event]));
        }
        for events in entries {
            let _ = ledger.append(events).await.unwrap();
        }
    }
}

fn scanned(night: u64) -> Event {
    let counts = ["available", "missing", "no_dump", "not_due", "partial", "too_young"];
    let scan = ScanRecord {
        cause: ScanCause::Slot,
        slot: Some(day(night)),
        missed_slots: 0,
        counts: counts
            .map(|status| (status.to_owned(), 17))
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
        whole_through: Some(day(night)),
        available: vec![format!("{}..{}", day(0), day(night))],
        queue: vec![day(night)],
        tables: 200,
        partitions: 18_000,
        config: "c".repeat(64),
        blind: Vec::new(),
    };
    Event::Scanned { dataset: "liberator".to_owned(), scan }
}

fn passed() -> Event {
    Event::Passed {
        dataset: "liberator".to_owned(),
        outcome: PassOutcome::NothingToDo,
        detail: "no date is healable".to_owned(),
    }
}

fn healed(night: u64) -> [Event; 6] {
    let run = format!("liberator/{}/1", day(night));
    let stage = |stage, next| Event::StageEnded {
        run: run.clone(),
        stage,
        next,
        detail: "seen whole in the services' own words".to_owned(),
    };
    [
        Event::RunStarted {
            run: run.clone(),
            dataset: "liberator".to_owned(),
            date: day(night),
            attempt: 1,
            stage: Stage::Load,
            dump: None,
            asked: Asked::schedule(),
            permitted_by: "mode auto".to_owned(),
            tables_expected: 200,
            tables_before: None,
            config: "c".repeat(64),
            version: "0.1.0".to_owned(),
            preflight_at: morning(),
        },
        stage(Stage::Load, Stage::Snapshot),
        stage(Stage::Snapshot, Stage::Export),
        stage(Stage::Export, Stage::Publish),
        stage(Stage::Publish, Stage::Verify),
        Event::RunEnded {
            run: run.clone(),
            outcome: RunOutcome::Succeeded,
            stage: Stage::Verify,
            reason: None,
            detail: "200 of 200 tables have it".to_owned(),
            log_tail: Vec::new(),
            repeat: Repeat::FromTheTop,
            tables_present: Some(200),
        },
    ]
}
