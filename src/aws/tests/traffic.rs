//! Pages, repetitions, denials: what holds for every service.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use chrono::TimeDelta;
use serde_json::json;

use crate::aws::canned::{Attempts, Bench, Canned, Reply, StillClock, platform_at, settings};
use crate::aws::{AwsPlatform, OPERATIONS, sdk_config};
use crate::domain::ErrorClass;
use crate::platform::{Listing, Partition, PartitionQuery, Platform};

fn everything() -> PartitionQuery {
    PartitionQuery {
        database: "raw".into(),
        table: "liberator_pcn".into(),
        expression: None,
        at_most: None,
    }
}

/// What the metrics begin with and the policies are compared with is all that is ever asked for:
/// every name of an operation that stands in this room's code.
#[test]
fn every_operation_that_is_named_here_is_listed_once() {
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/aws")];
    let mut named = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap();
            let constants = text.lines().filter(|line| line.contains(") const "));
            let values = constants.filter_map(|line| line.split_once("&str = \""));
            named.extend(values.map(|(_, value)| value.trim_end_matches("\";").to_owned()));
        }
    }
    named.sort_unstable();
    let mut listed = OPERATIONS.to_vec();
    listed.sort_unstable();
    assert_eq!(named, listed);
    assert!(listed.iter().all(|name| name.split(':').count() == 2), "{listed:?}");
}

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
async fn of_a_partition_its_values_and_its_place_are_read_whatever_else_is_told() {
    let page = r#"{"Future": [1], "Partitions": [
        {"CatalogId": "1", "CreationTime": 1.75E9, "Parameters": {"a": "b"}, "Values": ["2026", "\u0030\"6"],
         "StorageDescriptor": {"Columns": [{"Name": "x"}], "Location": "s3://raw/a\/b/", "SerdeInfo": {"Parameters": {}}}},
        {"Values": [], "StorageDescriptor": null},
        {"Values": ["1"]}
    ]}"#;
    let bench = Bench::with([Reply::ok(page)]).await;
    let mut found = Vec::new();
    bench.aws.partitions(&everything(), &mut |page| found.extend(page)).await.unwrap();
    let partition = |values: &[&str], location: Option<&str>| Partition {
        values: values.iter().map(|&value| value.to_owned()).collect(),
        location: location.map(str::to_owned),
    };
    assert_eq!(
        found,
        [
            partition(&["2026", "0\"6"], Some("s3://raw/a/b/")),
            partition(&[], None),
            partition(&["1"], None),
        ]
    );
}

#[tokio::test]
async fn a_page_of_partitions_that_cannot_be_read_whole_is_an_error_and_asked_for_again() {
    for spoiled in [
        "",
        "{}",
        r#"{"Partitions":null}"#,
        r#"{"Partitions":[{"Values":["1"]}"#,
        r#"{"Partitions":[{"Values":["1"]}]} and more"#,
        r#"{"Partitions":[{"StorageDescriptor":{}}]}"#,
    ] {
        let bench = Bench::with(std::iter::repeat_n(Reply::ok(spoiled), 20)).await;
        let mut rows = 0;
        let asked = bench.aws.partitions(&everything(), &mut |page| rows += page.len()).await;
        assert!(asked.is_err(), "{spoiled}");
        assert_eq!(rows, 0, "{spoiled}");
    }
}

