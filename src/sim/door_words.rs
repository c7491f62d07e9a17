//! The model's records in the domain's words, for the Platform door.

use super::ecs::{DesiredStatus, TaskRecord, TaskStatus};
use super::error::SimError;
use super::events::{RuleRecord, RuleSetting, TargetRecord};
use super::faults::{Fault, FaultKind};
use super::rds::{ExportRecord, SnapshotRecord};
use super::s3::ObjectRecord;
use super::workflow::{CrawlRecord, JobRunRecord, RunStatus, WorkflowRunRecord};
use crate::domain::{
    ErrorClass, Export, ExportStatus, NodeKind, NodeRun, Rule, RuleState, RuleTarget, Snapshot,
    Task, TaskState, WorkflowNode, WorkflowRun, WorkflowStatistics, WorkflowStatus,
};
use crate::platform::{ObjectInfo, PlatformError, TaskFamily};

/// EventBridge's code for two changes that met; the other services have others of the same class.
const CONCURRENT: &str = "ConcurrentModificationException";

/// A fault as the caller feels it.
pub(super) fn lost(operation: &'static str, fault: Fault) -> PlatformError {
    let (class, code, message) = match fault.kind {
        FaultKind::Throttle => {
            (ErrorClass::Throttled, Some("ThrottlingException"), "Rate exceeded")
        }
        FaultKind::Denied => (ErrorClass::Denied, Some("AccessDeniedException"), "not authorized"),
        FaultKind::Concurrent => {
            (ErrorClass::Conflict, Some(CONCURRENT), "There is concurrent modification")
        }
        FaultKind::Server => (ErrorClass::Server, Some("InternalFailure"), "internal error"),
        FaultKind::Timeout => (ErrorClass::Timeout, None, "no answer in time"),
        FaultKind::Dropped => (ErrorClass::Transport, None, "the connection was closed"),
    };
    PlatformError {
        operation,
        class,
        code: code.map(str::to_owned),
        message: message.to_owned(),
        request_id: None,
    }
}

/// A refusal of a service, classified.
pub(super) fn error(operation: &'static str, refused: &SimError) -> PlatformError {
    PlatformError {
        operation,
        class: class_of(refused),
        code: Some(refused.code.to_owned()),
        message: refused.message.clone(),
        request_id: None,
    }
}

fn class_of(refused: &SimError) -> ErrorClass {
    let code = refused.code;
    let is_about = |words: &[&str]| words.iter().any(|word| code.contains(word));
    if is_about(&["NotFound", "NoSuch"]) {
        ErrorClass::NotFound
    } else if code == "InvalidObjectState" || code.starts_with("KMS.") {
        ErrorClass::Invalid
    } else if is_about(&["AccessDenied"]) {
        ErrorClass::Denied
    } else if code == "SlowDown" {
        ErrorClass::Throttled
    } else if is_about(&["Conflict", "PreconditionFailed", "Concurrent", "AlreadyExists", "State"])
    {
        ErrorClass::Conflict
    } else if refused.status >= 500 {
        ErrorClass::Server
    } else {
        ErrorClass::Invalid
    }
}

/// A refusal that only the door knows.
pub(super) fn refusal(code: &'static str, status: u16, message: &str) -> SimError {
    SimError::new(code, status, message)
}

/// An object as a listing shows it.
pub(super) fn object_info(object: &ObjectRecord) -> ObjectInfo {
    ObjectInfo {
        key: object.key.clone(),
        size: object.body.len(),
        etag: object.etag.clone(),
        last_modified: object.last_modified,
        storage_class: Some(object.storage_class.clone()),
    }
}

/// A task, with the value of the family's date variable.
pub(super) fn task(record: &TaskRecord, family: &TaskFamily) -> Task {
    let mut overrides = record.overrides.iter();
    let date = overrides.find_map(|each| each.environment.get(&family.date_variable));
    let container_counts = record.container == family.container;
    Task {
        arn: record.arn.clone(),
        state: task_state(record),
        started_by: record.started_by.clone(),
        date_override: date.cloned(),
        created_at: Some(record.created_at),
        stopped_at: record.stopped_at,
        exit_code: record.exit_code.filter(|_| container_counts),
        stopped_reason: stopped_reason(record),
    }
}

