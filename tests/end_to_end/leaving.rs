//! `retire`: the run is ended, the trigger is free, and what is left is told.

use gapmend::sim::{Profile, Times};

use crate::serving::Daemon;
use crate::stage::{Stage, days_ago, terminate, until, world};

#[tokio::test]
async fn retiring_finishes_the_run_and_nothing_is_started_after_it() {
    let (gap, other) = (days_ago(12), days_ago(15));
    let stage = Stage::set(world().gap(gap).gap(other)).await;
    let daemon = Daemon::start(&stage).await;
    until("the first load is asked for", || stage.calls_of("RunTask") == 1).await;
    assert_eq!(terminate(daemon.child).await, 0);
    let retired = stage.json(&["retire", "--reason", "the end"]).await;
    let left: Vec<&str> = retired["left"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["what"].as_str().unwrap())
        .collect();
    for what in ["rule", "ledger", "gaps", "pause", "role", "snapshot in RDS"] {
        assert!(left.contains(&what), "{what} is not in {left:?}");
    }
    stage.run(&["heal"]).await.with_code(1);
    stage.assert_healed_once(&[gap]);
    assert_eq!(stage.calls_of("RunTask"), 1);
}

#[tokio::test]
async fn retiring_beside_a_daemon_lets_it_end_the_run_that_is_cancelled() {
    let gap = days_ago(12);
    let hanging = Profile { hangs: Times::Always, ..Profile::default() };
    let stage = Stage::set(world().gap(gap).profile(gap, hanging)).await;
    let daemon = Daemon::start(&stage).await;
    until("the load is asked for", || stage.calls_of("RunTask") == 1).await;
    let retired = stage.run(&["retire", "--cancel"]).await.with_code(0);
    for words in ["gapmend is retired", "still acts: stop it", "is enabled"] {
        assert!(retired.stdout.contains(words), "{words}: {}", retired.stdout);
    }
    assert_eq!(stage.calls_of("StopTask"), 1);
    assert_eq!(terminate(daemon.child).await, 0);
}

#[tokio::test]
async fn a_hold_is_released_before_retiring_is_over() {
    let gap = days_ago(12);
    let hold = "[datasets.liberator.trigger]\nhold = \"run\"\ndead_man = \"none\"\npropagation = \"1s\"\nsettle = \"1s\"\n";
    let stage = Stage::set_with(world().gap(gap), hold).await;
    let daemon = Daemon::start(&stage).await;
    until("the load is asked for", || stage.calls_of("RunTask") == 1).await;
    assert_eq!(terminate(daemon.child).await, 0);
    stage.run(&["retire"]).await.with_code(0);
    let status = stage.json(&["trigger", "status"]).await;
    assert_eq!(status["triggers"][0]["state"], "enabled", "{status}");
    assert!(stage.sim.lock().is_whole(gap));
}
