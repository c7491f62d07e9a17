//! What the adapters really send, and what they make of answers that no emulator gives.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use bytes::Bytes;
use chrono::{TimeDelta, TimeZone, Utc};
use serde_json::json;

use super::canned::{Attempts, Bench, Canned, Reply, StillClock, platform_at, settings};
use super::{AwsPlatform, OPERATIONS, sdk_config};
use crate::domain::{ErrorClass, Network, NodeKind, TaskState, WorkflowStatus};
use crate::platform::{
    Created, DeadMan, Listing, ObjectRange, PartitionQuery, Platform, TaskFamily, TaskRequest,
    TaskStart,
};

fn family() -> TaskFamily {
    TaskFamily {
        cluster: "workers".into(),
        family: "loader".into(),
        container: "loader".into(),
        date_variable: "IMPORT_DATE_OVERRIDE".into(),
    }
}

fn task_request() -> TaskRequest {
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

fn everything() -> PartitionQuery {
    PartitionQuery {
        database: "raw".into(),
        table: "liberator_pcn".into(),
        expression: None,
        at_most: None,
    }
}

#[test]
fn operations_are_named_once_and_by_service() {
    let names: std::collections::BTreeSet<_> = OPERATIONS.iter().collect();
    assert_eq!(names.len(), OPERATIONS.len());
    assert!(OPERATIONS.iter().all(|name| name.split(':').count() == 2));
}

// Pages.

#[tokio::test]
async fn an_empty_page_with_a_token_is_read_on() {
    let bench = Bench::with([
        Reply::ok(r#"{"TableList":[{"Name":"a"}],"NextToken":"one"}"#),
        Reply::ok(r#"{"TableList":[],"NextToken":"two"}"#),
        Reply::ok(r#"{"TableList":[{"Name":"b","PartitionKeys":[{"Name":"import_date","Type":"string"}]}]}"#),
    ])
    .await;
    let tables = bench.aws.tables("raw").await.unwrap();
    assert_eq!(tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(tables[1].partition_keys, [("import_date".to_owned(), "string".to_owned())]);
    let tokens: Vec<_> =
        bench.server.requests().iter().map(|request| request.json()["NextToken"].clone()).collect();
    assert_eq!(tokens, [json!(null), json!("one"), json!("two")]);
}

#[tokio::test]
async fn a_repeated_token_is_an_error_and_never_a_short_list() {
    let page = r#"{"Partitions":[{"Values":["20260101"]}],"NextToken":"same"}"#;
    let bench = Bench::with([Reply::ok(page), Reply::ok(page)]).await;
    let error = bench.aws.partitions(&everything(), &mut |_| ()).await.unwrap_err();
    assert_eq!((error.class, error.message.as_str()), (ErrorClass::Server, "repeated page token"));
    let first = bench.server.requests()[0].json();
    assert_eq!((&first["ExcludeColumnSchema"], &first["MaxResults"]), (&json!(true), &json!(1000)));
}

#[tokio::test]
async fn no_more_partitions_are_asked_for_than_wanted() {
    let page = r#"{"Partitions":[{"Values":["1"]},{"Values":["2"]}],"NextToken":"more"}"#;
    let bench = Bench::with([Reply::ok(page)]).await;
    let query = PartitionQuery { at_most: Some(2), ..everything() };
    let mut seen = 0;
    bench.aws.partitions(&query, &mut |page| seen += page.len()).await.unwrap();
    assert_eq!((seen, bench.asked().len()), (2, 1));
    assert_eq!(bench.server.requests()[0].json()["MaxResults"], json!(2));
}

#[tokio::test]
async fn a_truncated_listing_without_a_token_is_an_error() {
    let bench = Bench::with([Reply::ok(
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
    )])
    .await;
    let listing = Listing { bucket: "landing".into(), ..Listing::default() };
    let error = bench.aws.list_objects(&listing, &mut |_| ()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Server);
    let request = &bench.server.requests()[0];
    assert_eq!(request.header("x-amz-expected-bucket-owner"), "111122223333");
    assert!(request.line.starts_with("GET /landing"), "{}", request.line);
}

#[tokio::test]
async fn snapshots_are_followed_by_their_marker() {
    let page = |id: &str, marker: &str| {
        Reply::ok(format!(
            "<DescribeDBSnapshotsResponse><DescribeDBSnapshotsResult>{marker}<DBSnapshots>\
             <DBSnapshot><DBSnapshotIdentifier>{id}</DBSnapshotIdentifier><DBSnapshotArn>arn:{id}\
             </DBSnapshotArn><Status>available</Status><PercentProgress>100</PercentProgress>\
             </DBSnapshot></DBSnapshots></DescribeDBSnapshotsResult></DescribeDBSnapshotsResponse>"
        ))
    };
    let bench = Bench::with([page("s-1", "<Marker>m-1</Marker>"), page("s-2", "")]).await;
    let snapshots = bench.aws.snapshots("loader").await.unwrap();
    assert_eq!(snapshots.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["s-1", "s-2"]);
    assert!(bench.server.requests()[1].body.contains("Marker=m-1"));
}

// Trying again.

#[tokio::test]
async fn a_read_outlasts_throttling_server_errors_and_broken_connections() {
    let bench = Bench::with([
        Reply::error(400, "ThrottlingException", "Rate exceeded"),
        Reply::error(500, "InternalServiceException", "oops"),
        Reply::HangUp,
        Reply::BreakOff { body: r#"{"TableList":[{"Name":"a"}]}"#.into() },
        Reply::status(503, "<html>not JSON</html>"),
        Reply::ok(r#"{"TableList":[{"Name":"a"}]}"#),
    ])
    .await;
    assert_eq!(bench.aws.tables("raw").await.unwrap().len(), 1);
    assert_eq!(bench.results(), ["throttled", "server", "transport", "transport", "server", "ok"]);
    assert_eq!(bench.clock.waits.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn a_read_gives_up_after_eight_attempts() {
    let failures = (0..9).map(|_| Reply::error(500, "InternalServiceException", "oops"));
    let bench = Bench::with(failures).await;
    let error = bench.aws.tables("raw").await.unwrap_err();
    assert_eq!((error.operation, error.class), ("glue:GetTables", ErrorClass::Server));
    assert_eq!(bench.asked().len(), 8);
}

#[tokio::test]
async fn what_cannot_change_is_not_asked_again() {
    let bench =
        Bench::with([Reply::error(400, "EntityNotFoundException", "Database raw not found.")])
            .await;
    let error = bench.aws.tables("raw").await.unwrap_err();
    assert_eq!(error.class, ErrorClass::NotFound);
    assert_eq!(error.message, "Database raw not found.");
    assert_eq!(bench.asked().len(), 1);
}

#[tokio::test]
async fn a_workflow_start_whose_answer_is_lost_is_sent_exactly_once() {
    for reply in [
        Reply::HangUp,
        Reply::error(500, "InternalServiceException", "oops"),
        Reply::BreakOff { body: r#"{"RunId":"wr_1"}"#.into() },
    ] {
        let bench = Bench::with([reply, Reply::ok(r#"{"RunId":"wr_2"}"#)]).await;
        let error = bench.aws.start_workflow_run("backdated", &BTreeMap::new()).await.unwrap_err();
        assert!(error.class.effect_unknown(), "{error}");
        assert_eq!(bench.asked(), ["StartWorkflowRun"]);
    }
}

#[tokio::test]
async fn a_throttled_workflow_start_is_sent_again() {
    let bench = Bench::with([
        Reply::error(400, "ThrottlingException", "Rate exceeded"),
        Reply::ok(r#"{"RunId":"wr_1"}"#),
    ])
    .await;
    let properties = BTreeMap::from([("import_date".to_owned(), "20220601".to_owned())]);
    let id = bench.aws.start_workflow_run("backdated", &properties).await.unwrap();
    assert_eq!(id, "wr_1");
    assert_eq!(bench.asked().len(), 2);
    assert_eq!(
        bench.server.requests()[1].json(),
        json!({"Name": "backdated", "RunProperties": {"import_date": "20220601"}})
    );
}

#[tokio::test]
async fn a_workflow_start_that_never_reached_anybody_is_sent_again() {
    let nobody = Canned::with([]).await.url();
    let clock = Arc::new(StillClock { waits: Mutex::default() });
    let attempts = Arc::new(Attempts::default());
    let aws = platform_at(&nobody, clock, attempts.clone()).await;
    let error = aws.start_workflow_run("backdated", &BTreeMap::new()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transport);
    assert_eq!(attempts.0.lock().unwrap().len(), 8, "{error}");
}

#[tokio::test]
async fn a_rule_is_switched_through_collisions_and_lost_answers() {
    let bench = Bench::with([
        Reply::error(400, "ConcurrentModificationException", "There is concurrent modification"),
        Reply::HangUp,
        Reply::ok(""),
        Reply::ok(""),
    ])
    .await;
    bench.aws.enable_rule("live", "default").await.unwrap();
    bench.aws.disable_rule("live", "default").await.unwrap();
    assert_eq!(bench.asked(), ["EnableRule", "EnableRule", "EnableRule", "DisableRule"]);
    assert_eq!(bench.results(), ["conflict", "transport", "ok", "ok"]);
    assert_eq!(
        bench.server.requests()[3].json(),
        json!({"Name": "live", "EventBusName": "default"})
    );
}

// Who may not.

#[tokio::test]
async fn denials_are_told_apart_and_leak_no_signed_headers() {
    let canonical = "The request signature we calculated does not match. The Canonical String for \
                     this request should have been 'x-amz-security-token:SECRET'";
    let bench = Bench::with([
        Reply::error(400, "AccessDeniedException", "User: me is not authorized"),
        Reply::error(400, "ExpiredTokenException", "The security token is expired"),
        Reply::error(403, "InvalidSignatureException", canonical),
        Reply::status(403, ""),
    ])
    .await;
    let mut messages = Vec::new();
    for _ in 0..4 {
        let error = bench.aws.tables("raw").await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Denied, "{error}");
        messages.push(error.message);
    }
    assert_eq!(messages[0], "User: me is not authorized");
    assert!(messages[1].contains("an unattended process needs a role"), "{}", messages[1]);
    assert!(!messages[2].contains("SECRET"), "{}", messages[2]);
    assert_eq!(messages[3], "status 403 without an error code");
}

#[derive(Debug)]
struct NoKeys;

impl ProvideCredentials for NoKeys {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("nothing found")))
    }
}

#[tokio::test]
async fn without_credentials_nothing_is_sent_and_the_error_says_what_to_do() {
    let server = Canned::with([]).await;
    let settings = settings(&server.url());
    let shared = sdk_config(&settings)
        .await
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(NoKeys))
        .build();
    let clock = Arc::new(StillClock { waits: Mutex::default() });
    let aws = AwsPlatform::over(&shared, &settings, clock, Arc::new(Attempts::default()));
    let error = aws.caller().await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Denied, "{error}");
    assert!(error.message.contains("nothing found"), "{error}");
    assert!(error.message.contains("AWS_PROFILE"), "{error}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn the_clock_is_compared_with_the_answers_date() {
    let identity = "<GetCallerIdentityResponse><GetCallerIdentityResult>\
                    <Arn>arn:aws:sts::111122223333:assumed-role/gapmend/x</Arn><UserId>u</UserId>\
                    <Account>111122223333</Account></GetCallerIdentityResult>\
                    </GetCallerIdentityResponse>";
    let bench =
        Bench::with([Reply::ok(identity).with_header("Date", "Sun, 01 Mar 2026 12:01:30 GMT")])
            .await;
    let caller = bench.aws.caller().await.unwrap();
    assert_eq!(caller.account, "111122223333");
    assert_eq!(caller.clock_skew, Some(TimeDelta::seconds(90)));
}

// Objects.

#[tokio::test]
async fn a_part_is_read_only_of_the_same_object_and_again_when_it_breaks_off() {
    let bench = Bench::with([
        Reply::BreakOff { body: "PK56".into() },
        Reply::status(206, "PK56"),
        Reply::s3_error(412, "PreconditionFailed"),
    ])
    .await;
    let part = ObjectRange { key: "a.zip".into(), etag: "e1".into(), from: 10, length: 4 };
    assert_eq!(bench.aws.read_range("landing", &part).await.unwrap(), "PK56");
    let error = bench.aws.read_range("landing", &part).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Conflict);
    let request = &bench.server.requests()[0];
    assert_eq!(request.header("range"), "bytes=10-13");
    assert_eq!(request.header("if-match"), "\"e1\"");
}

#[tokio::test]
async fn only_an_absent_key_is_none_and_an_absent_bucket_is_an_error() {
    let bench = Bench::with([
        Reply::s3_error(404, "NoSuchKey"),
        Reply::s3_error(404, "NoSuchBucket"),
        Reply::s3_error(403, "AccessDenied"),
    ])
    .await;
    assert_eq!(bench.aws.get_object("ledger", "log/1.json").await.unwrap(), None);
    let error = bench.aws.get_object("ledger", "log/1.json").await.unwrap_err();
    assert_eq!(error.class, ErrorClass::NotFound);
    let error = bench.aws.get_object("ledger", "log/1.json").await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Denied);
}

#[tokio::test]
async fn a_create_goes_on_through_conflicts_and_reports_what_exists() {
    let bench = Bench::with([
        Reply::s3_error(409, "ConditionalRequestConflict"),
        Reply::ok("").with_header("ETag", "\"e\""),
        Reply::HangUp,
        Reply::s3_error(412, "PreconditionFailed"),
    ])
    .await;
    let body = Bytes::from_static(b"{}");
    let first = bench.aws.create_object("ledger", "log/1.json", body.clone()).await;
    assert_eq!(first.unwrap(), Created::Created);
    let second = bench.aws.create_object("ledger", "log/1.json", body).await;
    assert_eq!(second.unwrap(), Created::Exists);
    let requests = bench.server.requests();
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|r| r.header("if-none-match") == "*" && r.body == "{}"));
}

#[tokio::test]
async fn a_copy_is_sent_once_unless_it_was_certainly_refused() {
    let done = "<CopyObjectResult><ETag>e</ETag></CopyObjectResult>";
    let bench = Bench::with([
        Reply::s3_error(503, "SlowDown"),
        Reply::ok(done),
        Reply::s3_error(412, "PreconditionFailed"),
        Reply::HangUp,
    ])
    .await;
    let copy = || bench.aws.copy_object("landing", "old name.zip", "new.zip");
    assert_eq!(copy().await.unwrap(), Created::Created);
    assert_eq!(copy().await.unwrap(), Created::Exists);
    assert_eq!(copy().await.unwrap_err().class, ErrorClass::Transport);
    let requests = bench.server.requests();
    assert_eq!(requests.len(), 4);
    assert_eq!(requests[0].header("x-amz-copy-source"), "landing/old%20name.zip");
    assert_eq!(requests[0].header("if-none-match"), "*");
}

// Tasks.

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
            "taskDefinition": "loader:7"
        })
    );
}

#[tokio::test]
async fn a_200_with_failures_or_without_tasks_is_a_refusal_in_words() {
    let bench = Bench::with([
        Reply::ok(r#"{"tasks":[],"failures":[{"arn":"arn:c","reason":"RESOURCE:ENI","detail":"none left"}]}"#),
        Reply::ok(r#"{"tasks":[],"failures":[]}"#),
        Reply::error(400, "ClientException", "Capacity is unavailable at this time."),
    ])
    .await;
    for words in [
        "RESOURCE:ENI, none left (arn:c)",
        "0 tasks instead of one",
        "Capacity is unavailable at this time.",
    ] {
        let start = bench.aws.run_task(&task_request()).await.unwrap();
        assert_eq!(start, TaskStart::Refused(words.into()));
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
        Reply::ok(r#"{"taskArns":["arn:leaving","arn:over","arn:live"]}"#),
        Reply::ok(
            r#"{"tasks":[
            {"taskArn":"arn:live","lastStatus":"PENDING","startedBy":"events-rule/live"},
            {"taskArn":"arn:leaving","lastStatus":"STOPPING","overrides":{"containerOverrides":[
              {"name":"other","environment":[{"name":"PASSWORD","value":"s3cret"},
                {"name":"IMPORT_DATE_OVERRIDE","value":"2022-06-01"}]}]}},
            {"taskArn":"arn:over","lastStatus":"STOPPED","containers":[{"name":"loader","exitCode":0}]}]}"#,
        ),
    ])
    .await;
    let tasks = bench.aws.family_tasks(&family()).await.unwrap();
    let states: Vec<_> = tasks.iter().map(|task| (task.arn.as_str(), task.state)).collect();
    assert_eq!(states, [("arn:live", TaskState::Starting), ("arn:leaving", TaskState::Stopping)]);
    assert_eq!(tasks[0].started_by.as_deref(), Some("events-rule/live"));
    assert_eq!(tasks[1].date_override.as_deref(), Some("2022-06-01"));
    assert!(!format!("{tasks:?}").contains("s3cret"));
    let requests = bench.server.requests();
    assert_eq!(requests[0].json()["desiredStatus"], "RUNNING");
    assert_eq!(requests[2].json()["desiredStatus"], "STOPPED");
    assert_eq!(requests[3].json()["tasks"], json!(["arn:live", "arn:leaving", "arn:over"]));
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
    let error = bench.aws.family_tasks(&family()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Server);
    assert_eq!(bench.aws.task(&family(), "arn:new").await.unwrap(), None);
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

// Workflows, exports, logs.

#[tokio::test]
async fn a_run_comes_with_its_graph_and_its_properties_from_wherever_they_are() {
    let bench = Bench::with([
        Reply::ok(
            r#"{"Run":{"WorkflowRunId":"wr_1","Status":"COMPLETED","StartedOn":1646136000,
            "Statistics":{"TotalActions":3,"SucceededActions":1,"FailedActions":1,"TimeoutActions":1},
            "Graph":{"Nodes":[{"Type":"TRIGGER","Name":"t"},
              {"Type":"CRAWLER","Name":"c","CrawlerDetails":{"Crawls":[{"State":"SUCCEEDED"}]}},
              {"Type":"JOB","Name":"j","JobDetails":{"JobRuns":[
                {"JobRunState":"FAILED","StartedOn":20,"ErrorMessage":"boom"},
                {"JobRunState":"TIMEOUT","StartedOn":10}]}},
              {"Type":"JOB","Name":"never"}]}}}"#,
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

// The dead man's switch.

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
