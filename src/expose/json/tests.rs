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
    let scan = scan_json(&[(sample::NAME, &census, PassOutcome::Waiting)]);
    assert_eq!(keys(&scan), BTreeSet::from(["datasets"]));
    let dataset = &scan["datasets"][0];
    has(dataset, "dataset scanned_at outcome whole_through tables_expected counts dates gaps");
    assert_eq!(dataset["scanned_at"], "2026-03-15T04:00:00Z");
    assert_eq!(dataset["outcome"], "waiting");
    assert_eq!(dataset["whole_through"], "2026-01-19");
    assert_eq!(keys(&dataset["counts"]).len(), DateStatus::ALL.len());
    assert_eq!(
        dataset["gaps"][4],
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
