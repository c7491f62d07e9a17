//! The log where nobody watches: JSON, a line for each decision, and never a secret.

use std::process::Stdio;

use gapmend::sim::{FaultKind, FaultWhen, Moment};
use serde_json::Value;

use crate::stage::{SECRETS, Stage, days_ago, terminate, until, world};

/// The log of a daemon that heals the gaps of the stage, at that level.
async fn log_of_healing(stage: &Stage, gap: chrono::NaiveDate, level: &str) -> String {
    let path = stage.path("daemon.log");
    let mut command = stage.command(&["--log", level, "run"]);
    command.stdout(Stdio::null()).stderr(std::fs::File::create(&path).unwrap());
    let daemon = command.spawn().unwrap();
    let told = || std::fs::read_to_string(&path).unwrap();
    until("the run is told to be over", || told().contains("\"healed\"")).await;
    assert_eq!(terminate(daemon).await, 0);
    assert!(stage.sim.lock().is_whole(gap));
    told()
}

fn lines(log: &str) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    log.lines().map(parse).collect()
}

fn with<'a>(lines: &'a [Value], field: &str, value: &str) -> &'a Value {
    let found = lines.iter().find(|line| line[field] == value);
    found.unwrap_or_else(|| panic!("no line has {field} = {value} in {lines:#?}"))
}

#[tokio::test]
async fn every_decision_is_a_line_that_names_its_run() {
    let gap = days_ago(12);
    let stage = Stage::set(world().gap(gap)).await;
    let failing = async {
        until("the load is asked for", || stage.calls_of("RunTask") == 1).await;
        let faults = &mut stage.sim.lock().faults;
        let next = faults.calls("glue:GetWorkflowRuns") + 1;
        let when = FaultWhen::Calls(next, next + 2);
        faults.add("glue:GetWorkflowRuns", when, FaultKind::Denied, Moment::Before);
    };
    let (log, ()) = tokio::join!(log_of_healing(&stage, gap, "info"), failing);
    let lines = lines(&log);
    for line in &lines {
        for field in ["timestamp", "level", "message"] {
            assert!(line[field].is_string(), "no {field}: {line}");
        }
    }
    let run = format!("liberator/{gap}/1");
    for outcome in ["started", "waiting", "healed"] {
        let line = with(&lines, "outcome", outcome);
        assert_eq!(line["dataset"], "liberator", "{line}");
        assert_eq!(line["run"], run.as_str(), "{line}");
        assert_eq!(line["date"], gap.to_string().as_str(), "{line}");
        assert_eq!(line["attempt"], 1, "{line}");
        assert!(line["stage"].is_string(), "{line}");
    }
    let failure = with(&lines, "rest", "blind");
    assert_eq!(failure["level"], "WARN");
    let words = failure["message"].as_str().unwrap();
    assert!(words.contains("glue:GetWorkflowRuns") && words.contains("[request "), "{words}");
    assert_eq!(words.matches("[request ").count(), 1, "it is said once: {words}");
}

#[tokio::test]
async fn a_ledger_that_fails_is_told_with_its_cause_and_what_to_do() {
    let stage = Stage::set(world()).await;
    stage.write("ledger", "a file where a directory should be");
    let came = stage.run(&["run"]).await.with_code(1);
    for words in ["failed to ", "ledger", "directory", "help: "] {
        assert!(came.stderr.contains(words), "no {words}: {}", came.stderr);
    }
}

#[tokio::test]
async fn no_secret_is_told_at_any_level() {
    let gap = days_ago(12);
    let stage = Stage::set(world().gap(gap)).await;
    let log = log_of_healing(&stage, gap, "trace").await;
    assert!(log.contains("aws_"), "the SDK speaks at this level");
    for secret in SECRETS {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is told");
    }
}

#[tokio::test]
async fn the_heartbeat_stands_in_the_log_as_a_metric_for_cloudwatch() {
    let stage = Stage::set(world()).await;
    let path = stage.path("daemon.log");
    let mut command = stage.command(&["--log-format", "emf", "run"]);
    command.stdout(Stdio::null()).stderr(std::fs::File::create(&path).unwrap());
    let daemon = command.spawn().unwrap();
    let told = || std::fs::read_to_string(&path).unwrap();
    until("a metric is written", || told().contains("\"Dataset\"")).await;
    assert_eq!(terminate(daemon).await, 0);
    let lines = lines(&told()); // also: every line is JSON, whoever writes at the same time
    let metrics: Vec<&Value> = lines.iter().filter(|line| line["_aws"].is_object()).collect();
    let process = metrics.iter().find(|line| line["Leader"].is_number()).unwrap();
    assert!(process["Ledger"].as_str().unwrap().starts_with("file://"), "{process}");
    let dataset = metrics.iter().find(|line| line["Dataset"] == "liberator").unwrap();
    assert_eq!(dataset["TriggerDisabled"], 0, "{dataset}");
    let declared = &dataset["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(declared["Dimensions"][0], serde_json::json!(["Ledger", "Dataset"]));
}
