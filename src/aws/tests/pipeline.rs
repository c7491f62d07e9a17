//! Workflows, exports, logs, and the dead man's switch.

use chrono::{TimeZone, Utc};
use serde_json::json;

use crate::aws::canned::{Bench, Reply, StillClock};
use crate::domain::{ErrorClass, NodeKind, WorkflowStatus};
use crate::platform::{DeadMan, Platform};

#[tokio::test]
async fn a_partition_that_is_not_there_counts_as_out_and_any_other_error_is_told() {
    let errors = serde_json::json!({"Errors": [
        {"PartitionValues": ["a"], "ErrorDetail": {"ErrorCode": "EntityNotFoundException"}},
        {"PartitionValues": ["b"], "ErrorDetail": {"ErrorCode": "AccessDeniedException"}},
    ]});
    let bench = Bench::with([Reply::ok(errors.to_string())]).await;
    let values = [vec!["a".to_owned()], vec!["b".to_owned()]];
    let left = bench.aws.delete_partitions("db", "t", &values).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].0.as_slice(), left[0].1.class), (&values[1][..], ErrorClass::Denied));
}

#[tokio::test]
async fn a_run_comes_with_its_graph_and_its_properties_from_wherever_they_are() {
    let bench = Bench::with([
        Reply::ok(
            r#"{"Run":{"WorkflowRunId":"wr_1","Status":"COMPLETED","StartedOn":1646136000,
            "Statistics":{"TotalActions":3,"SucceededActions":1,"FailedActions":1,"TimeoutActions":1},
            "Graph":{"Nodes":[{"Type":"TRIGGER","Name":"t"},{"Type":"JOB","Name":"never"},
              {"Type":"CRAWLER","Name":"c","CrawlerDetails":{"Crawls":[{"State":"SUCCEEDED"}]}},
              {"Type":"JOB","Name":"j","JobDetails":{"JobRuns":[
                {"JobRunState":"FAILED","StartedOn":20,"ErrorMessage":"boom"},
                {"JobRunState":"TIMEOUT","StartedOn":10}]}}]}}}"#,
        ),
        Reply::ok(r#"{"RunProperties":{"import_date":"20220601"}}"#),
    ])
    .await;
    let run = bench.aws.workflow_run("backdated", "wr_1").await.unwrap();
    assert_eq!(run.status, WorkflowStatus::Completed);
    assert_eq!(run.properties["import_date"], "20220601");
    assert_eq!(run.statistics.unwrap().unsuccessful, 2);
    let nodes: Vec<_> = run
        .nodes
        .iter()
        .map(|node| (node.name.as_str(), node.kind, node.runs.last().map(|r| r.state.as_str())))
        .collect();
    assert_eq!(
        nodes,
        [
            ("c", NodeKind::Crawler, Some("SUCCEEDED")),
            ("j", NodeKind::Job, Some("FAILED")),
            ("never", NodeKind::Job, None)
        ]
    );
    assert_eq!(bench.server.requests()[0].json()["IncludeGraph"], true);
}

