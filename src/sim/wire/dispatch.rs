//! One call, inside the World's lock: its faults, its service, its refusal.

use std::collections::BTreeMap;

use super::json::Arguments;
use super::reply::{Refusal, Reply};
use super::route::{Incoming, Route};
use super::shape::Service;
use super::{ecs, events, glue, logs, rds, s3, scheduler, sts};
use crate::sim::{Fault, FaultKind, Moment, World};

/// What becomes of a call.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is answered.
    Answered(Reply),
    /// It is answered with an error.
    Refused(Refusal),
    /// The connection is closed without an answer.
    Dropped,
    /// No answer ever comes.
    Silent,
}

/// Carries a call out, with whatever the World's plan of faults has for it.
pub(super) fn carry_out(
    route: &Route,
    request: &Incoming,
    target: &str,
    world: &mut World,
) -> Outcome {
    let service = route.service;
    if !request.is_signed() {
        return Outcome::Refused(service.unsigned());
    }
    let Some(operation) = route.operation else {
        tracing::warn!(service = service.name(), operation = %route.name, "unknown operation");
        return Outcome::Refused(service.unknown_operation(&route.name));
    };
    let fault = world.receive(operation, target);
    if let Some(Fault { kind, moment: Moment::Before }) = fault {
        return realised(service, &route.name, kind);
    }
    let result = answer(service, &route.name, request, world);
    match (fault, result) {
        (Some(fault), _) => realised(service, &route.name, fault.kind),
        (None, Ok(reply)) => Outcome::Answered(reply),
        (None, Err(refusal)) => Outcome::Refused(refusal),
    }
}

fn realised(service: Service, operation: &str, kind: FaultKind) -> Outcome {
    match kind {
        FaultKind::Throttle => Outcome::Refused(service.throttled()),
        FaultKind::Denied => Outcome::Refused(service.denied(operation)),
        FaultKind::Concurrent => Outcome::Refused(service.concurrent()),
        FaultKind::Server => Outcome::Refused(service.failed()),
        FaultKind::Timeout => Outcome::Silent,
        FaultKind::Dropped => Outcome::Dropped,
    }
}

fn answer(
    service: Service,
    operation: &str,
    request: &Incoming,
    world: &mut World,
) -> Result<Reply, Refusal> {
    let arguments = |invalid| Arguments::parse(&request.body, invalid);
    match service {
        Service::S3 => s3::answer(operation, request, world),
        Service::Glue => glue::answer(operation, &arguments(glue::INVALID)?, world),
        Service::Ecs => ecs::answer(operation, &arguments(ecs::INVALID)?, world),
        Service::Events => events::answer(operation, &arguments(events::INVALID)?, world),
        Service::Logs => logs::answer(operation, &arguments(logs::INVALID)?, world),
        Service::Scheduler => scheduler::answer(operation, request, world),
        Service::Rds => rds::answer(operation, request, world),
        Service::Sts => sts::answer(operation, request, world),
    }
}

/// What a call is about, in one name: for the logs of calls.
pub(super) fn target(service: Service, request: &Incoming) -> String {
    match service {
        Service::S3 => {
            let (bucket, key) = s3::bucket_and_key(&request.path);
            if key.is_empty() { bucket } else { format!("{bucket}/{key}") }
        }
        Service::Scheduler => scheduler::named(request),
        Service::Rds => {
            let form = request.form();
            let names = [
                "DBSnapshotIdentifier",
                "ExportTaskIdentifier",
                "SourceArn",
                "DBInstanceIdentifier",
            ];
            names.iter().find_map(|name| form.get(name)).unwrap_or_default().to_owned()
        }
        Service::Sts => String::new(),
        Service::Glue | Service::Ecs | Service::Events | Service::Logs => json_target(request),
    }
}

/// What a policy may ask about a call, under the names that IAM has for it, or its own.
pub(super) fn context(service: Service, request: &Incoming) -> BTreeMap<&'static str, String> {
    let json = || Arguments::parse(&request.body, "").ok();
    let argument = |name| Some(json()?.first_text(&[name])?.to_owned());
    let known: &[(&'static str, Option<String>)] = &match service {
        Service::S3 => vec![
            ("s3:prefix", request.query.get("prefix").map(str::to_owned)),
            ("s3:if-none-match", request.header("if-none-match").map(str::to_owned)),
        ],
        Service::Ecs => vec![
            ("ecs:cluster", argument("cluster")),
            ("aws:RequestTag/gapmend", json().and_then(|it| ecs::request_tag(&it, "gapmend"))),
        ],
        Service::Logs => vec![("log-group", argument("logGroupName"))],
        Service::Scheduler => vec![(
            "schedule-group",
            request.query.get("groupName").map(str::to_owned).or_else(|| argument("GroupName")),
        )],
        Service::Glue | Service::Events | Service::Rds | Service::Sts => Vec::new(),
    };
    known.iter().filter_map(|(name, value)| Some((*name, value.clone()?))).collect()
}

fn json_target(request: &Incoming) -> String {
    let Ok(arguments) = Arguments::parse(&request.body, "") else { return String::new() };
    let names = [
        "DatabaseName",
        "JobName",
        "Rule",
        "taskDefinition",
        "task",
        "logStreamName",
        "logGroupName",
        "family",
        "startedBy",
        "cluster",
        "Name",
    ];
    let first = arguments.first_text(&names).unwrap_or_default();
    match arguments.first_text(&["TableName", "RunId"]) {
        Some(second) if arguments.first_text(&["DatabaseName"]).is_some() => {
            format!("{first}.{second}")
        }
        Some(second) => format!("{first}/{second}"),
        None => first.to_owned(),
    }
}
