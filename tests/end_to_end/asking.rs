//! Requests: `pause`, `resume`, `cancel`, written to the ledger and answered by whoever acts.

use crate::serving::Daemon;
use crate::stage::{Came, Stage, days_ago, terminate, until, world};

#[tokio::test]
async fn a_pause_holds_everything_until_resume() {
    let gap = days_ago(12);
    let stage = Stage::set(world().gap(gap)).await;
    stage.run(&["pause", "--for", "3d", "--reason", "a migration"]).await.with_code(0);
    let came = stage.run(&["heal"]).await.with_code(1);
    assert!(came.stderr.contains("paused"), "{}", came.stderr);
    assert_eq!(stage.calls_of("RunTask"), 0);
    stage.run(&["resume"]).await.with_code(0);
    stage.run(&["heal"]).await.with_code(0);
    stage.assert_healed_once(&[gap]);
}

#[tokio::test]
async fn cancel_stops_the_load_and_the_date_waits_for_the_next_slot() {
    let gap = days_ago(12);
    let stage = Stage::set(world().gap(gap)).await;
    let refused = stage.run(&["cancel"]).await.with_code(1);
    assert!(refused.stderr.contains("no run in progress"), "{}", refused.stderr);
    let healing = stage.command(&["--output", "json", "heal"]).output();
    let cancelling = async {
        until("the load is asked for", || stage.calls_of("RunTask") == 1).await;
        stage.run(&["cancel", "--reason", "the wrong date"]).await.with_code(0)
    };
    let (healed, cancelled) = tokio::join!(healing, cancelling);
    assert!(cancelled.stdout.contains(&gap.to_string()), "{}", cancelled.stdout);
    let healed = Came::from(healed.unwrap()).with_code(1).json();
    assert_eq!(healed["runs"][0]["outcome"], "cancelled", "{healed}");
    assert_eq!(healed["runs"].as_array().unwrap().len(), 1);
    assert_eq!(stage.status_of(gap).await, "backing_off");
    assert_eq!(stage.sim.lock().tasks().len(), 1);
    stage.run(&["retry", &gap.to_string()]).await.with_code(0);
    stage.run(&["heal"]).await.with_code(0);
    stage.assert_healed_once(&[gap]);
}

#[tokio::test]
async fn a_request_handed_to_a_paused_daemon_ends_with_its_reason() {
    let stage = Stage::set(world().gap(days_ago(12))).await;
    stage.run(&["pause", "--for", "3d", "--reason", "a migration"]).await.with_code(0);
    let daemon = Daemon::start(&stage).await;
    let came = stage.run(&["heal"]).await.with_code(1);
    assert!(came.stderr.contains("liberator: paused until"), "{}", came.stderr);
    assert_eq!(terminate(daemon.child).await, 0);
    assert_eq!(stage.calls_of("RunTask"), 0);
}
