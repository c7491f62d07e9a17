//! EventBridge Scheduler: REST and JSON.

use chrono::DateTime;
use serde_json::{Value, json};

use super::json::{Arguments, prune, seconds};
use super::paging::page;
use super::reply::{Refusal, Reply};
use super::route::Incoming;
use super::shape::Service;
use super::uri;
use crate::sim::{ScheduleRecord, World};

/// What the door knows of the Scheduler.
pub(super) const OPERATIONS: &[&str] = &[
    "scheduler:CreateSchedule",
    "scheduler:GetSchedule",
    "scheduler:DeleteSchedule",
    "scheduler:ListSchedules",
    "scheduler:CreateScheduleGroup",
    "scheduler:GetScheduleGroup",
    "scheduler:ListScheduleGroups",
];

/// The code for an argument that will not do.
pub(super) const INVALID: &str = "ValidationException";

const PAGE_LIMIT: usize = 100;
const DEFAULT_GROUP: &str = "default";

/// The operation's name, from method and path.
pub(super) fn operation_name(request: &Incoming) -> &'static str {
    let (collection, name) = collection_and_name(&request.path);
    match (collection.as_str(), request.method.as_str(), name.is_empty()) {
        ("schedules", "POST", false) => "CreateSchedule",
        ("schedules", "GET", false) => "GetSchedule",
        ("schedules", "PUT", false) => "UpdateSchedule",
        ("schedules", "DELETE", false) => "DeleteSchedule",
        ("schedules", "GET", true) => "ListSchedules",
        ("schedule-groups", "POST", false) => "CreateScheduleGroup",
        ("schedule-groups", "GET", false) => "GetScheduleGroup",
        ("schedule-groups", "DELETE", false) => "DeleteScheduleGroup",
        ("schedule-groups", "GET", true) => "ListScheduleGroups",
        _ => "Unknown",
    }
}

fn collection_and_name(path: &str) -> (String, String) {
    let path = path.trim_start_matches('/');
    let (collection, name) = path.split_once('/').unwrap_or((path, ""));
    (collection.to_owned(), uri::decode(name.trim_end_matches('/'), false))
}

/// The name in the path.
pub(super) fn named(request: &Incoming) -> String {
    collection_and_name(&request.path).1
}

/// Carries out an operation.
pub(super) fn answer(
    operation: &str,
    request: &Incoming,
    world: &mut World,
) -> Result<Reply, Refusal> {
    let name = named(request);
    let group = request.query.get("groupName").unwrap_or(DEFAULT_GROUP);
    match operation {
        "CreateSchedule" => create(request, &name, world),
        "GetSchedule" => Ok(reply(schedule_json(world.schedule(group, &name)?, world))),
        "DeleteSchedule" => {
            world.delete_schedule(group, &name)?;
            Ok(reply(json!({})))
        }
        "ListSchedules" => list(request, world),
        "CreateScheduleGroup" => {
            let arn = world.create_schedule_group(&name)?;
            Ok(reply(json!({ "ScheduleGroupArn": arn })))
        }
        "GetScheduleGroup" => get_group(&name, world),
        "ListScheduleGroups" => list_groups(request, world),
        _ => Err(Service::Scheduler.unknown_operation(operation)),
    }
}

fn reply(mut body: Value) -> Reply {
    prune(&mut body);
    Reply::new(200, "application/json", body.to_string())
}

fn create(request: &Incoming, name: &str, world: &mut World) -> Result<Reply, Refusal> {
    let arguments = Arguments::parse(&request.body, INVALID)?;
    let window = arguments.object("FlexibleTimeWindow")?;
    if window.required("Mode")? != "OFF" {
        return Err(arguments.refuse("a flexible window is not part of the simulated pipeline"));
    }
    let target = arguments.object("Target")?;
    let schedule = ScheduleRecord {
        name: name.to_owned(),
        group: arguments.filled("GroupName")?.unwrap_or(DEFAULT_GROUP).to_owned(),
        expression: arguments.required("ScheduleExpression")?.to_owned(),
        timezone: arguments.filled("ScheduleExpressionTimezone")?.map(str::to_owned),
        target_arn: target.required("Arn")?.to_owned(),
        input: target.text("Input")?.map(str::to_owned),
        role_arn: target.required("RoleArn")?.to_owned(),
        state: arguments.filled("State")?.unwrap_or("ENABLED").to_owned(),
        delete_after: arguments.text("ActionAfterCompletion")? == Some("DELETE"),
        client_token: arguments.filled("ClientToken")?.map(str::to_owned),
        created_at: DateTime::UNIX_EPOCH,
    };
    let arn = world.create_schedule(schedule)?;
    Ok(reply(json!({ "ScheduleArn": arn })))
}