fn task_state(record: &TaskRecord) -> TaskState {
    match record.last_status {
        TaskStatus::Stopped => TaskState::Stopped,
        TaskStatus::Deprovisioning => TaskState::Stopping,
        _ if record.desired_status == DesiredStatus::Stopped => TaskState::Stopping,
        TaskStatus::Provisioning | TaskStatus::Pending => TaskState::Starting,
        TaskStatus::Running => TaskState::Running,
    }
}

fn stopped_reason(record: &TaskRecord) -> Option<String> {
    let code = record.stop_code?;
    Some(format!("{code}: {}", record.stopped_reason.as_deref().unwrap_or_default()))
}

/// A snapshot.
pub(super) fn snapshot(record: &SnapshotRecord) -> Snapshot {
    Snapshot {
        id: record.id.clone(),
        arn: record.arn.clone(),
        status: record.status.to_owned(),
        percent: Some(record.percent),
        created_at: Some(record.created_at),
    }
}

/// An export.
pub(super) fn export(record: &ExportRecord) -> Export {
    let status = match record.status {
        "STARTING" => ExportStatus::Starting,
        "IN_PROGRESS" => ExportStatus::InProgress,
        "COMPLETE" => ExportStatus::Complete,
        other => ExportStatus::Ended(other.to_owned()),
    };
    Export {
        id: record.id.clone(),
        source_arn: record.source_arn.clone(),
        status,
        percent: Some(record.percent),
        started_at: record.started_at,
        ended_at: record.ended_at,
        warning: record.warning.clone(),
        failure: record.failure.clone(),
    }
}

/// A workflow run; with the crawler's name, its graph too.
pub(super) fn workflow_run(record: &WorkflowRunRecord, crawler: Option<&str>) -> WorkflowRun {
    let statistics = record.statistics();
    WorkflowRun {
        id: record.id.clone(),
        status: workflow_status(record.status),
        started_at: Some(record.started_at),
        ended_at: record.completed_at,
        properties: record.properties.clone(),
        statistics: Some(WorkflowStatistics {
            total: statistics.total,
            succeeded: statistics.succeeded,
            unsuccessful: statistics.failed + statistics.stopped,
        }),
        nodes: crawler.map(|crawler| nodes(record, crawler)).unwrap_or_default(),
        error: record.error.clone(),
    }
}

fn workflow_status(status: RunStatus) -> WorkflowStatus {
    match status {
        RunStatus::Running | RunStatus::Stopping => WorkflowStatus::Running,
        RunStatus::Completed => WorkflowStatus::Completed,
        RunStatus::Stopped | RunStatus::Error => WorkflowStatus::Ended(status.as_str().to_owned()),
    }
}

fn nodes(record: &WorkflowRunRecord, crawler: &str) -> Vec<WorkflowNode> {
    let crawls = record.crawls.iter().map(crawl_run).collect();
    let crawl = WorkflowNode { name: crawler.to_owned(), kind: NodeKind::Crawler, runs: crawls };
    let jobs = record.job_runs.iter().map(|(name, runs)| WorkflowNode {
        name: name.clone(),
        kind: NodeKind::Job,
        runs: runs.iter().map(job_run).collect(),
    });
    std::iter::once(crawl).chain(jobs).collect()
}

fn crawl_run(crawl: &CrawlRecord) -> NodeRun {
    NodeRun { state: crawl.state.to_owned(), error: crawl.error.clone() }
}

fn job_run(run: &JobRunRecord) -> NodeRun {
    NodeRun { state: run.state.to_owned(), error: run.error.clone() }
}

/// A rule with its targets.
pub(super) fn rule(record: &RuleRecord) -> Rule {
    let state = match record.state {
        RuleSetting::Enabled => RuleState::Enabled,
        RuleSetting::Disabled => RuleState::Disabled,
        RuleSetting::EnabledWithManagementEvents => {
            RuleState::Other(record.state.as_str().to_owned())
        }
    };
    Rule {
        name: record.name.clone(),
        state,
        managed_by: record.managed_by.clone(),
        targets: record.targets.iter().map(target).collect(),
        other_targets: record.other_targets.clone(),
    }
}

fn target(record: &TargetRecord) -> RuleTarget {
    RuleTarget {
        id: record.id.clone(),
        cluster_arn: record.cluster_arn.clone(),
        task_definition: Some(record.task_definition_arn.clone()),
        platform_version: record.platform_version.clone(),
        task_count: Some(record.task_count),
        network: record.network.clone(),
        not_copied: record.input.iter().map(|_| "Input").collect(),
    }
}
