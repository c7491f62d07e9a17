//! What SECURITY.md says of others' bytes: a dump that makes the database print things, and a
//! ledger that somebody else has written to.

use std::sync::Arc;

use chrono::NaiveDate;
use gapmend::ledger::{Asked, DirectoryStore, Ledger, Request};
use gapmend::platform::SystemClock;
use gapmend::sim::{Profile, Times};

use crate::serving::Daemon;
use crate::stage::{Stage, days_ago, terminate, world};

#[tokio::test]
async fn a_log_that_would_steer_the_terminal_is_shown_without_its_controls() {
    let gap = days_ago(12);
    let line = "ERROR 1064 near '\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m' \u{202e}\rat line 7";
    let failing =
        Profile { exits_1: Times::Always, log_lines: vec![line.to_owned()], ..Profile::default() };
    let limits = "[datasets.liberator.backfill]\nmax_attempts = 1\n";
    let stage = Stage::set_with(world().gap(gap).profile(gap, failing), limits).await;
    let day = gap.to_string();
    for (arguments, code) in
        [(&["heal"][..], 1), (&["history", "--date", &day], 0), (&["explain", &day], 0)]
    {
        let came = stage.run(arguments).await.with_code(code);
        let shown = came.stdout + &came.stderr;
        assert!(shown.contains("ERROR 1064"), "{shown}");
        let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!shown.contains(steers), "{arguments:?}: {shown:?}");
    }
}

#[tokio::test]
async fn a_forged_success_heals_nothing() {
    let gap = days_ago(12);
    let elsewhere = Stage::set(world().gap(gap)).await;
    elsewhere.run(&["heal"]).await.with_code(0);
    // The whole ledger of a world in which the date was healed.
    let stage = Stage::set(world().gap(gap)).await;
    std::fs::create_dir_all(stage.path("ledger/log")).unwrap();
    for file in std::fs::read_dir(elsewhere.path("ledger/log")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), stage.path("ledger/log").join(file.file_name())).unwrap();
    }
    let history = stage.json(&["history"]).await;
    assert_eq!(history["runs"][0]["outcome"], "succeeded", "the forgery is believed as history");
    assert_ne!(stage.status_of(gap).await, "available", "and not as data");
    assert!(!stage.sim.lock().is_whole(gap));
}

#[tokio::test]
async fn a_forged_request_starts_nothing_in_mode_observe() {
    let gap = days_ago(12);
    let observe = "[datasets.liberator]\nmode = \"observe\"\n";
    let stage = Stage::set_with(world().gap(gap), observe).await;
    stage.run(&["scan"]).await.with_code(0);
    forge(&stage, gap).await;
    let daemon = Daemon::start(&stage).await;
    let missing = "gapmend_dates{dataset=\"liberator\",status=\"missing\"} 1";
    daemon.until_it_tells("/metrics", missing).await;
    forge(&stage, gap).await;
    let read = "gapmend_ledger_entries";
    daemon.until_it_tells("/metrics", read).await;
    assert_eq!(terminate(daemon.child).await, 0);
    assert_eq!(stage.calls_of("RunTask"), 0);
}

/// Writes what `heal --date` would write, had it been let.
async fn forge(stage: &Stage, date: NaiveDate) {
    let store = Arc::new(DirectoryStore::new(stage.path("ledger")));
    let mut ledger = Ledger::open(store, Arc::new(SystemClock), "a forger").await.unwrap();
    let request = Request::Heal { dates: vec![date], max_runs: None };
    let asked = Asked { by: "a forger".to_owned(), reason: None, ticket: None };
    ledger.append_request("liberator", request, asked).await.unwrap();
}

#[tokio::test]
async fn an_entry_of_nonsense_stops_all_acting_and_is_named() {
    let stage = Stage::set(world().gap(days_ago(12))).await;
    stage.run(&["pause", "--for", "1h"]).await.with_code(0);
    stage.run(&["resume"]).await.with_code(0);
    let log = stage.path("ledger/log");
    let next = std::fs::read_dir(&log).unwrap().count() + 1;
    let nonsense = log.join(format!("{next:020}.json"));
    std::fs::write(&nonsense, "{\"v\": 1, \"events\": [{\"event\": \"start_everything\"}]}")
        .unwrap();
    let came = stage.run(&["heal"]).await.with_code(1);
    assert!(came.stderr.contains(&next.to_string()), "{}", came.stderr);
    assert_eq!(stage.calls_of("RunTask"), 0);
    assert!(nonsense.exists(), "and it is left for a person to see");
}