#[tokio::test]
async fn keys_that_a_batch_left_out_are_asked_for_again_but_not_for_ever() {
    let values = [vec!["1".to_owned()], vec!["2".to_owned()]];
    let left = r#"{"Partitions":[{"Values":["1"]}],"UnprocessedKeys":[{"Values":["2"]}]}"#;
    let bench = Bench::with([Reply::ok(left), Reply::ok(r#"{"Partitions":[]}"#)]).await;
    let found = bench.aws.partitions_at("raw", "a", &values).await.unwrap();
    assert_eq!(found.len(), 1);
    let asked = bench.server.requests()[1].json();
    assert_eq!(asked["PartitionsToGet"], json!([{"Values": ["2"]}]));
    let bench = Bench::with(std::iter::repeat_n(Reply::ok(left), 8)).await;
    let error = bench.aws.partitions_at("raw", "a", &values).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Server);
}

#[tokio::test]
async fn pages_after_the_end_that_was_named_are_not_asked_for() {
    let page = "<ListBucketResult><IsTruncated>true</IsTruncated>\
         <NextContinuationToken>t</NextContinuationToken><Contents><Key>b/2</Key>\
         <LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>1</Size></Contents>\
         </ListBucketResult>";
    let bench = Bench::with([Reply::ok(page)]).await;
    let end_before = Some("b/1".to_owned());
    let listing = Listing { bucket: "raw".into(), end_before, ..Listing::default() };
    bench.aws.list_objects(&listing, &mut |_| ()).await.unwrap();
    assert_eq!(bench.asked().len(), 1);
}

#[tokio::test]
async fn an_archived_object_counts_as_readable_while_its_restored_copy_is_there() {
    let object = |key: &str, status: &str| {
        format!(
            "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
             <Size>1</Size><StorageClass>GLACIER</StorageClass>{status}</Contents>"
        )
    };
    let restored = "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>\
         <RestoreExpiryDate>2026-02-01T00:00:00.000Z</RestoreExpiryDate></RestoreStatus>";
    let under_way =
        "<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>";
    let page = format!(
        "<ListBucketResult>{}{}{}</ListBucketResult>",
        object("archived", ""),
        object("restored", restored),
        object("under-way", under_way)
    );
    let bench = Bench::with([Reply::ok(page)]).await;
    let mut classes = Vec::new();
    let listing = Listing { bucket: "landing".into(), ..Listing::default() };
    let mut note = |page: Vec<crate::platform::ObjectInfo>| {
        classes.extend(page.into_iter().map(|object| object.storage_class));
    };
    bench.aws.list_objects(&listing, &mut note).await.unwrap();
    let glacier = Some("GLACIER".to_owned());
    assert_eq!(classes, [glacier.clone(), None, glacier]);
    let header = bench.server.requests()[0].header("x-amz-optional-object-attributes").to_owned();
    assert_eq!(header, "RestoreStatus");
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

#[tokio::test]
async fn a_read_outlasts_throttling_server_errors_and_broken_connections() {
    let bench = Bench::with([
        Reply::error(400, "ThrottlingException", "Rate exceeded"),
        Reply::error(500, "InternalServiceException", "oops"),
        Reply::HangUp,
        Reply::BreakOff { body: r#"{"TableList":[{"Name":"a"}]}"#.into() },
        Reply::status(503, "<html>not JSON</html>"),
        Reply::ok("<html>a captive portal</html>"),
        Reply::ok(r#"{"TableList":[{"Name":"a"}]}"#),
    ])
    .await;
    assert_eq!(bench.aws.tables("raw").await.unwrap().len(), 1);
    assert_eq!(
        bench.results(),
        ["throttled", "server", "transport", "transport", "server", "transport", "ok"]
    );
    assert_eq!(bench.clock.waits.lock().unwrap().len(), 6);
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
        Reply::ok("<html>a proxy's page</html>"),
    ] {
        let bench = Bench::with([reply, Reply::ok(r#"{"RunId":"wr_2"}"#)]).await;
        let error = bench.aws.start_workflow_run("backdated", &BTreeMap::new()).await.unwrap_err();
        assert!(error.class.effect_unknown(), "{error}");
        assert_eq!(bench.asked(), ["StartWorkflowRun"]);
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_leaves_the_effect_unknown() {
    let late = || Reply::Late { after: Duration::from_secs(2), body: r#"{"RunId":"wr_1"}"#.into() };
    let bench = Bench::with_patience(Duration::from_millis(20), [late(), late()]).await;
    let error = bench.aws.start_workflow_run("backdated", &BTreeMap::new()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Timeout, "{error}");
    assert_eq!(bench.results(), ["timeout"]);
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
    let clock = Arc::new(StillClock::default());
    let attempts = Arc::new(Attempts::default());
    let aws = platform_at(&nobody, clock, attempts.clone(), |shared| shared).await;
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
    let collided = bench.aws.enable_rule("live", "default").await.unwrap_err();
    assert_eq!(collided.class, ErrorClass::Conflict, "somebody else is at it: the caller looks");
    bench.aws.enable_rule("live", "default").await.unwrap();
    bench.aws.disable_rule("live", "default").await.unwrap();
    assert_eq!(bench.asked(), ["EnableRule", "EnableRule", "EnableRule", "DisableRule"]);
    assert_eq!(bench.results(), ["conflict", "transport", "ok", "ok"]);
    assert_eq!(
        bench.server.requests()[3].json(),
        json!({"Name": "live", "EventBusName": "default"})
    );
}

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

#[tokio::test]
async fn a_wrong_clock_of_ours_is_made_up_for() {
    let bench = Bench::with([
        Reply::error(403, "RequestTimeTooSkewed", "The difference is too large.")
            .with_header("Date", "Sun, 01 Mar 2026 12:00:00 GMT"),
        Reply::ok(r#"{"TableList":[]}"#),
    ])
    .await;
    bench.aws.tables("raw").await.unwrap();
    let second = &bench.server.requests()[1];
    assert!(second.header("x-amz-date").starts_with("20260301T12"), "{second:?}");
}

#[tokio::test]
async fn an_absence_is_only_believed_when_the_service_names_it() {
    let bench = Bench::with([
        Reply::status(404, "<html>a proxy</html>"),
        Reply::error(404, "UnknownOperationException", "?"),
        Reply::status(404, ""),
    ])
    .await;
    for _ in 0..2 {
        let error = bench.aws.dead_man("gapmend", "switch").await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Invalid, "{error}");
    }
    assert!(bench.aws.get_object("ledger", "log/1.json").await.is_err());
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
    let clock = Arc::new(StillClock::default());
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
    let request = &bench.server.requests()[0];
    assert!(request.header("user-agent").contains("app/gapmend"), "{request:?}");
}
