//! ECS: tokens, listing, describing, stopping.

use aws_sdk_ecs::operation::run_task::builders::RunTaskFluentBuilder;
use aws_sdk_ecs::types::{
    AssignPublicIp, AwsVpcConfiguration, ContainerOverride, DesiredStatus, KeyValuePair,
    LaunchType, NetworkConfiguration, TaskOverride,
};
use gapmend::sim::{Profile, Times};

use crate::door::{Door, code, july, quiet};

pub(crate) const CLUSTER: &str = "dataplatform-prod-workers";
pub(crate) const FAMILY: &str = "liberator-to-rds-snapshot";

/// A backdated load of a date, as gapmend asks for it.
pub(crate) fn load(ecs: &aws_sdk_ecs::Client, date: &str, token: &str) -> RunTaskFluentBuilder {
    let network = AwsVpcConfiguration::builder()
        .subnets("subnet-0a1b2c3d")
        .security_groups("sg-0f1e2d3c")
        .assign_public_ip(AssignPublicIp::Disabled)
        .build()
        .unwrap();
    let variable = KeyValuePair::builder().name("IMPORT_DATE_OVERRIDE").value(date).build();
    let container = ContainerOverride::builder().name(FAMILY).environment(variable).build();
    ecs.run_task()
        .cluster(CLUSTER)
        .task_definition(FAMILY)
        .launch_type(LaunchType::Fargate)
        .network_configuration(
            NetworkConfiguration::builder().awsvpc_configuration(network).build(),
        )
        .overrides(TaskOverride::builder().container_overrides(container).build())
        .client_token(token)
        .started_by(format!("bd/{date}/1"))
}

#[tokio::test]
async fn the_same_token_starts_nothing_twice_and_another_request_under_it_is_a_conflict() {
    let door = Door::open(quiet().gap(july(5))).await;
    let ecs = door.ecs();
    let first = load(&ecs, "2026-07-05", "token-1").send().await.unwrap();
    let arn = first.tasks()[0].task_arn().unwrap().to_owned();
    let again = load(&ecs, "2026-07-05", "token-1").send().await.unwrap();
    assert_eq!(again.tasks()[0].task_arn(), Some(arn.as_str()));
    let other = load(&ecs, "2026-07-06", "token-1").send().await.unwrap_err();
    let other = other.into_service_error();
    assert!(other.is_conflict_exception(), "{other:?}");
    let aws_sdk_ecs::operation::run_task::RunTaskError::ConflictException(conflict) = other else {
        panic!("not a conflict");
    };
    assert_eq!(conflict.resource_ids(), [arn]);
    assert_eq!(door.sim.lock().tasks().len(), 1);
}

#[tokio::test]
async fn a_fresh_task_is_missing_then_it_lives_and_says_who_it_is() {
    let door = Door::open(quiet().gap(july(5))).await;
    let ecs = door.ecs();
    let started = load(&ecs, "2026-07-05", "token-1").send().await.unwrap();
    let arn = started.tasks()[0].task_arn().unwrap();
    let describe = || ecs.describe_tasks().cluster(CLUSTER).tasks(arn);
    let fresh = describe().send().await.unwrap();
    assert!(fresh.tasks().is_empty());
    assert_eq!(fresh.failures()[0].reason(), Some("MISSING"));
    door.pass(10);
    let task = describe().send().await.unwrap().tasks()[0].clone();
    assert_eq!(task.last_status(), Some("RUNNING"));
    assert_eq!(task.started_by(), Some("bd/2026-07-05/1"));
    let container = &task.overrides().unwrap().container_overrides()[0];
    assert_eq!(container.environment()[0].value(), Some("2026-07-05"));
    assert_eq!(task.containers()[0].exit_code(), None);
}

#[tokio::test]
async fn a_listing_shows_what_should_run_unless_stopped_ones_are_asked_for() {
    let door = Door::open(quiet().gap(july(5))).await;
    let ecs = door.ecs();
    let started = load(&ecs, "2026-07-05", "token-1").send().await.unwrap();
    let arn = started.tasks()[0].task_arn().unwrap().to_owned();
    let list = || ecs.list_tasks().cluster(CLUSTER);
    door.pass(5);
    let running = list().family(FAMILY).send().await.unwrap();
    assert_eq!(running.task_arns(), std::slice::from_ref(&arn));
    ecs.stop_task().cluster(CLUSTER).task(&arn).reason("yield").send().await.unwrap();
    door.pass(5);
    assert!(list().family(FAMILY).send().await.unwrap().task_arns().is_empty());
    let stopped = list().started_by("bd/2026-07-05/1").desired_status(DesiredStatus::Stopped);
    assert_eq!(stopped.send().await.unwrap().task_arns(), std::slice::from_ref(&arn));
    let task =
        ecs.describe_tasks().cluster(CLUSTER).tasks(&arn).send().await.unwrap().tasks()[0].clone();
    assert_eq!(task.last_status(), Some("STOPPED"));
    assert_eq!(task.stop_code().unwrap().as_str(), "UserInitiated");
    let both = list().family(FAMILY).started_by("bd/2026-07-05/1").send().await;
    assert_eq!(code(both), "InvalidParameterException");
    assert_eq!(code(list().next_token("made-up").send().await), "InvalidParameterException");
}

#[tokio::test]
async fn tasks_come_in_pages() {
    let door = Door::open(quiet().days(1)).await;
    let ecs = door.ecs();
    for number in 0..5 {
        load(&ecs, "2026-07-05", &format!("token-{number}")).send().await.unwrap();
    }
    door.pass(1);
    let mut pages =
        ecs.list_tasks().cluster(CLUSTER).family(FAMILY).max_results(2).into_paginator().send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.unwrap().task_arns().len());
    }
    assert_eq!(sizes, [2, 2, 1]);
}

#[tokio::test]
async fn no_capacity_is_a_good_answer_with_a_failure_in_it() {
    let profile = Profile { capacity_refused: Times::Always, ..Profile::default() };
    let door = Door::open(quiet().gap(july(5)).profile(july(5), profile)).await;
    let answer = load(&door.ecs(), "2026-07-05", "token-1").send().await.unwrap();
    assert!(answer.tasks().is_empty());
    assert!(answer.failures()[0].reason().is_some());
}

#[tokio::test]
async fn requests_that_ecs_would_refuse_are_refused() {
    let door = Door::open(quiet().days(1)).await;
    let ecs = door.ecs();
    let invalid = "InvalidParameterException";
    let long = "x".repeat(65);
    assert_eq!(code(load(&ecs, "2026-07-05", &long).send().await), invalid);
    assert_eq!(code(load(&ecs, "2026-07-05", "t").started_by("a.b:c").send().await), invalid);
    assert_eq!(code(ecs.describe_tasks().cluster(CLUSTER).send().await), invalid);
    let nowhere = ecs.list_tasks().cluster("nowhere").send().await;
    assert_eq!(code(nowhere), "ClusterNotFoundException");
}
