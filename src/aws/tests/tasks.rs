//! Tasks: tokens, refusals in a 200, tasks on their way out.

use std::collections::BTreeMap;

use serde_json::json;

use crate::aws::canned::{Bench, Reply};
use crate::domain::{ErrorClass, Network, Task, TaskState};
use crate::platform::{Platform, TaskFamily, TaskRequest, TaskStart};

pub(super) fn family() -> TaskFamily {
    TaskFamily {
        cluster: "workers".into(),
        family: "loader".into(),
        container: "loader".into(),
        date_variable: "IMPORT_DATE_OVERRIDE".into(),
    }
}

pub(super) fn task_request() -> TaskRequest {
    TaskRequest {
        cluster: "workers".into(),
        task_definition: "loader:7".into(),
        container: "loader".into(),
        environment: BTreeMap::from([("IMPORT_DATE_OVERRIDE".into(), "2022-06-01".into())]),
        network: Network {
            subnets: vec!["subnet-a".into(), "subnet-b".into()],
            security_groups: vec!["sg-1".into()],
            assign_public_ip: false,
        },
        platform_version: Some("1.4.0".into()),
        client_token: "token-1".into(),
        started_by: "gapmend/2022-06-01/1".into(),
    }
}

#[tokio::test]
async fn a_task_is_asked_for_with_our_token_network_and_date() {
    let bench = Bench::with([Reply::ok(r#"{"tasks":[{"taskArn":"arn:t"}],"failures":[]}"#)]).await;
    let start = bench.aws.run_task(&task_request()).await.unwrap();
    assert_eq!(start, TaskStart::Started("arn:t".into()));
    assert_eq!(
        bench.server.requests()[0].json(),
        json!({
            "clientToken": "token-1", "cluster": "workers", "count": 1, "launchType": "FARGATE",
            "networkConfiguration": {"awsvpcConfiguration": {"assignPublicIp": "DISABLED",
                "securityGroups": ["sg-1"], "subnets": ["subnet-a", "subnet-b"]}},
            "overrides": {"containerOverrides": [{"name": "loader",
                "environment": [{"name": "IMPORT_DATE_OVERRIDE", "value": "2022-06-01"}]}]},
            "platformVersion": "1.4.0", "startedBy": "gapmend/2022-06-01/1",
            "tags": [{"key": "gapmend", "value": "gapmend/2022-06-01/1"}],
            "taskDefinition": "loader:7"
        })
    );
}

#[tokio::test]
async fn a_200_with_failures_is_a_refusal_in_words() {
    let bench = Bench::with([
        Reply::ok(r#"{"tasks":[],"failures":[{"arn":"arn:c","reason":"RESOURCE:ENI","detail":"none left"}]}"#),
        Reply::error(400, "ClientException", "Capacity is unavailable at this time."),
    ])
    .await;
    for words in ["RESOURCE:ENI, none left (arn:c)", "Capacity is unavailable at this time."] {
        let start = bench.aws.run_task(&task_request()).await.unwrap();
        assert_eq!(start, TaskStart::Refused(words.into()));
    }
}

/// It was taken for a refusal, and the task that ran all the same was nobody's: it did not yield.
#[tokio::test]
async fn a_200_without_a_task_and_without_a_failure_may_have_started_one() {
    let lost = [r#"{"tasks":[],"failures":[]}"#, "{}", ""];
    for body in lost {
        let bench = Bench::with(std::iter::repeat_n(Reply::ok(body), 8)).await;
        let error = bench.aws.run_task(&task_request()).await.unwrap_err();
        assert!(error.class.effect_unknown(), "{body}: {error:?}");
    }
}

#[tokio::test]
async fn a_token_that_was_used_gives_the_task_that_it_started() {
    let conflict = |ids: &str| {
        Reply::status(400, format!(r#"{{"__type":"ConflictException","resourceIds":{ids}}}"#))
    };
    let bench = Bench::with([Reply::HangUp, conflict(r#"["arn:t"]"#), conflict("[]")]).await;
    let start = bench.aws.run_task(&task_request()).await.unwrap();
    assert_eq!(start, TaskStart::Started("arn:t".into()));
    let error = bench.aws.run_task(&task_request()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Conflict);
    let requests = bench.server.requests();
    assert_eq!(requests[0].json(), requests[1].json(), "the repetition has the same token");
}

#[tokio::test]
async fn a_task_on_its_way_out_is_still_alive_and_only_its_date_is_read() {
    let bench = Bench::with([
        Reply::ok(r#"{"taskArns":["arn:live"],"nextToken":"n"}"#),
        Reply::ok(r#"{"taskArns":[]}"#),
        Reply::ok(r#"{"taskArns":["arn:leaving","arn:told","arn:over","arn:live"]}"#),
        Reply::ok(
            r#"{"tasks":[
            {"taskArn":"arn:live","lastStatus":"PENDING","startedBy":"events-rule/live"},
            {"taskArn":"arn:leaving","lastStatus":"STOPPING","overrides":{"containerOverrides":[
              {"name":"other","environment":[{"name":"PASSWORD","value":"s3cret"},
                {"name":"IMPORT_DATE_OVERRIDE","value":"2022-06-01"}]}]}},
            {"taskArn":"arn:told","lastStatus":"RUNNING","desiredStatus":"STOPPED"},
            {"taskArn":"arn:over","lastStatus":"STOPPED","containers":[{"name":"loader","exitCode":0}]}]}"#,
        ),
    ])
    .await;
    let tasks = bench.aws.family_tasks(&family()).await.unwrap();
    let states: Vec<_> = tasks.iter().map(|task| (task.arn.as_str(), task.state)).collect();
    let stopping = TaskState::Stopping;
    let alive =
        [("arn:live", TaskState::Starting), ("arn:leaving", stopping), ("arn:told", stopping)];
    assert_eq!(states, alive);
    assert_eq!(tasks[0].started_by.as_deref(), Some("events-rule/live"));
    assert_eq!(tasks[1].date_override.as_deref(), Some("2022-06-01"));
    assert!(!format!("{tasks:?}").contains("s3cret"));
    let requests = bench.server.requests();
    assert_eq!(requests[0].json()["desiredStatus"], "RUNNING");
    assert_eq!(requests[2].json()["desiredStatus"], "STOPPED");
    assert_eq!(
        requests[3].json()["tasks"],
        json!(["arn:live", "arn:leaving", "arn:over", "arn:told"])
    );
}

#[tokio::test]
async fn a_listed_task_that_cannot_be_described_yet_is_not_passed_over() {
    let missing = r#"{"tasks":[],"failures":[{"arn":"arn:new","reason":"MISSING"}]}"#;
    let bench = Bench::with([
        Reply::ok(r#"{"taskArns":["arn:new"]}"#),
        Reply::ok(r#"{"taskArns":[]}"#),
        Reply::ok(missing),
        Reply::ok(missing),
    ])
    .await;
    let tasks = bench.aws.family_tasks(&family()).await.unwrap();
    assert_eq!(tasks, [Task::listed("arn:new".to_owned())]);
    assert_eq!(bench.aws.task(&family(), "arn:new").await.unwrap(), None);
}

/// While ECS described nothing, ours went on loading beside a live run that it had listed (H1).
#[tokio::test]
async fn what_is_wanted_to_run_is_known_without_a_description() {
    let denied = || Reply::error(400, "AccessDeniedException", "not authorized");
    let bench = Bench::with([
        Reply::ok(r#"{"taskArns":["arn:live"]}"#),
        Reply::ok(r#"{"taskArns":["arn:over"]}"#),
        denied(),
        Reply::ok(r#"{"taskArns":[]}"#),
        Reply::ok(r#"{"taskArns":["arn:leaving"]}"#),
        denied(),
    ])
    .await;
    let tasks = bench.aws.family_tasks(&family()).await.unwrap();
    assert_eq!(tasks, [Task::listed("arn:live".to_owned())]);
    let error = bench.aws.family_tasks(&family()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Denied, "one that is on its way out may still write");
}

#[tokio::test]
async fn a_stopped_task_tells_its_exit_code_and_reasons() {
    let bench = Bench::with([
        Reply::ok(r#"{"taskArns":[]}"#),
        Reply::ok(r#"{"taskArns":["arn:t"]}"#),
        Reply::ok(
            r#"{"tasks":[{"taskArn":"arn:t","lastStatus":"STOPPED","createdAt":1646136000.5,
            "stopCode":"EssentialContainerExited","stoppedReason":"Essential container exited",
            "containers":[{"name":"sidecar","exitCode":0},
              {"name":"loader","exitCode":137,"reason":"OutOfMemoryError"}]}]}"#,
        ),
    ])
    .await;
    let tasks = bench.aws.tasks_started_by(&family(), "gapmend/1").await.unwrap();
    assert_eq!(tasks[0].exit_code, Some(137));
    assert_eq!(
        tasks[0].stopped_reason.as_deref(),
        Some("EssentialContainerExited: Essential container exited; OutOfMemoryError")
    );
    let list = bench.server.requests()[0].json();
    assert_eq!(list["startedBy"], "gapmend/1");
    assert_eq!(list.get("family"), None, "startedBy must be the only filter");
}
