//! ECS: JSON 1.1.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::json::{Arguments, reply, seconds};
use super::paging::page;
use super::reply::{Refusal, Reply};
use super::shape::Service;
use crate::domain::Network;
use crate::sim::{
    ContainerOverride, DesiredStatus, RunTask, TaskFailure, TaskFilter, TaskRecord, TaskStatus,
    World,
};

/// What the door knows of ECS.
pub(super) const OPERATIONS: &[&str] =
    &["ecs:RunTask", "ecs:ListTasks", "ecs:DescribeTasks", "ecs:StopTask"];

/// The code for an argument that will not do.
pub(super) const INVALID: &str = "InvalidParameterException";

const TASKS_PAGE_LIMIT: usize = 100;
const CLIENT_TOKEN_LIMIT_CHARACTERS: usize = 64;
const STARTED_BY_LIMIT_CHARACTERS: usize = 128;
const OVERRIDES_LIMIT_CHARACTERS: usize = 8192;

/// Carries out an operation.
pub(super) fn answer(
    operation: &str,
    arguments: &Arguments,
    world: &mut World,
) -> Result<Reply, Refusal> {
    match operation {
        "RunTask" => run_task(arguments, world),
        "ListTasks" => list_tasks(arguments, world),
        "DescribeTasks" => describe_tasks(arguments, world),
        "StopTask" => stop_task(arguments, world),
        _ => Err(Service::Ecs.unknown_operation(operation)),
    }
}

fn cluster(arguments: &Arguments) -> Result<&str, Refusal> {
    Ok(arguments.filled("cluster")?.unwrap_or("default"))
}

fn run_task(arguments: &Arguments, world: &mut World) -> Result<Reply, Refusal> {
    refuse_unmodelled(arguments)?;
    let request = RunTask {
        cluster: cluster(arguments)?.to_owned(),
        task_definition: required_definition(arguments)?,
        network: network(arguments)?,
        launch_type: arguments.text("launchType")?.map(str::to_owned),
        platform_version: arguments.text("platformVersion")?.map(str::to_owned),
        client_token: client_token(arguments)?,
        started_by: started_by(arguments)?,
        overrides: overrides(arguments)?,
        tags: tags(arguments)?,
    };
    let answer = world.run_task(&request)?;
    let tasks: Vec<Value> = answer.tasks.iter().map(task_json).collect();
    Ok(reply(json!({ "tasks": tasks, "failures": failures_json(&answer.failures) })))
}

/// Requests that the model would answer wrongly are refused, so that nobody relies on them.
fn refuse_unmodelled(arguments: &Arguments) -> Result<(), Refusal> {
    if arguments.integer("count")?.unwrap_or(1) != 1 {
        return Err(arguments.refuse("a count other than 1 is not part of the simulated pipeline"));
    }
    if !arguments.objects("capacityProviderStrategy")?.is_empty() {
        let message = "capacity providers are not part of the simulated pipeline";
        return Err(arguments.refuse(message));
    }
    Ok(())
}

fn required_definition(arguments: &Arguments) -> Result<String, Refusal> {
    let definition = arguments.filled("taskDefinition")?;
    let definition =
        definition.ok_or_else(|| arguments.refuse("Task definition can not be blank."));
    Ok(definition?.to_owned())
}

fn network(arguments: &Arguments) -> Result<Option<Network>, Refusal> {
    let configuration = arguments.object("networkConfiguration")?;
    if configuration.value("awsvpcConfiguration").is_none() {
        return Ok(None);
    }
    let vpc = configuration.object("awsvpcConfiguration")?;
    let subnets = vpc.texts("subnets")?;
    if subnets.is_empty() {
        return Err(arguments.refuse("subnets can not be empty."));
    }
    Ok(Some(Network {
        subnets,
        security_groups: vpc.texts("securityGroups")?,
        // ECS's own default is ENABLED only where the console asks; the API's is DISABLED.
        assign_public_ip: vpc.text("assignPublicIp")? == Some("ENABLED"),
    }))
}