fn schedule_arn(group: &str, name: &str, world: &World) -> String {
    world.names.arn("scheduler", &format!("schedule/{group}/{name}"))
}

fn schedule_json(schedule: &ScheduleRecord, world: &World) -> Value {
    json!({
        "Name": schedule.name,
        "GroupName": schedule.group,
        "Arn": schedule_arn(&schedule.group, &schedule.name, world),
        "ScheduleExpression": schedule.expression,
        "ScheduleExpressionTimezone": schedule.timezone.as_deref().unwrap_or("UTC"),
        "State": schedule.state,
        "FlexibleTimeWindow": { "Mode": "OFF" },
        "ActionAfterCompletion": if schedule.delete_after { "DELETE" } else { "NONE" },
        "Target": {
            "Arn": schedule.target_arn,
            "RoleArn": schedule.role_arn,
            "Input": schedule.input,
            "RetryPolicy": { "MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185 },
        },
        "CreationDate": seconds(schedule.created_at),
        "LastModificationDate": seconds(schedule.created_at),
    })
}

/// What a listing was asked for, in the query string.
struct Listing<'q> {
    prefix: &'q str,
    token: Option<&'q str>,
    limit: usize,
}

impl<'q> Listing<'q> {
    fn read(request: &'q Incoming) -> Result<Self, Refusal> {
        let asked = request.query.get("MaxResults");
        let limit = asked.map_or(Ok(PAGE_LIMIT), |asked| {
            let limit = asked.parse().ok().filter(|limit| (1..=PAGE_LIMIT).contains(limit));
            limit.ok_or_else(|| Refusal::bad(INVALID, "MaxResults must be between 1 and 100"))
        })?;
        let prefix = request.query.get("NamePrefix").unwrap_or_default();
        Ok(Self { prefix, token: request.query.get("NextToken"), limit })
    }
}

fn list(request: &Incoming, world: &World) -> Result<Reply, Refusal> {
    let listing = Listing::read(request)?;
    let group = request.query.get("ScheduleGroup");
    let state = request.query.get("State");
    let mut schedules = world.schedules(group);
    schedules.retain(|schedule| {
        schedule.name.starts_with(listing.prefix)
            && state.is_none_or(|state| schedule.state == state)
    });
    let key = |schedule: &ScheduleRecord| format!("{}\u{1}{}", schedule.group, schedule.name);
    let scope = format!("schedules\n{group:?}\n{}", listing.prefix);
    let page =
        page(schedules, key, &scope, listing.token, listing.limit).map_err(|_| bad_token())?;
    let schedules: Vec<Value> = page.items.iter().map(|one| summary_json(one, world)).collect();
    Ok(reply(json!({ "Schedules": schedules, "NextToken": page.next })))
}

fn bad_token() -> Refusal {
    Refusal::bad(INVALID, "Invalid NextToken")
}

fn summary_json(schedule: &ScheduleRecord, world: &World) -> Value {
    json!({
        "Name": schedule.name,
        "GroupName": schedule.group,
        "Arn": schedule_arn(&schedule.group, &schedule.name, world),
        "State": schedule.state,
        "Target": { "Arn": schedule.target_arn },
        "CreationDate": seconds(schedule.created_at),
        "LastModificationDate": seconds(schedule.created_at),
    })
}

fn group_json(name: &str, world: &World) -> Value {
    json!({
        "Name": name,
        "Arn": world.names.arn("scheduler", &format!("schedule-group/{name}")),
        "State": "ACTIVE",
    })
}

fn get_group(name: &str, world: &World) -> Result<Reply, Refusal> {
    if world.schedule_groups().iter().any(|group| group == name) {
        return Ok(reply(group_json(name, world)));
    }
    let message = format!("Schedule group {name} does not exist.");
    Err(Refusal::new(404, "ResourceNotFoundException", message))
}

fn list_groups(request: &Incoming, world: &World) -> Result<Reply, Refusal> {
    let listing = Listing::read(request)?;
    let mut groups = world.schedule_groups();
    groups.retain(|group| group.starts_with(listing.prefix));
    let page = page(groups, Clone::clone, "groups", listing.token, listing.limit)
        .map_err(|_| bad_token())?;
    let groups: Vec<Value> = page.items.iter().map(|group| group_json(group, world)).collect();
    Ok(reply(json!({ "ScheduleGroups": groups, "NextToken": page.next })))
}