#[tokio::test]
async fn runs_are_read_to_the_last_page_because_their_order_means_nothing() {
    let noon = StillClock::noon().timestamp();
    let page = |id: &str, started: i64, token: &str| {
        Reply::ok(format!(
            r#"{{"Runs":[{{"WorkflowRunId":"{id}","Status":"STOPPING","StartedOn":{started}}}]{token}}}"#
        ))
    };
    let bench = Bench::with([
        page("old", noon - 86_400, r#","NextToken":"a""#),
        page("late", noon + 60, r#","NextToken":"b""#),
        page("early", noon + 30, ""),
    ])
    .await;
    let runs = bench.aws.workflow_runs("backdated", StillClock::noon()).await.unwrap();
    assert_eq!(runs.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), ["early", "late"]);
    assert_eq!(runs[0].status, WorkflowStatus::Running);
}

#[tokio::test]
async fn absent_snapshots_and_exports_are_none_however_rds_says_so() {
    let bench = Bench::with([
        Reply::query_error(404, "DBSnapshotNotFound"),
        Reply::query_error(404, "ExportTaskNotFound"),
        Reply::ok(
            "<DescribeExportTasksResponse><DescribeExportTasksResult><ExportTasks/>\
             </DescribeExportTasksResult></DescribeExportTasksResponse>",
        ),
        Reply::query_error(403, "AccessDenied"),
    ])
    .await;
    assert_eq!(bench.aws.snapshot("s").await.unwrap(), None);
    assert_eq!(bench.aws.export("e").await.unwrap(), None);
    assert_eq!(bench.aws.export("e").await.unwrap(), None);
    assert_eq!(bench.aws.export("e").await.unwrap_err().class, ErrorClass::Denied);
}

#[tokio::test]
async fn the_tail_of_a_log_is_read_backwards_until_there_is_enough() {
    let bench = Bench::with([
        Reply::ok(r#"{"events":[{"message":"three\n"}],"nextBackwardToken":"b1"}"#),
        Reply::ok(r#"{"events":[{"message":"one"},{"message":"two"}],"nextBackwardToken":"b2"}"#),
        Reply::ok(r#"{"events":[],"nextBackwardToken":"b2"}"#),
        Reply::error(400, "ResourceNotFoundException", "The specified log stream does not exist."),
    ])
    .await;
    assert_eq!(bench.aws.log_tail("g", "s", 5).await.unwrap(), ["one", "two", "three"]);
    assert!(bench.aws.log_tail("g", "s", 5).await.unwrap().is_empty());
}

fn switch() -> DeadMan {
    DeadMan {
        name: "gapmend-liberator-42".into(),
        group: "gapmend".into(),
        rule: "live".into(),
        event_bus: "default".into(),
        fires_at: Utc.with_ymd_and_hms(2026, 3, 1, 14, 0, 0).unwrap(),
        role_arn: "arn:aws:iam::111122223333:role/dead-man".into(),
    }
}

#[tokio::test]
async fn a_switch_is_a_one_time_schedule_that_enables_the_rule_and_deletes_itself() {
    let bench = Bench::with([Reply::HangUp, Reply::ok(r#"{"ScheduleArn":"arn:s"}"#)]).await;
    bench.aws.arm_dead_man(&switch()).await.unwrap();
    let requests = bench.server.requests();
    assert!(requests[0].line.starts_with("POST /schedules/gapmend-liberator-42 "));
    let mut sent = requests[1].json();
    assert_eq!(sent, requests[0].json(), "the repetition has the same token");
    let token = sent.as_object_mut().unwrap().remove("ClientToken").unwrap();
    assert_eq!(token.as_str().unwrap().len(), 36);
    assert_eq!(
        sent,
        json!({
            "ActionAfterCompletion": "DELETE",
            "Description": "gapmend: enables the rule again if nobody else does",
            "FlexibleTimeWindow": {"Mode": "OFF"}, "GroupName": "gapmend",
            "ScheduleExpression": "at(2026-03-01T14:00:00)",
            "ScheduleExpressionTimezone": "UTC", "State": "ENABLED",
            "Target": {"Arn": "arn:aws:scheduler:::aws-sdk:eventbridge:enableRule",
                "Input": "{\"Name\":\"live\",\"EventBusName\":\"default\"}",
                "RetryPolicy": {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185},
                "RoleArn": "arn:aws:iam::111122223333:role/dead-man"}
        })
    );
}

#[tokio::test]
async fn only_a_switch_that_would_work_is_read_back() {
    let schedule = |state: &str, expression: &str, input: &str| {
        let body = json!({
            "Name": "gapmend-liberator-42", "GroupName": "gapmend", "State": state,
            "ScheduleExpression": expression, "ScheduleExpressionTimezone": "UTC",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {"Arn": "arn:aws:scheduler:::aws-sdk:eventbridge:enableRule",
                "RoleArn": "arn:aws:iam::111122223333:role/dead-man", "Input": input}
        });
        Reply::ok(body.to_string())
    };
    let (at, input) = ("at(2026-03-01T14:00:00)", r#"{"EventBusName":"default","Name":"live"}"#);
    let bench = Bench::with([
        schedule("ENABLED", at, input),
        schedule("DISABLED", at, input),
        schedule("ENABLED", "rate(1 day)", input),
        schedule("ENABLED", at, r#"{"Name":"live"}"#),
        Reply::error(404, "ResourceNotFoundException", "Schedule does not exist."),
        Reply::error(404, "ResourceNotFoundException", "Schedule does not exist."),
    ])
    .await;
    let read = || bench.aws.dead_man("gapmend", "gapmend-liberator-42");
    assert_eq!(read().await.unwrap(), Some(switch()));
    for _ in 0..3 {
        let error = read().await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Invalid);
        assert!(error.message.contains("is no dead man's switch"), "{error}");
    }
    assert_eq!(read().await.unwrap(), None);
    bench.aws.disarm_dead_man("gapmend", "gapmend-liberator-42").await.unwrap();
}

#[tokio::test]
async fn a_group_that_is_being_deleted_takes_no_switch() {
    let group = |state| Reply::ok(json!({ "Name": "gapmend", "State": state }).to_string());
    let bench = Bench::with([
        group("ACTIVE"),
        group("DELETING"),
        Reply::error(404, "ResourceNotFoundException", "Schedule group gapmend does not exist."),
        Reply::error(403, "AccessDeniedException", "User: me is not authorized"),
    ])
    .await;
    let takes = || bench.aws.takes_dead_men("gapmend");
    assert_eq!((takes().await, takes().await, takes().await), (Ok(true), Ok(false), Ok(false)));
    assert_eq!(takes().await.unwrap_err().class, ErrorClass::Denied);
    assert!(bench.server.requests()[0].line.starts_with("GET /schedule-groups/gapmend "));
}
