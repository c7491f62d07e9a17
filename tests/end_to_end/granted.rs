//! What the binary asks of AWS in each mode is what its role is granted for that mode: no call
//! without its grant, and no grant without a call.
//!
//! The first half is asked at the end of every stage of this suite; for the second each mode is
//! played here with all that it may come to.

use std::collections::BTreeSet;
use std::time::Duration;

use gapmend::sim::{
    FaultKind, FaultWhen, Moment, Names, Profile, Times, Timing, WorkflowStart, WorldBuilder, zip,
};

use crate::iam::{Policy, asks_of};
use crate::serving::Daemon;
use crate::stage::{SPEED, Stage, days_ago, terminate, until, world};

const S3_LEDGER: &str = "[ledger]\nurl = \"s3://gapmend-ledger/gapmend\"\n";

const HOLDING: &str = "
propagation = \"1s\"
settle = \"1s\"
max_hold = \"50m\"
dead_man = { group = \"gapmend\", role_arn = \"arn:aws:iam::111122223333:role/gapmend-dead-man\", after = \"1h\" }
";

/// A world in which no load comes to its end while a test runs.
fn slow_world() -> WorldBuilder {
    world().timing(Timing { load: Duration::from_mins(10), ..Timing::quick().scaled(SPEED) })
}

/// The grants that the calls at a stage have used, as `block.Sid action`.
#[track_caller]
pub(crate) fn uses_of(stage: &Stage, blocks: &[&str]) -> BTreeSet<String> {
    let policy = Policy::of(blocks);
    let calls = stage.door.calls();
    let asks: BTreeSet<_> = calls
        .iter()
        .flat_map(|call| {
            // What was refused needs no grant: a rule that is not there, a fault of the day.
            let is_answered = call.status.is_some_and(|status| status < 300);
            asks_of(call).into_iter().map(move |ask| (ask, is_answered))
        })
        .collect();
    let mut used = BTreeSet::new();
    for (ask, is_answered) in asks {
        match policy.allows(&ask) {
            Some(statement) => drop(used.insert(format!("{} {}", statement.name, ask.action))),
            None => assert!(!is_answered, "{blocks:?} do not grant {ask:?}"),
        }
    }
    used
}

/// What the model never makes gapmend ask for: it has no keys of its own, and its workflow runs
/// always come with their properties, which the adapter's own test asks for where they do not.
const BEYOND_THE_MODEL: [&str; 2] = [" kms:", " glue:GetWorkflowRunProperties"];

fn grants_of(block: &str) -> BTreeSet<String> {
    let grants = Policy::of(&[block]).grants().into_iter();
    grants.filter(|grant| !BEYOND_THE_MODEL.iter().any(|it| grant.contains(it))).collect()
}

/// All that these blocks grant was used, by calls that asked for nothing else.
#[track_caller]
fn every_grant_is_used(stages: &[&Stage], granted: &[&str], of: &[&str]) {
    let used: BTreeSet<String> = stages.iter().flat_map(|it| uses_of(it, granted)).collect();
    let unused: Vec<String> =
        of.iter().flat_map(|block| grants_of(block)).filter(|it| !used.contains(it)).collect();
    assert!(unused.is_empty(), "granted to {granted:?}, and used by nobody: {unused:?}");
}

#[tokio::test]
async fn mode_observe_uses_all_of_its_grants_and_no_other() {
    let observe = format!("{S3_LEDGER}[datasets.liberator]\nmode = \"observe\"\n");
    let stage = Stage::set_with(slow_world().gap(days_ago(12)), &observe).await;
    let date = days_ago(12).to_string();
    for arguments in [
        &["check"][..],
        &["scan"],
        &["plan"],
        &["status"],
        &["history"],
        &["explain", &date],
        &["trigger", "status"],
        &["pause", "--for", "1h"],
        &["resume"],
        &["heal"],
    ] {
        stage.run(arguments).await;
    }
    // A live run, so that there are tasks to look at.
    let today = Names::default().dump_key_of(days_ago(0));
    stage.sim.lock().person_writes("dataplatform-prod-liberator-data-storage", &today, "a dump");
    until("the live run is there", || {
        stage.sim.advance_to(crate::stage::now());
        !stage.sim.lock().tasks().is_empty()
    })
    .await;
    let daemon = Daemon::start(&stage).await;
    daemon.until_it_tells("/readyz", "ready: acting").await;
    until("the tasks are looked at", || stage.calls_of("DescribeTasks") > 0).await;
    assert_eq!(terminate(daemon.child).await, 0);
    let blocks = ["observe", "ledger"];
    every_grant_is_used(&[&stage], &blocks, &blocks);
}

#[tokio::test]
async fn healing_uses_all_that_it_adds_and_no_other() {
    let (bad, slow) = (days_ago(12), days_ago(16));
    let failing = Profile { exits_1: Times::Always, ..Profile::default() };
    let limits = format!("{S3_LEDGER}[datasets.liberator.backfill]\nmax_attempts = 1\n");
    let healing = Stage::set_with(world().gap(bad).gap(slow).profile(bad, failing), &limits).await;
    healing.run(&["heal"]).await.with_code(1);
    healing.assert_healed_once(&[slow]);

    let cancelled = Stage::set_with(slow_world().gap(slow), &limits).await;
    let heal = cancelled.command(&["heal"]).output();
    let cancel = async {
        until("the load is asked for", || cancelled.calls_of("RunTask") == 1).await;
        cancelled.run(&["cancel"]).await.with_code(0);
    };
    let _ = tokio::join!(heal, cancel);
    assert!(cancelled.calls_of("StopTask") > 0);
    every_grant_is_used(&[&healing, &cancelled], &["observe", "ledger", "heal"], &["heal"]);
}

#[tokio::test]
async fn repairing_uses_all_that_it_adds_and_no_other() {
    let gap = days_ago(10);
    let unstarted = Profile { workflow_start: WorkflowStart::Never, ..Profile::default() };
    let soon = "[datasets.liberator.publish]\nstart_within = \"1s\"\n";
    let stage = Stage::set_with(world().gap(gap).profile(gap, unstarted), soon).await;
    stage.run(&["heal"]).await.with_code(0);
    stage.assert_healed_once(&[gap]);
    every_grant_is_used(&[&stage], &["observe", "heal", "repair"], &["repair"]);
}

#[tokio::test]
async fn holding_uses_all_that_it_adds_and_no_other() {
    let hold = format!("[datasets.liberator.trigger]\nhold = \"run\"{HOLDING}");
    let stage = Stage::set_with(world().gap(days_ago(10)), &hold).await;
    stage.run(&["check"]).await.with_code(0);
    stage.run(&["heal"]).await.with_code(0);
    assert!(stage.sim.lock().is_whole(days_ago(10)));
    every_grant_is_used(&[&stage], &["observe", "heal", "hold"], &["hold"]);
}

#[tokio::test]
async fn writing_dumps_uses_all_that_it_adds_and_no_other() {
    let staging = format!(
        "[datasets.liberator.trigger]\nhold = \"upload\"{HOLDING}\
         [datasets.liberator.load]\nother_name = \"stage\"\n"
    );
    let gap = days_ago(10);
    let stage = Stage::set_with(world().gap(gap).old_name(gap), &staging).await;
    stage.run(&["heal"]).await.with_code(0);
    assert!(stage.sim.lock().is_whole(gap));
    assert_eq!(stage.calls_of("CopyObject"), 1);
    // The beginning of an upload whose answer is lost is found, and its parts are removed.
    let lost = "s3:CreateMultipartUpload";
    stage.sim.lock().faults.add(lost, FaultWhen::Always, FaultKind::Dropped, Moment::After);
    let absent = days_ago(9);
    let file = stage.path("dump.zip");
    std::fs::write(&file, zip::dump_of(absent, 4096)).unwrap();
    let (file, date) = (file.to_str().unwrap(), absent.to_string());
    stage.run(&["upload", file, "--date", &date, "--replace"]).await.with_code(1);
    every_grant_is_used(&[&stage], &["observe", "heal", "hold", "upload"], &["upload"]);
}
