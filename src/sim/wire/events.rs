//! EventBridge: JSON 1.1.

use serde_json::{Value, json};

use super::json::{Arguments, reply};
use super::paging::page;
use super::reply::{Refusal, Reply};
use super::shape::Service;
use crate::domain::Network;
use crate::sim::{TargetRecord, World};

/// What the door knows of EventBridge.
pub(super) const OPERATIONS: &[&str] = &[
    "events:DescribeRule",
    "events:ListTargetsByRule",
    "events:EnableRule",
    "events:DisableRule",
    "events:PutRule",
    "events:PutTargets",
];

/// The code for an argument that will not do.
pub(super) const INVALID: &str = "ValidationException";

const TARGETS_PAGE_LIMIT: usize = 100;

/// Carries out an operation.
pub(super) fn answer(
    operation: &str,
    arguments: &Arguments,
    world: &mut World,
) -> Result<Reply, Refusal> {
    match operation {
        "DescribeRule" => describe_rule(arguments, world),
        "ListTargetsByRule" => list_targets(arguments, world),
        "EnableRule" => {
            world.enable_rule(arguments.required("Name")?, bus(arguments)?)?;
            Ok(reply(json!({})))
        }
        "DisableRule" => {
            world.disable_rule(arguments.required("Name")?, bus(arguments)?)?;
            Ok(reply(json!({})))
        }
        "PutRule" | "PutTargets" => Err(overwriting(operation)),
        _ => Err(Service::Events.unknown_operation(operation)),
    }
}

fn bus(arguments: &Arguments) -> Result<&str, Refusal> {
    Ok(arguments.filled("EventBusName")?.unwrap_or("default"))
}

/// Overwriting the live rule is the one thing that nobody may do through this door.
fn overwriting(operation: &str) -> Refusal {
    tracing::error!(operation, "refused: the live rule is toggled, never overwritten");
    let message = format!(
        "events:{operation} overwrites the live rule: toggle it with EnableRule and DisableRule"
    );
    Refusal::bad("AccessDeniedException", message)
}

fn describe_rule(arguments: &Arguments, world: &World) -> Result<Reply, Refusal> {
    let rule = world.rule(arguments.required("Name")?, bus(arguments)?)?;
    Ok(reply(json!({
        "Name": rule.name,
        "Arn": rule.arn,
        "EventPattern": rule.event_pattern,
        "State": rule.state.as_str(),
        "Description": rule.description,
        "ManagedBy": rule.managed_by,
        "EventBusName": rule.event_bus,
        "CreatedBy": world.names.account,
    })))
}

fn list_targets(arguments: &Arguments, world: &World) -> Result<Reply, Refusal> {
    let name = arguments.required("Rule")?;
    let targets = world.rule(name, bus(arguments)?)?.targets.clone();
    let limit = arguments.page_size("Limit", TARGETS_PAGE_LIMIT)?;
    let token = arguments.text("NextToken")?;
    let page = page(targets, |target| target.id.clone(), &format!("targets\n{name}"), token, limit)
        .map_err(|_| arguments.refuse("NextToken is not valid"))?;
    let others = world.rule(name, bus(arguments)?)?.other_targets.iter().enumerate();
    let others = others.map(|(index, arn)| json!({ "Id": format!("other-{index}"), "Arn": arn }));
    let targets: Vec<Value> = page.items.iter().map(target_json).chain(others).collect();
    Ok(reply(json!({ "Targets": targets, "NextToken": page.next })))
}

fn target_json(target: &TargetRecord) -> Value {
    let network = target.network.as_ref().map(network_json);
    json!({
        "Id": target.id,
        "Arn": target.cluster_arn,
        "RoleArn": target.role_arn,
        "Input": target.input,
        "EcsParameters": {
            "TaskDefinitionArn": target.task_definition_arn,
            "TaskCount": target.task_count,
            "LaunchType": target.launch_type,
            "PlatformVersion": target.platform_version,
            "NetworkConfiguration": network,
            "EnableECSManagedTags": false,
            "EnableExecuteCommand": false,
        },
    })
}

fn network_json(network: &Network) -> Value {
    json!({ "awsvpcConfiguration": {
        "Subnets": network.subnets,
        "SecurityGroups": network.security_groups,
        "AssignPublicIp": if network.assign_public_ip { "ENABLED" } else { "DISABLED" },
    }})
}
