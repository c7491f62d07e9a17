//! Objects: conditional creates and copies, parts that break off.

use std::time::Duration;

use bytes::Bytes;

use crate::aws::canned::{Bench, Reply};
use crate::domain::ErrorClass;
use crate::platform::{Created, ObjectRange, Platform};

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
async fn a_deletion_is_sent_once_names_no_version_and_believes_no_silence() {
    let body = "<DeleteResult><Deleted><Key>a</Key><DeleteMarker>true</DeleteMarker>\
        <DeleteMarkerVersionId>v1</DeleteMarkerVersionId></Deleted><Error><Key>b</Key>\
        <Code>InternalError</Code><Message>again</Message></Error></DeleteResult>";
    let bench = Bench::with([Reply::ok(body), Reply::HangUp]).await;
    let keys = ["a", "b", "c"].map(str::to_owned);
    let deleted = bench.aws.delete_objects("raw", &keys).await.unwrap();
    let of = |key: &str| deleted.iter().find(|one| one.key == key).unwrap().outcome.clone();
    assert_eq!(of("a").unwrap().as_deref(), Some("v1"));
    assert_eq!(of("b").unwrap_err().class, ErrorClass::Server);
    assert_eq!(of("c").unwrap_err().class, ErrorClass::Server, "the answer does not name it");
    let request = &bench.server.requests()[0];
    assert!(request.body.contains("<Key>a</Key>") && !request.body.contains("VersionId"));
    let lost = bench.aws.delete_objects("raw", &keys).await.unwrap_err();
    assert_eq!((lost.class, bench.server.requests().len()), (ErrorClass::Transport, 2));
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
    let md5_of_braces = "mZFLkyvTelC5g8XnyQrpOw=="; // what Object Lock asks for
    assert!(requests.iter().all(|r| r.header("content-md5") == md5_of_braces));
}

#[tokio::test]
async fn an_error_inside_a_200_is_an_error_of_unknown_effect() {
    let failed = Reply::s3_error(200, "InternalError");
    let bench = Bench::with([failed]).await;
    let error = bench.aws.copy_object("landing", "old.zip", "new.zip").await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Server, "{error}");
    assert_eq!(bench.server.requests().len(), 1);
}

#[tokio::test]
async fn a_copy_may_take_longer_than_other_calls() {
    let done = "<CopyObjectResult><ETag>e</ETag></CopyObjectResult>";
    let late = Reply::Late { after: Duration::from_millis(500), body: done.into() };
    let bench = Bench::with_patience(Duration::from_millis(50), [late]).await;
    let copied = bench.aws.copy_object("landing", "old.zip", "new.zip").await;
    assert_eq!(copied.unwrap(), Created::Created);
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
