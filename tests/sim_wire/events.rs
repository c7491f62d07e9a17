//! EventBridge: the rule and its targets; and the Scheduler, which switches it back on.
//!
//! What begins with `portable_` asks for a [`Trigger`], which another endpoint can hold too.

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::{
    AssignPublicIp, AwsVpcConfiguration, EcsParameters, LaunchType, NetworkConfiguration,
};
use aws_sdk_scheduler::types::{
    ActionAfterCompletion, FlexibleTimeWindow, FlexibleTimeWindowMode, Target,
};
use gapmend::sim::wire::WireServer;
use gapmend::sim::{RuleSetting, WorldBuilder};

use crate::door::{Door, code, config, other_endpoint, quiet, unique};

const RULE: &str = "liberator-to-rds-snapshot-event";

/// A rule with its target, behind our door or the other endpoint.
struct Trigger {
    client: Client,
    rule: String,
    _server: Option<WireServer>,
}

async fn trigger() -> Trigger {
    if let Some(url) = other_endpoint() {
        let client = Client::new(&config(&url));
        let rule = unique("wire-checks");
        lay_out(&client, &rule).await;
        return Trigger { client, rule, _server: None };
    }
    let door = Door::open(quiet().days(1)).await;
    Trigger { client: door.events(), rule: RULE.to_owned(), _server: Some(door.server) }
}

async fn lay_out(client: &Client, rule: &str) {
    let pattern = r#"{"source":["aws.s3"]}"#;
    client.put_rule().name(rule).event_pattern(pattern).send().await.unwrap();
    let network = AwsVpcConfiguration::builder()
        .set_subnets(Some(["subnet-1", "subnet-2", "subnet-3"].map(str::to_owned).to_vec()))
        .assign_public_ip(AssignPublicIp::Disabled)
        .build()
        .unwrap();
    let task = EcsParameters::builder()
        .task_definition_arn(
            "arn:aws:ecs:eu-west-2:111122223333:task-definition/liberator-to-rds-snapshot:42",
        )
        .task_count(1)
        .launch_type(LaunchType::Fargate)
        .network_configuration(
            NetworkConfiguration::builder().awsvpc_configuration(network).build(),
        )
        .build()
        .unwrap();
    let target = aws_sdk_eventbridge::types::Target::builder()
        .id(rule)
        .arn("arn:aws:ecs:eu-west-2:111122223333:cluster/dataplatform-prod-workers")
        .role_arn("arn:aws:iam::111122223333:role/run-ecs-task")
        .ecs_parameters(task)
        .build()
        .unwrap();
    client.put_targets().rule(rule).targets(target).send().await.unwrap();
}

async fn state_of(client: &Client, rule: &str) -> String {
    let rule = client.describe_rule().name(rule).send().await.unwrap();
    rule.state().unwrap().as_str().to_owned()
}

async fn state(door: &Door) -> String {
    state_of(&door.events(), RULE).await
}

#[tokio::test]
async fn portable_the_rule_is_switched_off_and_on_and_twice_is_fine() {
    let trigger = trigger().await;
    let Trigger { client, rule, _server } = &trigger;
    assert_eq!(state_of(client, rule).await, "ENABLED");
    for _ in 0..2 {
        client.disable_rule().name(rule).event_bus_name("default").send().await.unwrap();
        assert_eq!(state_of(client, rule).await, "DISABLED");
    }
    for _ in 0..2 {
        client.enable_rule().name(rule).send().await.unwrap();
        assert_eq!(state_of(client, rule).await, "ENABLED");
    }
}

#[tokio::test]
async fn portable_a_rule_that_is_not_there_is_not_found() {
    let trigger = trigger().await;
    let answer = trigger.client.describe_rule().name("nothing").send().await;
    assert_eq!(code(answer), "ResourceNotFoundException");
}

#[tokio::test]
async fn a_rule_in_another_state_or_in_other_hands_is_shown_as_it_is() {
    let world: WorldBuilder = quiet().days(1).rule(RuleSetting::EnabledWithManagementEvents);
    let door = Door::open(world.rule_managed_by("autoscaling.amazonaws.com")).await;
    let rule = door.events().describe_rule().name(RULE).send().await.unwrap();
    assert_eq!(rule.state().unwrap().as_str(), "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS");
    assert_eq!(rule.managed_by(), Some("autoscaling.amazonaws.com"));
}

