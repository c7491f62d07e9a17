//! `heal` in the foreground, and what `history`, `explain` and `status` tell afterwards.

use gapmend::sim::{Profile, RuleSetting, Times};

use crate::stage::{Stage, days_ago, world};

#[tokio::test]
async fn heal_fills_every_gap_with_exactly_one_copy_and_leaves_the_rule_alone() {
    let gaps = [days_ago(10), days_ago(11), days_ago(19)];
    let stage = Stage::set(gaps.iter().fold(world(), |world, gap| world.gap(*gap))).await;
    let healed = stage.json(&["heal"]).await;
    let runs = healed["runs"].as_array().unwrap();
    let dates: Vec<&str> = runs.iter().map(|run| run["date"].as_str().unwrap()).collect();
    assert_eq!(dates, gaps.map(|gap| gap.to_string()), "newest first");
    for run in runs {
        assert_eq!(run["outcome"], "succeeded", "{run}");
        assert_eq!(run["attempt"], 1);
        let stages: Vec<&str> = run["stages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["stage"].as_str().unwrap())
            .collect();
        for stage in ["load", "export", "publish", "verify"] {
            assert!(stages.contains(&stage), "{stages:?}");
        }
        assert!(run["stages"].as_array().unwrap().iter().all(|s| s["ended_at"].is_string()));
    }
    assert_eq!(healed["triggers"]["liberator"], "enabled");
    stage.assert_healed_once(&gaps);
    assert_eq!(stage.sim.lock().tasks().len(), 3);

    let again = stage.json(&["heal"]).await;
    assert_eq!(again["runs"].as_array().unwrap().len(), 0);
    assert_eq!(stage.sim.lock().tasks().len(), 3, "a healed world starts nothing");
    assert_eq!(stage.status_of(gaps[0]).await, "available");
    it_is_remembered(&stage, gaps[0]).await;
}

/// `history`, `explain` and `status` tell of the healed date.
async fn it_is_remembered(stage: &Stage, date: chrono::NaiveDate) {
    let day = date.to_string();
    let history = stage.json(&["history", "--date", &day]).await;
    let [run] = history["runs"].as_array().unwrap().as_slice() else { panic!("{history}") };
    assert_eq!(run["outcome"], "succeeded");
    let (task, started_by) = (run["task_arn"].as_str().unwrap(), run["started_by"].as_str());
    {
        let world = stage.sim.lock();
        let ours = world.tasks().into_iter().find(|it| it.arn == task).expect("the task's own ARN");
        assert_eq!(ours.started_by.as_deref(), started_by);
    }
    assert!(run["workflow_run"].as_str().unwrap().starts_with("wr_"));
    assert!(run["asked"]["by"].is_string());
    let told = stage.run(&["history"]).await.with_code(0).stdout;
    assert!(told.contains(&day) && told.contains("succeeded"), "{told}");

    let explained = stage.json(&["explain", &day]).await;
    assert_eq!(explained["status"], "available");
    assert_eq!(explained["tables_present"], 7);
    assert_eq!(explained["runs"].as_array().unwrap().len(), 1);
    let told = stage.run(&["explain", &day]).await.with_code(0).stdout;
    assert!(told.contains(&day) && told.contains("available"), "{told}");

    let status = stage.json(&["status"]).await;
    let text = status.to_string();
    assert!(text.contains("\"liberator\"") && text.contains("enabled"), "{text}");
    stage.run(&["status"]).await.with_code(0);
    let trigger = stage.json(&["trigger", "status"]).await.to_string();
    assert!(trigger.contains("liberator-to-rds-snapshot-event"), "{trigger}");
}

#[tokio::test]
async fn a_date_that_fails_is_quarantined_with_the_end_of_its_log() {
    let (bad, good) = (days_ago(12), days_ago(16));
    let failing = Profile {
        exits_1: Times::First(2),
        log_lines: vec!["ERROR 1064 (42000) at line 77: a dump of nonsense".to_owned()],
        ..Profile::default()
    };
    let world = world().gap(bad).gap(good).profile(bad, failing);
    let limits = "[datasets.liberator.backfill]\nmax_attempts = 2\nstop_after = 10\n";
    let stage = Stage::set_with(world, limits).await;
    let healed = stage.json_with_code(&["heal"], 1).await;
    let of_bad: Vec<_> = healed["runs"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|run| run["date"] == bad.to_string().as_str())
        .collect();
    assert_eq!(of_bad.len(), 2, "{healed}");
    for run in of_bad {
        assert_eq!(run["outcome"], "failed");
        let reason = run["reason"].as_str().unwrap();
        assert!(reason.contains("exit code 1"), "{reason}");
        assert!(reason.contains("ERROR 1064 (42000) at line 77"), "{reason}");
    }
    assert_eq!(stage.status_of(bad).await, "quarantined");
    stage.assert_healed_once(&[good]);

    let explained = stage.run(&["explain", &bad.to_string()]).await.with_code(0).stdout;
    assert!(explained.contains("ERROR 1064"), "{explained}");
    stage.run(&["retry", &bad.to_string(), "--reason", "a new dump came"]).await.with_code(0);
    stage.run(&["heal"]).await.with_code(0);
    stage.assert_healed_once(&[bad, good]);
}

#[tokio::test]
async fn in_observe_mode_heal_is_refused_and_nothing_is_started() {
    let observe = "[datasets.liberator]\nmode = \"observe\"\n";
    let stage = Stage::set_with(world().gap(days_ago(12)), observe).await;
    let date = days_ago(12).to_string();
    for arguments in [&["heal"][..], &["heal", "--date", &date]] {
        let came = stage.run(arguments).await.with_code(1);
        assert!(came.stderr.contains("observe"), "{}", came.stderr);
    }
    assert_eq!(stage.status_of(days_ago(12)).await, "missing");
    assert_eq!(stage.calls_of("RunTask"), 0);
}

#[tokio::test]
async fn heal_takes_the_named_dates_and_no_others() {
    let (asked, other) = (days_ago(17), days_ago(12));
    let allowlist = "[datasets.liberator]\nmode = \"allowlist\"\n";
    let stage = Stage::set_with(world().gap(asked).gap(other), allowlist).await;
    assert_eq!(stage.status_of(asked).await, "not_allowed");
    let date = asked.to_string();
    let healed = stage.json(&["heal", "--date", &date, "--reason", "asked for"]).await;
    assert_eq!(healed["runs"].as_array().unwrap().len(), 1);
    stage.assert_healed_once(&[asked]);
    assert_eq!(stage.status_of(other).await, "not_allowed");
    let history = stage.json(&["history"]).await;
    assert_eq!(history["runs"][0]["asked"]["reason"], "asked for");
}

#[tokio::test]
async fn a_rule_that_an_operator_disabled_stays_so_and_nothing_starts() {
    let stage = Stage::set(world().gap(days_ago(12)).rule(RuleSetting::Disabled)).await;
    let healed = stage.json_with_code(&["heal"], 1).await;
    assert_eq!(healed["runs"].as_array().unwrap().len(), 0);
    assert_eq!(healed["triggers"]["liberator"], "disabled_by_other");
    assert_eq!(stage.calls_of("RunTask"), 0);
    assert!(stage.sim.lock().rule_history().is_empty());
}
