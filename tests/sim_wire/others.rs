//! RDS, STS, CloudWatch Logs, and what is true of every service.

use std::time::Duration;

use aws_types::request_id::RequestId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::door::{Door, code, july, noon, quiet};
use crate::ecs::load;

const INSTANCE: &str = "liberator-to-rds-snapshot";

#[tokio::test]
async fn snapshots_and_exports_are_found_by_id_by_instance_and_by_source() {
    let door = Door::open(quiet().days(3)).await;
    let rds = door.rds();
    let of_instance =
        rds.describe_db_snapshots().db_instance_identifier(INSTANCE).send().await.unwrap();
    let mut snapshots = of_instance.db_snapshots().iter();
    let is_nightly = |id: Option<&str>| id.unwrap().starts_with("sql-to-parquet-");
    let snapshot = snapshots.find(|one| is_nightly(one.db_snapshot_identifier())).unwrap();
    assert_eq!(snapshot.status(), Some("available"));
    let by_id = rds
        .describe_db_snapshots()
        .db_snapshot_identifier(snapshot.db_snapshot_identifier().unwrap());
    assert_eq!(by_id.send().await.unwrap().db_snapshots().len(), 1);
    let by_source = rds.describe_export_tasks().source_arn(snapshot.db_snapshot_arn().unwrap());
    let exports = by_source.send().await.unwrap();
    let export = &exports.export_tasks()[0];
    assert_eq!(export.status(), Some("COMPLETE"));
    assert!(export.task_end_time().is_some());
    let by_id = rds
        .describe_export_tasks()
        .export_task_identifier(export.export_task_identifier().unwrap());
    assert_eq!(by_id.send().await.unwrap().export_tasks().len(), 1);
    let instance =
        rds.describe_db_instances().db_instance_identifier(INSTANCE).send().await.unwrap();
    assert_eq!(instance.db_instances()[0].db_instance_status(), Some("available"));
}

#[tokio::test]
async fn what_rds_does_not_know_it_says_by_its_short_codes() {
    let door = Door::open(quiet().days(1)).await;
    let rds = door.rds();
    let snapshot = rds.describe_db_snapshots().db_snapshot_identifier("nothing").send().await;
    assert_eq!(code(snapshot), "DBSnapshotNotFound");
    let export = rds.describe_export_tasks().export_task_identifier("nothing").send().await;
    assert_eq!(code(export), "ExportTaskNotFound");
    let instance = rds.describe_db_instances().db_instance_identifier("nothing").send().await;
    assert_eq!(code(instance), "DBInstanceNotFound");
    let marker = rds.describe_export_tasks().marker("made-up").send().await;
    assert_eq!(code(marker), "InvalidParameterValue");
    let few = rds.describe_db_snapshots().max_records(5).send().await;
    assert_eq!(code(few), "InvalidParameterValue");
}

#[tokio::test]
async fn exports_come_in_pages() {
    let mut world = quiet().days(60);
    for day in 1..=25 {
        world = world.spent_export(july(day), "COMPLETE");
    }
    let door = Door::open(world).await;
    let mut pages = door.rds().describe_export_tasks().max_records(20).into_paginator().send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.unwrap().export_tasks().len());
    }
    assert_eq!(sizes[0], 20, "{sizes:?}");
    assert!(sizes.iter().sum::<usize>() >= 25, "{sizes:?}");
}

#[tokio::test]
async fn the_caller_has_the_account_of_the_world() {
    let door = Door::open(quiet().days(1)).await;
    let caller = door.sts().get_caller_identity().send().await.unwrap();
    assert_eq!(caller.account(), Some("111122223333"));
    assert!(caller.arn().unwrap().starts_with("arn:aws:sts::111122223333:"));
    assert!(caller.request_id().is_some());
}