#[tokio::test]
async fn portable_the_target_says_where_and_how_its_task_runs() {
    let trigger = trigger().await;
    let targets = trigger.client.list_targets_by_rule().rule(&trigger.rule).send().await.unwrap();
    let target = &targets.targets()[0];
    assert!(target.arn().ends_with(":cluster/dataplatform-prod-workers"));
    let task = target.ecs_parameters().unwrap();
    assert!(task.task_definition_arn().contains(":task-definition/liberator-to-rds-snapshot:"));
    assert_eq!(task.task_count(), Some(1));
    let network = task.network_configuration().unwrap().awsvpc_configuration().unwrap();
    assert_eq!(network.subnets().len(), 3);
    assert_eq!(network.assign_public_ip().unwrap().as_str(), "DISABLED");
}

#[tokio::test]
async fn a_rule_that_is_not_there_is_not_found_and_nobody_may_overwrite_one() {
    let door = Door::open(quiet().days(1)).await;
    let events = door.events();
    let not_found = "ResourceNotFoundException";
    assert_eq!(code(events.describe_rule().name("nothing").send().await), not_found);
    assert_eq!(code(events.list_targets_by_rule().rule("nothing").send().await), not_found);
    assert_eq!(code(events.enable_rule().name("nothing").send().await), not_found);
    let put = events.put_rule().name(RULE).event_pattern("{}").send().await;
    assert_eq!(code(put), "AccessDeniedException");
    assert_eq!(state(&door).await, "ENABLED");
}

fn dead_man(
    door: &Door,
    at: &str,
) -> aws_sdk_scheduler::operation::create_schedule::builders::CreateScheduleFluentBuilder {
    let window = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build().unwrap();
    let target = Target::builder()
        .arn("arn:aws:scheduler:::aws-sdk:eventbridge:enableRule")
        .role_arn("arn:aws:iam::111122223333:role/gapmend-dead-man")
        .input(format!(r#"{{"Name":"{RULE}","EventBusName":"default"}}"#))
        .build()
        .unwrap();
    door.scheduler()
        .create_schedule()
        .name("dead-man")
        .group_name("gapmend")
        .schedule_expression(format!("at({at})"))
        .schedule_expression_timezone("UTC")
        .flexible_time_window(window)
        .action_after_completion(ActionAfterCompletion::Delete)
        .target(target)
}

#[tokio::test]
async fn the_dead_man_is_read_back_and_switches_the_rule_on_and_is_gone() {
    let door = Door::open(quiet().days(1)).await;
    let get = || door.scheduler().get_schedule().group_name("gapmend").name("dead-man");
    dead_man(&door, "2026-07-20T14:00:00").send().await.unwrap();
    let armed = get().send().await.unwrap();
    assert_eq!(armed.schedule_expression(), Some("at(2026-07-20T14:00:00)"));
    assert_eq!(armed.action_after_completion().unwrap().as_str(), "DELETE");
    assert!(armed.target().unwrap().input().unwrap().contains(RULE));
    assert_eq!(code(dead_man(&door, "2026-07-20T15:00:00").send().await), "ConflictException");
    let list = door.scheduler().list_schedules().group_name("gapmend").send().await.unwrap();
    assert_eq!(list.schedules().len(), 1);
    door.events().disable_rule().name(RULE).send().await.unwrap();
    door.pass(119);
    assert_eq!(state(&door).await, "DISABLED");
    door.pass(5);
    assert_eq!(state(&door).await, "ENABLED");
    assert_eq!(code(get().send().await), "ResourceNotFoundException");
}

#[tokio::test]
async fn a_schedule_is_deleted_once() {
    let door = Door::open(quiet().days(1)).await;
    dead_man(&door, "2026-07-20T14:00:00").send().await.unwrap();
    let delete = || door.scheduler().delete_schedule().group_name("gapmend").name("dead-man");
    delete().send().await.unwrap();
    assert_eq!(code(delete().send().await), "ResourceNotFoundException");
    let group = door.scheduler().get_schedule_group().name("gapmend").send().await.unwrap();
    assert_eq!(group.name(), Some("gapmend"));
    let elsewhere = dead_man(&door, "2026-07-20T14:00:00").group_name("nowhere").send().await;
    assert_eq!(code(elsewhere), "ResourceNotFoundException");
}
