//! Faults, made physically, and what the SDK makes of them.

use std::time::Duration;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use gapmend::sim::{FaultKind, FaultWhen, Moment};

use crate::door::{Door, code, july, quiet};
use crate::ecs::load;

async fn door_with(operation: &str, when: FaultWhen, kind: FaultKind, moment: Moment) -> Door {
    let door = Door::open(quiet().gap(july(5))).await;
    door.sim.lock().faults.add(operation, when, kind, moment);
    door
}

#[tokio::test]
async fn each_service_slows_down_in_its_own_words() {
    let door = door_with("*", FaultWhen::Always, FaultKind::Throttle, Moment::Before).await;
    assert_eq!(code(door.s3().list_buckets().send().await), "SlowDown");
    let throttled = "ThrottlingException";
    assert_eq!(code(door.glue().get_tables().database_name("d").send().await), throttled);
    assert_eq!(code(door.ecs().list_tasks().send().await), throttled);
    assert_eq!(code(door.events().describe_rule().name("r").send().await), throttled);
    assert_eq!(code(door.scheduler().get_schedule().name("s").send().await), throttled);
    assert_eq!(code(door.logs().filter_log_events().log_group_name("g").send().await), throttled);
    assert_eq!(code(door.rds().describe_db_snapshots().send().await), "Throttling");
    assert_eq!(code(door.sts().get_caller_identity().send().await), "Throttling");
}

#[tokio::test]
async fn each_service_denies_and_fails_in_its_own_words() {
    let door = door_with("*", FaultWhen::Always, FaultKind::Denied, Moment::Before).await;
    assert_eq!(code(door.s3().list_buckets().send().await), "AccessDenied");
    let denied = "AccessDeniedException";
    assert_eq!(code(door.glue().get_tables().database_name("d").send().await), denied);
    assert_eq!(code(door.ecs().list_tasks().send().await), denied);
    assert_eq!(code(door.scheduler().get_schedule().name("s").send().await), denied);
    assert_eq!(code(door.rds().describe_db_snapshots().send().await), "AccessDenied");
    let door = door_with("*", FaultWhen::Always, FaultKind::Server, Moment::Before).await;
    assert_eq!(code(door.s3().list_buckets().send().await), "InternalError");
    let failed = door.glue().get_tables().database_name("d").send().await.unwrap_err();
    assert_eq!(failed.raw_response().unwrap().status().as_u16(), 500);
}

#[tokio::test]
async fn each_service_tells_of_two_changes_that_met_in_its_own_words() {
    let door = door_with("*", FaultWhen::Always, FaultKind::Concurrent, Moment::Before).await;
    let concurrent = "ConcurrentModificationException";
    assert_eq!(code(door.events().enable_rule().name("r").send().await), concurrent);
    assert_eq!(code(door.glue().get_tables().database_name("d").send().await), concurrent);
    let schedule = door.scheduler().delete_schedule().name("s").send().await;
    assert_eq!(code(schedule), "ConflictException");
}

#[tokio::test]
async fn a_dropped_connection_is_no_answer_and_before_the_effect_nothing_was_done() {
    let door =
        door_with("ecs:RunTask", FaultWhen::Call(1), FaultKind::Dropped, Moment::Before).await;
    let error = load(&door.ecs(), "2026-07-05", "t").send().await.unwrap_err();
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
    assert!(door.sim.lock().tasks().is_empty());
    assert_eq!(door.server.calls()[0].status, None);
}

#[tokio::test]
async fn a_lost_answer_hides_a_task_that_the_same_token_finds_again() {
    let door =
        door_with("ecs:RunTask", FaultWhen::Call(1), FaultKind::Dropped, Moment::After).await;
    let ecs = door.ecs();
    let error = load(&ecs, "2026-07-05", "t").send().await.unwrap_err();
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
    assert_eq!(door.sim.lock().tasks().len(), 1);
    let again = load(&ecs, "2026-07-05", "t").send().await.unwrap();
    assert_eq!(again.tasks().len(), 1);
    assert_eq!(door.sim.lock().tasks().len(), 1);
}

#[tokio::test]
async fn a_lost_answer_of_a_conditional_write_makes_the_sdks_own_retry_see_412() {
    let door =
        door_with("s3:PutObject", FaultWhen::Call(1), FaultKind::Server, Moment::After).await;
    let config = aws_sdk_s3::config::Builder::from(&door.config)
        .force_path_style(true)
        .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
        .build();
    let put =
        aws_sdk_s3::Client::from_conf(config).put_object().bucket("gapmend-ledger").key("log/1");
    let answer = put.if_none_match("*").body(b"{}".to_vec().into()).send().await;
    assert_eq!(code(answer), "PreconditionFailed");
}

#[tokio::test]
async fn silence_lasts_until_the_client_gives_up() {
    let door =
        door_with("glue:GetTables", FaultWhen::Always, FaultKind::Timeout, Moment::Before).await;
    let timeouts = TimeoutConfig::builder().operation_timeout(Duration::from_millis(200)).build();
    let config = aws_sdk_glue::config::Builder::from(&door.config).timeout_config(timeouts).build();
    let request = aws_sdk_glue::Client::from_conf(config).get_tables().database_name("d");
    let error = request.send().await.unwrap_err();
    assert!(matches!(error, SdkError::TimeoutError(_)), "{error:?}");
}
