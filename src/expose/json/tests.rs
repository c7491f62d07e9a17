//! The documented shapes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;
use crate::daemon::{Finding, Verdict};
use crate::domain::{DateStatus, PassOutcome, TriggerState};
use crate::expose::sample;
use crate::plan::Rest;

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The members that the contract names are all there.
fn has(value: &Value, names: &str) {
    let keys = keys(value);
    for name in names.split_whitespace() {
        assert!(keys.contains(name), "{name} is not in {keys:?}");
    }
}

#[test]
fn a_scan_has_the_members_of_the_contract() {
    let census = sample::census();
    let scan = value(scan_json(&[(sample::NAME, &census, PassOutcome::Waiting)]));
    assert_eq!(keys(&scan), BTreeSet::from(["datasets"]));
    let dataset = &scan["datasets"][0];
    has(dataset, "dataset scanned_at outcome whole_through tables_expected counts dates gaps");
    assert_eq!(dataset["scanned_at"], "2026-03-15T04:00:00Z");
    assert_eq!(dataset["outcome"], "waiting");
    assert_eq!(dataset["whole_through"], "2026-01-19");
    assert_eq!(keys(&dataset["counts"]).len(), DateStatus::ALL.len());
    assert_eq!(
        dataset["gaps"][5],
        json!({
            "from": "2026-02-13", "to": "2026-02-13", "status": "bad_dump", "dates": 1,
        })
    );
    let partial =
        dataset["dates"].as_array().unwrap().iter().find(|date| date["status"] == "partial");
    let partial = partial.unwrap();
    has(
        partial,
        "date status reason next flags dumps tables_present tables_expected tables_missing",
    );
    assert_eq!(partial["flags"], json!(["duplicated"]));
    assert_eq!(
        partial["tables_missing"],
        json!(["dataplatform-prod-liberator-raw-zone.liberator_pcn_audit"])
    );
    assert_eq!(
        keys(&partial["dumps"][0]),
        BTreeSet::from(["etag", "key", "last_modified", "size"])
    );
    assert_eq!(partial["dumps"][0]["last_modified"], "2026-01-20T23:07:42Z");
}

#[test]
fn a_plan_names_the_queue_and_why_every_other_gap_waits() {
    let plan = sample::plan();
    let json = plan_json(&[(sample::NAME, &plan)]);
    let dataset = &json["datasets"][0];
    let queue = dataset["queue"].as_array().unwrap();
    assert_eq!(queue[0]["date"], "2026-03-04");
    assert_eq!(queue[0]["dump"], "parking/liberator_dump_260304.zip");
    assert_eq!(queue[0]["attempt"], 1);
    let waiting = dataset["waiting"].as_array().unwrap();
    let dates: Vec<&str> = waiting.iter().map(|date| date["date"].as_str().unwrap()).collect();
    assert!(dates.contains(&"2026-03-15"), "a date to come waits too");
    assert!(!dates.contains(&"2026-03-04"), "a queued date does not wait");
    assert!(!dates.contains(&"2026-01-11"), "a waived date does not wait");
    assert_eq!(keys(&waiting[0]), BTreeSet::from(["date", "reason", "status", "until"]));
    assert_eq!(dataset["rest"]["kind"], "in_progress");
}

#[test]
fn a_plan_that_acts_has_no_rest() {
    let mut plan = sample::plan();
    plan.step = Ok(crate::plan::Step::Confirm { date: sample::date("2026-03-04") });
    assert_eq!(plan_json(&[(sample::NAME, &plan)])["datasets"][0]["rest"], Value::Null);
    let until = sample::at("2026-03-15T07:00:00Z");
    plan.step = Err(Rest::BackingOff { until });
    let json = plan_json(&[(sample::NAME, &plan)]);
    assert_eq!(json["datasets"][0]["rest"]["until"], "2026-03-15T07:00:00Z");
}

#[test]
fn a_heal_says_how_runs_ended_and_how_the_triggers_were_left() {
    let (failed, active) = (sample::failed_run(), sample::active_run());
    let triggers = BTreeMap::from([(sample::NAME.to_owned(), TriggerState::Enabled)]);
    let json = heal_json([&failed, &active], &triggers);
    assert_eq!(json["triggers"], json!({"liberator": "enabled"}));
    let run = &json["runs"][0];
    has(run, "dataset date attempt outcome reason stages");
    assert_eq!((&run["outcome"], &run["failure"]), (&json!("failed"), &json!("failed")));
    assert_eq!(
        run["stages"][1],
        json!({
            "stage": "load", "started_at": "2026-03-14T04:01:00Z",
            "ended_at": "2026-03-14T04:33:00Z", "detail": "task exited 1",
        })
    );
    let stages = json["runs"][1]["stages"].as_array().unwrap();
    assert_eq!(stages.last().unwrap()["ended_at"], Value::Null);
    assert_eq!(json["runs"][1]["outcome"], "running");
}

#[test]
fn a_history_has_every_id_and_who_asked() {
    let run = sample::failed_run();
    let json = history_json([&run]);
    let run = &json["runs"][0];
    assert_eq!(run["asked"]["ticket"], "DP-123");
    assert_eq!(run["client_token"], "0f5e1c2a");
    assert!(run["task_arn"].as_str().unwrap().starts_with("arn:aws:ecs:"));
    assert_eq!(run["repeat"], "from_the_top");
}