fn client_token(arguments: &Arguments) -> Result<Option<String>, Refusal> {
    let token = arguments.filled("clientToken")?;
    let is_wrong = |token: &str| {
        token.len() > CLIENT_TOKEN_LIMIT_CHARACTERS
            || !token.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if token.is_some_and(is_wrong) {
        return Err(arguments.refuse("clientToken must be at most 64 characters of ASCII 33-126"));
    }
    Ok(token.map(str::to_owned))
}

fn started_by(arguments: &Arguments) -> Result<Option<String>, Refusal> {
    let started_by = arguments.filled("startedBy")?;
    let is_wrong = |text: &str| {
        text.len() > STARTED_BY_LIMIT_CHARACTERS
            || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_/".contains(&byte))
    };
    if started_by.is_some_and(is_wrong) {
        return Err(arguments.refuse("startedBy contains invalid characters or is too long."));
    }
    Ok(started_by.map(str::to_owned))
}

fn overrides(arguments: &Arguments) -> Result<Vec<ContainerOverride>, Refusal> {
    let length = arguments.value("overrides").map_or(0, |value| value.to_string().len());
    if length > OVERRIDES_LIMIT_CHARACTERS {
        return Err(arguments.refuse("overrides must be at most 8192 characters"));
    }
    let containers = arguments.object("overrides")?.objects("containerOverrides")?;
    containers.iter().map(container_override).collect()
}

fn container_override(container: &Arguments) -> Result<ContainerOverride, Refusal> {
    let mut environment = BTreeMap::new();
    for pair in container.objects("environment")? {
        let value = pair.text("value")?.unwrap_or_default().to_owned();
        environment.insert(pair.required("name")?.to_owned(), value);
    }
    let name = container.filled("name")?;
    let name = name.ok_or_else(|| container.refuse("Container Override name cannot be blank."))?;
    Ok(ContainerOverride {
        name: name.to_owned(),
        environment,
        command: container.texts("command")?,
    })
}

fn tags(arguments: &Arguments) -> Result<BTreeMap<String, String>, Refusal> {
    let tags = arguments.objects("tags")?;
    let tag = |tag: &Arguments| {
        let value = tag.text("value")?.unwrap_or_default();
        Ok((tag.required("key")?.to_owned(), value.to_owned()))
    };
    tags.iter().map(tag).collect()
}

/// The value of a tag that a request puts on its task.
pub(super) fn request_tag(arguments: &Arguments, key: &str) -> Option<String> {
    tags(arguments).ok()?.remove(key)
}

/// What a policy may ask about a task, before it is stopped.
pub(super) fn resource_tag(operation: &str, task: &str, world: &World) -> Option<String> {
    let tasks = world.tasks();
    let found = tasks.iter().find(|found| operation == "StopTask" && found.arn == task)?;
    found.tags.get("gapmend").cloned()
}

fn list_tasks(arguments: &Arguments, world: &World) -> Result<Reply, Refusal> {
    let cluster = cluster(arguments)?;
    let filter = task_filter(arguments)?;
    let tasks = world.list_tasks(cluster, &filter)?;
    let scope = format!("tasks\n{cluster}\n{filter:?}");
    let limit = arguments.page_size("maxResults", TASKS_PAGE_LIMIT)?;
    let page = page(tasks, Clone::clone, &scope, arguments.text("nextToken")?, limit)
        .map_err(|_| arguments.refuse("Invalid token"))?;
    Ok(reply(json!({ "taskArns": page.items, "nextToken": page.next })))
}

fn task_filter(arguments: &Arguments) -> Result<TaskFilter, Refusal> {
    for name in ["containerInstance", "serviceName", "daemonName", "launchType"] {
        if arguments.filled(name)?.is_some() {
            let message = format!("the filter {name} is not part of the simulated pipeline");
            return Err(arguments.refuse(message));
        }
    }
    let (family, started_by) = (arguments.filled("family")?, arguments.filled("startedBy")?);
    if family.is_some() && started_by.is_some() {
        return Err(arguments.refuse("cannot specify more than one of family and startedBy"));
    }
    let desired_status = match arguments.filled("desiredStatus")? {
        None => None,
        Some("RUNNING") => Some(DesiredStatus::Running),
        Some("STOPPED") => Some(DesiredStatus::Stopped),
        // PENDING is accepted, and never matches: the page of results would be empty.
        Some(_) => return Err(arguments.refuse("desiredStatus must be RUNNING or STOPPED here")),
    };
    Ok(TaskFilter {
        family: family.map(str::to_owned),
        started_by: started_by.map(str::to_owned),
        desired_status,
    })
}

fn describe_tasks(arguments: &Arguments, world: &World) -> Result<Reply, Refusal> {
    let tasks = arguments.texts("tasks")?;
    if tasks.is_empty() {
        return Err(arguments.refuse("Tasks cannot be empty."));
    }
    if tasks.len() > TASKS_PAGE_LIMIT {
        return Err(arguments.refuse("Tasks cannot be more than 100."));
    }
    let (tasks, failures) = world.describe_tasks(cluster(arguments)?, &tasks)?;
    let tasks: Vec<Value> = tasks.iter().map(task_json).collect();
    Ok(reply(json!({ "tasks": tasks, "failures": failures_json(&failures) })))
}

fn stop_task(arguments: &Arguments, world: &mut World) -> Result<Reply, Refusal> {
    let task = arguments.required("task")?;
    let reason = arguments.text("reason")?.unwrap_or("Task stopped by user");
    let task = world.stop_task(cluster(arguments)?, task, reason)?;
    Ok(reply(json!({ "task": task_json(&task) })))
}

fn failures_json(failures: &[TaskFailure]) -> Value {
    let failure = |failure: &TaskFailure| json!({ "arn": failure.arn, "reason": failure.reason, "detail": failure.detail });
    failures.iter().map(failure).collect()
}

fn task_json(task: &TaskRecord) -> Value {
    json!({
        "taskArn": task.arn,
        "clusterArn": task.cluster_arn,
        "taskDefinitionArn": task.task_definition_arn,
        "group": format!("family:{}", task.family),
        "lastStatus": task.last_status.as_str(),
        "desiredStatus": task.desired_status.as_str(),
        "startedBy": task.started_by,
        "launchType": "FARGATE",
        "platformVersion": task.platform_version.as_deref().unwrap_or("1.4.0"),
        "platformFamily": "Linux",
        "cpu": "256",
        "memory": "512",
        "createdAt": seconds(task.created_at),
        "startedAt": task.started_at.map(seconds),
        "stoppingAt": task.stopping_at.map(seconds),
        "stoppedAt": task.stopped_at.map(seconds),
        "stopCode": task.stop_code,
        "stoppedReason": task.stopped_reason,
        "containers": [container_json(task)],
        "overrides": { "containerOverrides": overrides_json(&task.overrides) },
        "attachments": [],
        "attributes": [],
        "tags": [],
        "enableExecuteCommand": false,
        "version": 1,
    })
}

fn container_json(task: &TaskRecord) -> Value {
    let container_arn = task.arn.replacen(":task/", ":container/", 1);
    json!({
        "containerArn": format!("{container_arn}/{}", task.container),
        "taskArn": task.arn,
        "name": task.container,
        "lastStatus": container_status(task.last_status),
        "exitCode": task.exit_code,
        "networkInterfaces": [],
        "cpu": "0",
    })
}

fn container_status(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::Provisioning | TaskStatus::Pending => "PENDING",
        TaskStatus::Running => "RUNNING",
        TaskStatus::Deprovisioning | TaskStatus::Stopped => "STOPPED",
    }
}

fn overrides_json(overrides: &[ContainerOverride]) -> Value {
    overrides.iter().map(override_json).collect()
}

fn override_json(container: &ContainerOverride) -> Value {
    let environment: Vec<Value> = container
        .environment
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect();
    let mut members = Map::new();
    members.insert("name".to_owned(), container.name.as_str().into());
    if !environment.is_empty() {
        members.insert("environment".to_owned(), environment.into());
    }
    if !container.command.is_empty() {
        members.insert("command".to_owned(), container.command.clone().into());
    }
    members.into()
}
