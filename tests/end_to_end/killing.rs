//! `kill -9` at any moment, and the next process goes on: each date ends with exactly one copy.
//!
//! The moments are drawn in calls of the door, not in milliseconds, so that they fall all over
//! a run on slow machines and on fast ones.

use chrono::NaiveDate;
use tokio::process::Child;

use crate::serving::Daemon;
use crate::stage::{Stage, days_ago, terminate, until, world};

/// So many processes are killed before one may live.
const KILLS: usize = 12;

/// A process is killed within so many calls from its start: a scan and a bit of a run.
const CALLS_TO_LIVE_AT_MOST: usize = 150;

/// Kills one process after another; answers early when everything is whole already.
async fn kill_again_and_again(stage: &Stage, arguments: &[&str], dates: &[NaiveDate], seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
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
