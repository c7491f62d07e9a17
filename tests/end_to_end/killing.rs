//! `kill -9` at any moment, and the next process goes on: each date ends with exactly one copy, and
//! the ledger is one log, of which no entry is ever lost, changed or written twice.
//!
//! The moments are drawn in calls of the door, not in milliseconds, so that they fall all over
//! a run on slow machines and on fast ones.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use gapmend::ledger::store::number_of;
use gapmend::ledger::{Entry, State};
use tokio::process::Child;

use crate::serving::Daemon;
use crate::stage::{Stage, days_ago, terminate, until, world};

/// So many processes are killed before one may live.
const KILLS: usize = 12;

/// A process is killed within so many calls from its start: a scan and a bit of a run.
const CALLS_TO_LIVE_AT_MOST: usize = 150;

/// The entries of the ledger, wherever it is: one log without a gap, every entry whole and written
/// once, and they add up.
fn log_of(stage: &Stage) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(stage.path("ledger/log")).into_iter().flatten().flatten();
    let files = files.map(|file| {
        let name = file.file_name().into_string().unwrap();
        (name, std::fs::read(file.path()).unwrap())
    });
    let objects = stage.sim.lock().list_objects("gapmend-ledger", "gapmend/log/", None, 10_000);
    let objects = objects.unwrap().into_iter().map(|object| {
        let name = object.key.rsplit('/').next().unwrap().to_owned();
        (name, object.body.bytes().to_vec())
    });
    let entries: BTreeMap<_, _> =
        files.chain(objects).filter(|(name, _)| number_of(name).is_some()).collect();
    let mut sum = State::default();
    let mut nonces = BTreeSet::new();
    for (name, bytes) in &entries {
        let entry: Entry =
            serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(*name, format!("{:020}.json", entry.seq));
        sum.apply(&entry).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(nonces.insert(entry.nonce), "{name} was written twice");
    }
    entries
}

/// Nothing that was written is gone or another.
fn assert_grown(before: &BTreeMap<String, Vec<u8>>, after: &BTreeMap<String, Vec<u8>>) {
    for (name, bytes) in before {
        assert_eq!(after.get(name), Some(bytes), "{name} was lost or changed");
    }
}

/// Kills one process after another; answers early when everything is whole already.
async fn kill_again_and_again(stage: &Stage, arguments: &[&str], dates: &[NaiveDate], seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut log = BTreeMap::new();
    for _ in 0..KILLS {
        let last_call = stage.calls() + rng.usize(1..CALLS_TO_LIVE_AT_MOST);
        let mut child = quiet(stage, arguments);
        tokio::select! {
            () = until("the moment to kill", || {
                stage.calls() >= last_call || is_whole(stage, dates)
            }) => {}
            ended = child.wait() => {
                let status = ended.unwrap();
                assert!(status.success(), "seed {seed}: it ended by itself with {status}");
            }
        }
        child.kill().await.unwrap();
        let grown = log_of(stage);
        assert_grown(&log, &grown);
        log = grown;
        if is_whole(stage, dates) {
            return;
        }
    }
}

fn quiet(stage: &Stage, arguments: &[&str]) -> Child {
    let mut command = stage.command(arguments);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    command.spawn().unwrap()
}

fn is_whole(stage: &Stage, dates: &[NaiveDate]) -> bool {
    let world = stage.sim.lock();
    dates.iter().all(|date| world.is_whole(*date))
}

#[tokio::test]
async fn heal_killed_at_any_moment_ends_with_exactly_one_copy() {
    for seed in [1, 2] {
        let gaps = [days_ago(10), days_ago(14)];
        let stage = Stage::set(world().gap(gaps[0]).gap(gaps[1])).await;
        kill_again_and_again(&stage, &["heal"], &gaps, seed).await;
        stage.run(&["heal"]).await.with_code(0);
        stage.assert_healed_once(&gaps);
        let tasks = stage.sim.lock().tasks().len();
        assert_eq!(tasks, 2, "seed {seed}: every date was loaded once");
        assert!(log_of(&stage).len() > 10, "seed {seed}: the log is where it is looked for");
    }
}

#[tokio::test]
async fn the_daemon_killed_at_any_moment_ends_with_exactly_one_copy() {
    for seed in [3, 4] {
        let gaps = [days_ago(11), days_ago(18)];
        let stage = Stage::set(world().gap(gaps[0]).gap(gaps[1])).await;
        kill_again_and_again(&stage, &["run"], &gaps, seed).await;
        let daemon = Daemon::start(&stage).await;
        until("the daemon heals the rest", || is_whole(&stage, &gaps)).await;
        assert_eq!(terminate(daemon.child).await, 0);
        stage.run(&["heal"]).await.with_code(0);
        stage.assert_healed_once(&gaps);
    }
}

#[tokio::test]
async fn a_ledger_in_s3_survives_the_same() {
    let ledger = "[ledger]\nurl = \"s3://gapmend-ledger/gapmend\"\n";
    let gaps = [days_ago(12)];
    let stage = Stage::set_with(world().gap(gaps[0]), ledger).await;
    // Nobody frees a lock in S3, so who follows says that the one before is gone.
    kill_again_and_again(&stage, &["heal", "--take-over"], &gaps, 5).await;
    stage.run(&["heal", "--take-over"]).await.with_code(0);
    stage.assert_healed_once(&gaps);
    assert_eq!(stage.sim.lock().tasks().len(), 1);
    assert!(log_of(&stage).len() > 5, "the log is where it is looked for");
}

#[tokio::test]
async fn a_process_that_was_killed_does_not_act_in_the_status() {
    let stage = Stage::set(world()).await;
    let mut daemon = Daemon::start(&stage).await;
    let acts = |status: &serde_json::Value| status["daemon"]["acting"].as_bool().unwrap();
    assert!(acts(&stage.json(&["status"]).await));
    daemon.child.kill().await.unwrap();
    let status = stage.json(&["status"]).await;
    assert!(!acts(&status) && status["daemon"]["writer"].is_null(), "{status}");
}