#[test]
fn a_status_names_the_run_the_queue_and_the_trigger() {
    let json = status_json(&sample::report());
    assert_eq!(json["run"]["stage"], "export");
    assert_eq!(json["run"]["stage_percent"], 42);
    let dataset = &json["datasets"][0];
    assert_eq!(dataset["trigger"]["state"], "enabled");
    assert_eq!(dataset["passes"][0]["outcome"], "started");
    assert_eq!(dataset["queue"][1]["date"], "2026-03-03");
    let first = status_json(&sample::first_report());
    assert_eq!(first["run"], Value::Null);
    assert_eq!(first["datasets"][0]["dates_behind"], Value::Null);
}

#[test]
fn a_held_trigger_says_why_and_until_when() {
    let rule = sample::rule();
    let json = trigger_json(&sample::holding_report(), &[(sample::NAME, &rule)]);
    assert_eq!(
        json["triggers"][0],
        json!({
            "dataset": "liberator",
            "rule": "liberator-to-rds-snapshot-event",
            "event_bus": "default",
            "state": "held",
            "disabled_since": "2026-03-15T06:20:05Z",
            "hold": {
                "hold": "hold-1", "reason": "the upload of 2026-02-08",
                "begun_at": "2026-03-15T06:20:00Z", "until": "2026-03-15T07:50:00Z",
                "dead_man_fires_at": null,
                "steps": { "armed": "2026-03-15T06:20:03Z", "disabled": "2026-03-15T06:20:05Z" },
            },
        })
    );
}

#[test]
fn an_explanation_has_the_evidence_and_the_attempts() {
    let report = sample::report();
    let json = explain_json(sample::NAME, sample::date("2026-02-18"), &report).unwrap();
    assert_eq!(json["status"], "backing_off");
    assert_eq!(json["runs"].as_array().unwrap().len(), 1);
    let queued = explain_json(sample::NAME, sample::date("2026-03-03"), &report).unwrap();
    assert_eq!(queued["queue_position"], 2);
    assert_eq!(explain_json(sample::NAME, sample::date("2020-01-01"), &report), None);
}

#[test]
fn a_check_is_ok_unless_something_is_wrong() {
    let finding = |verdict| Finding {
        subject: "aws: account".to_owned(),
        verdict,
        detail: "111122223333".to_owned(),
        hint: None,
    };
    assert_eq!(check_json(&[finding(Verdict::Right), finding(Verdict::Doubtful)])["ok"], true);
    assert_eq!(check_json(&[finding(Verdict::Wrong)])["ok"], false);
}

/// The census of the last days only, so that a document can be read.
fn last_days() -> crate::plan::Census {
    let mut census = sample::census();
    let from = sample::date("2026-03-03");
    census.dates.retain(|verdict| verdict.date >= from);
    census.gaps.retain(|gap| gap.from >= from);
    census
}

/// Every document of the commands, by the name of its example under `docs/json`.
fn documents() -> Vec<(&'static str, Value)> {
    let mut report = sample::holding_report();
    let dataset = report.datasets.get_mut(sample::NAME).unwrap();
    dataset.census = Some(std::sync::Arc::new(last_days()));
    let mut status = status_json(&report);
    status["daemon"]["version"] = "0.1.0".into();
    status["daemon"]["revision"] = "1a2b3c4d".into();
    let plan = crate::plan::Plan { census: Some(last_days()), ..sample::plan() };
    let failed = sample::failed_run();
    let triggers = BTreeMap::from([(sample::NAME.to_owned(), TriggerState::Enabled)]);
    let finding = Finding {
        subject: "liberator: cluster dataplatform-prod-workers".to_owned(),
        verdict: Verdict::Wrong,
        detail: "it is not there".to_owned(),
        hint: Some("see datasets.liberator.load.cluster".to_owned()),
    };
    let explained = explain_json(sample::NAME, sample::date("2026-02-18"), &sample::report());
    vec![
        ("scan", value(scan_json(&[(sample::NAME, &last_days(), PassOutcome::Waiting)]))),
        ("plan", plan_json(&[(sample::NAME, &plan)])),
        ("explain", explained.unwrap()),
        ("history", history_json([&failed, &sample::active_run()])),
        ("heal", heal_json([&failed], &triggers)),
        ("status", status),
        ("trigger", trigger_json(&report, &[(sample::NAME, &sample::rule())])),
        ("check", check_json(&[finding])),
        ("upload", upload_json(&sample::upload(), sample::date("2026-03-15"))),
    ]
}

/// A change of a document is a change of the interface: it is seen here, and in a review.
#[test]
fn the_examples_of_the_documentation_are_what_is_printed() {
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json");
    let fresh = std::env::temp_dir().join("gapmend-docs-json");
    std::fs::create_dir_all(&fresh).unwrap();
    let mut lagging = Vec::new();
    for (name, document) in documents() {
        let text = format!("{document:#}\n");
        let file = format!("{name}.json");
        std::fs::write(fresh.join(&file), &text).unwrap();
        if std::fs::read_to_string(docs.join(&file)).unwrap_or_default() != text {
            lagging.push(file);
        }
    }
    assert!(lagging.is_empty(), "{lagging:?} lag: `cp {}/* docs/json/`", fresh.display());
}

#[test]
fn every_member_is_documented() {
    fn members(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(table) => {
                for (key, value) in table {
                    found.insert(key.clone());
                    members(value, found);
                }
            }
            Value::Array(list) => list.iter().for_each(|value| members(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let text = include_str!("../../../docs/json.md");
    let mut found = BTreeSet::new();
    for (_, document) in &documents() {
        members(document, &mut found);
    }
    found.remove(sample::NAME); // a dataset's own name
    let silent: Vec<&String> =
        found.iter().filter(|name| !text.contains(&format!("`{name}`"))).collect();
    assert!(silent.is_empty(), "docs/json.md does not tell of {silent:?}");
}
