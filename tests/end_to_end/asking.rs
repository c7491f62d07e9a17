//! Requests: `pause`, `resume`, `cancel`, written to the ledger and answered by whoever acts.

use std::time::Duration;

use gapmend::sim::{Profile, Times, Timing};

use crate::serving::Daemon;
use crate::stage::{Came, SPEED, Stage, days_ago, terminate, until, world};

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
    let hanging = Profile { hangs: Times::First(1), ..Profile::default() };
    let stage = Stage::set(world().gap(gap).profile(gap, hanging)).await;
    let refused = stage.run(&["cancel"]).await.with_code(1);
    assert!(refused.stderr.contains("no run in progress"), "{}", refused.stderr);
    let refused = stage.run(&["cancel", "--output", "json"]).await.with_code(1).json();
    assert!(refused["error"].as_str().unwrap().contains("no run in progress"), "{refused}");
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

fn says_that_snapshot_is_over(stage: &Stage) -> bool {
    let entries = std::fs::read_dir(stage.path("ledger/log")).into_iter().flatten();
    entries
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok())
        .any(|entry| entry.contains("stage_ended") && entry.contains("\"stage\": \"snapshot\""))
}

/// From here on stopping saves nothing: the export goes on in AWS, and its id is used up.
#[tokio::test]
async fn cancelling_after_the_export_has_begun_says_that_its_id_is_spent() {
    let gap = days_ago(12);
    let timing = Timing { export: Duration::from_secs(8), ..Timing::quick().scaled(SPEED) };
    let stage = Stage::set(world().gap(gap).timing(timing)).await;
    let healing = stage.command(&["heal"]).output();
    let cancelling = async {
        until("the snapshot is over", || says_that_snapshot_is_over(&stage)).await;
        stage.run(&["cancel", "--reason", "the wrong date"]).await.with_code(0)
    };
    let (healed, cancelled) = tokio::join!(healing, cancelling);
    assert!(cancelled.stdout.contains("the export id of"), "{}", cancelled.stdout);
    assert!(cancelled.stdout.contains("is spent"), "{}", cancelled.stdout);
    Came::from(healed.unwrap()).with_code(1);
    assert_eq!(stage.calls_of("StopTask"), 0, "there is no task any more");
    stage.run(&["retry", &gap.to_string()]).await.with_code(0);
    stage.run(&["heal"]).await.with_code(0);
    stage.assert_healed_once(&[gap]);
    assert_eq!(stage.calls_of("RunTask"), 1, "taken up where it was, not from the top");
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

#[tokio::test]
async fn a_request_says_what_it_comes_to_and_never_stands_above_safety() {
    let (partial, denied, gap) = (days_ago(14), days_ago(13), days_ago(12));
    let deny = format!(
        "[datasets.liberator.backfill]\ndeny.audit = {{ dates = [\"{denied}\"], reason = \"frozen\" }}\n"
    );
    let world = world().partial(partial, &["liberator_permit"]).gap(denied).gap(gap);
    let stage = Stage::set_with(world, &deny).await;
    for (date, words) in [
        (partial, "In the queue: no: only a person can move it on"),
        (denied, "deny.audit: frozen"),
        (gap, "In the queue: number 1 of 1"),
    ] {
        let came = stage.run(&["retry", &date.to_string(), "--ticket", "DP-1"]).await.with_code(0);
        assert!(came.stdout.contains(words), "{date}: {}", came.stdout);
        assert!(came.stdout.contains("no process acts"), "{}", came.stdout);
    }
    let asked = stage.json(&["retry", &gap.to_string(), "--reason", "again"]).await;
    assert!(asked["by"].as_str().unwrap().starts_with("arn:aws:"), "{asked}");
    assert!(asked["comes_to"].as_str().unwrap().contains("missing"), "{asked}");
    let refused = stage.run(&["scan", "--request"]).await.with_code(1);
    assert!(refused.stderr.contains("no process acts"), "{}", refused.stderr);
    assert_eq!(stage.calls_of("RunTask"), 0);
}

#[tokio::test]
async fn the_daemon_looks_when_it_is_asked_to() {
    let stage = Stage::set(world()).await;
    let daemon = Daemon::start(&stage).await;
    daemon.until_it_tells("/readyz", "ready: acting").await;
    let came = stage.run(&["scan", "--request", "--reason", "news"]).await.with_code(0);
    assert!(came.stdout.contains("scanned"), "{}", came.stdout);
    assert_eq!(terminate(daemon.child).await, 0);
}

#[tokio::test]
async fn an_auditor_learns_who_wanted_a_run_and_what_it_left() {
    let gap = days_ago(12);
    let stage = Stage::set(world().gap(gap)).await;
    let date = gap.to_string();
    let why = ["--reason", "=parking, \"again\"", "--ticket", "DP-123"];
    stage.run(&[&["heal", "--date", &date], &why[..]].concat()).await.with_code(0);
    let history = stage.json(&["history", "--date", &date]).await;
    let run = &history["runs"][0];
    assert!(run["asked"]["by"].as_str().unwrap().starts_with("arn:aws:"), "{run}");
    assert_eq!(run["asked"]["ticket"], "DP-123");
    assert!(run["permitted_by"].as_str().unwrap().contains("asked for by name"), "{run}");
    assert_eq!(run["tables_before"], 0);
    assert_eq!(run["tables_present"], run["tables_expected"]);
    let id = format!("sql-to-parquet-{date}-backdated");
    assert_eq!((run["snapshot"].as_str(), run["export"].as_str()), (Some(&*id), Some(&*id)));
    for name in ["config", "version", "task_arn", "workflow_run"] {
        assert!(!run[name].as_str().unwrap().is_empty(), "{name}: {run}");
    }
    assert!(!run["dump"]["etag"].as_str().unwrap().is_empty());

    let csv = stage.run(&["ledger", "export", "--csv"]).await.with_code(0).stdout;
    assert!(csv.starts_with("seq,at,epoch,writer,kind,"), "{csv}");
    assert!(csv.contains("\"'=parking, \"\"again\"\"\",DP-123"), "no formula, quoted: {csv}");
    let lines = stage.run(&["ledger", "export"]).await.with_code(0).stdout;
    let numbers: Vec<u64> = lines
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64().unwrap()
        })
        .collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let last = (numbers.len() - 1).to_string();
    let rest = stage.run(&["ledger", "export", "--after", &last]).await.with_code(0).stdout;
    assert_eq!(rest.lines().count(), 1);
}

/// A day to come, or a year that nobody can mean, would stand in the ledger for ever.
#[tokio::test]
async fn a_slip_in_a_date_is_refused_and_leaves_nothing_behind() {
    let stage = Stage::set(world()).await;
    let tomorrow = (days_ago(0) + chrono::Days::new(1)).to_string();
    let upload = stage.path("liberator.zip").display().to_string();
    for arguments in [
        &["heal", "--date", &tomorrow][..],
        &["retry", &tomorrow],
        &["explain", &tomorrow],
        &["upload", &upload, "--date", &tomorrow],
    ] {
        let came = stage.run(arguments).await.with_code(1);
        assert!(came.stderr.contains("in the future"), "{arguments:?}: {}", came.stderr);
    }
    for arguments in [&["heal", "--date", "0202-06-01"][..], &["explain", "9999-12-31"]] {
        let came = stage.run(arguments).await.with_code(2);
        assert!(came.stderr.contains("outside the years"), "{arguments:?}: {}", came.stderr);
    }
    assert!(!stage.path("ledger/log/00000000000000000001.json").exists());
}