#[tokio::test]
async fn a_tasks_log_is_read_from_its_end_and_from_its_beginning() {
    let door = Door::open(quiet().gap(july(5))).await;
    let task = load(&door.ecs(), "2026-07-05", "t").send().await.unwrap();
    door.pass(180);
    let id = task.tasks()[0].task_arn().unwrap().rsplit('/').next().unwrap().to_owned();
    let stream = format!("liberator-to-rds-snapshot/liberator-to-rds-snapshot/{id}");
    let group = "liberator-to-rds-snapshot-ecs-task-logs";
    let logs = door.logs();
    let read = || logs.get_log_events().log_group_name(group).log_stream_name(&stream);
    let tail = read().limit(1).send().await.unwrap();
    assert_eq!(tail.events()[0].message(), Some("Done"));
    let first = read().start_from_head(true).limit(1).send().await.unwrap();
    let next = read().next_token(first.next_forward_token().unwrap()).send().await.unwrap();
    assert_eq!(next.events().last().unwrap().message(), Some("Done"));
    let end = read().next_token(next.next_forward_token().unwrap()).send().await.unwrap();
    assert!(end.events().is_empty());
    assert_eq!(end.next_forward_token(), next.next_forward_token());
    let found =
        logs.filter_log_events().log_group_name(group).filter_pattern("Done").send().await.unwrap();
    assert_eq!(found.events()[0].log_stream_name(), Some(stream.as_str()));
    let streams = logs.describe_log_streams().log_group_name(group).send().await.unwrap();
    assert_eq!(streams.log_streams()[0].log_stream_name(), Some(stream.as_str()));
    let absent =
        logs.get_log_events().log_group_name(group).log_stream_name("nothing").send().await;
    assert_eq!(code(absent), "ResourceNotFoundException");
}

/// Sends bytes as they are and reads all that comes.
async fn raw(door: &Door, text: &str) -> String {
    let address = door.server.url().replace("http://", "");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_request_without_an_access_key_is_refused() {
    let door = Door::open(quiet().days(1)).await;
    let s3 = raw(&door, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(s3.starts_with("HTTP/1.1 403") && s3.contains("<Code>AccessDenied</Code>"), "{s3}");
    let glue = "POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: AWSGlue.GetTables\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
    let glue = raw(&door, glue).await;
    assert!(glue.contains("MissingAuthenticationTokenException"), "{glue}");
}

#[tokio::test]
async fn answers_are_dated_by_the_worlds_clock() {
    let door = Door::open(quiet().days(1)).await;
    let answer = raw(&door, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(
        answer.contains(&noon().format("date: %a, %d %b %Y %H:%M:%S GMT").to_string()),
        "{answer}"
    );
}

#[tokio::test]
async fn calls_are_remembered_with_what_they_were_about() {
    let door = Door::open(quiet().days(1)).await;
    let _ = door.glue().get_table().database_name("d").name("t").send().await;
    let _ = door.s3().get_object().bucket("b").key("k/l").send().await;
    let calls = door.server.calls();
    let said: Vec<_> = calls
        .iter()
        .map(|call| (call.service, call.operation.as_str(), call.target.as_str(), call.status))
        .collect();
    assert_eq!(
        said,
        [("glue", "GetTable", "d", Some(400)), ("s3", "GetObject", "b/k/l", Some(404))]
    );
    assert_eq!(calls[0].code.as_deref(), Some("EntityNotFoundException"));
}

#[tokio::test]
async fn a_half_sent_request_does_not_keep_the_door_open() {
    let door = Door::open(quiet().days(1)).await;
    let address = door.server.url().replace("http://", "");
    let mut half = TcpStream::connect(&address).await.unwrap();
    half.write_all(b"PUT /b/k HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf")
        .await
        .unwrap();
    tokio::time::timeout(Duration::from_secs(30), door.server.stop()).await.unwrap();
    let mut rest = Vec::new();
    // Closed or reset: either way nobody is left at the other end.
    let _ = half.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
    assert!(TcpStream::connect(&address).await.is_err());
}
