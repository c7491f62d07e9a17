//! What the pipeline shows of itself: tasks, snapshots, exports, workflow runs, the rule.
//!
//! These are the services' facts in our words. A state that a service may add one day
//! is kept as `Other`/`Unknown`, and never taken for success.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Where an ECS task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// Wanted to run, and nothing more is known of it: ECS lists it and does not describe it.
    Listed,
    /// Before its container runs: provisioning, pending, activating.
    Starting,
    /// Its container runs.
    Running,
    /// On its way out: deactivating, stopping, deprovisioning.
    Stopping,
    /// Over.
    Stopped,
}

/// A task of the load's family, whoever started it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its ARN.
    pub arn: String,
    /// Where it is in its life.
    pub state: TaskState,
    /// Who started it: `events-rule/…` for the rule, ours for ours.
    pub started_by: Option<String>,
    /// The value of the load's date variable in its overrides: its date, when it is backdated.
    pub date_override: Option<String>,
    /// When it was asked for.
    pub created_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub stopped_at: Option<DateTime<Utc>>,
    /// The exit code of the load's container; `None` when it never ran (never success).
    pub exit_code: Option<i32>,
    /// The service's stop code and reason, in its own words.
    pub stopped_reason: Option<String>,
}

impl Task {
    /// A task of which only its ARN is known.
    #[must_use]
    pub fn listed(arn: String) -> Self {
        Self {
            arn,
            state: TaskState::Listed,
            started_by: None,
            date_override: None,
            created_at: None,
            stopped_at: None,
            exit_code: None,
            stopped_reason: None,
        }
    }

    /// Whether more is known of it than that it is there.
    #[must_use]
    pub fn is_described(&self) -> bool {
        self.state != TaskState::Listed
    }

    /// Whether it may still touch the shared database.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.state != TaskState::Stopped
    }
}

/// An RDS snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its identifier.
    pub id: String,
    /// Its ARN: what an export names as its source.
    pub arn: String,
    /// `available`, `creating`, `failed`, … as RDS writes it.
    pub status: String,
    /// Percent made.
    pub percent: Option<u8>,
    /// When it was made.
    pub created_at: Option<DateTime<Utc>>,
}

impl Snapshot {
    /// Whether it is whole.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.status == "available"
    }
}

/// The state of an export to S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportStatus {
    /// Accepted.
    Starting,
    /// Under way.
    InProgress,
    /// Over, and whole unless it carries a warning (H22).
    Complete,
    /// Failed, cancelled, being cancelled, or a word that we do not know.
    Ended(String),
}

/// An RDS export task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Its identifier: can be used once (H21).
    pub id: String,
    /// The snapshot's ARN.
    pub source_arn: String,
    /// Where it is.
    pub status: ExportStatus,
    /// Percent exported.
    pub percent: Option<u8>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// A warning names skipped tables (H22).
    pub warning: Option<String>,
    /// Why it failed.
    pub failure: Option<String>,
}

impl Export {
    /// Whether it is still at work.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.status, ExportStatus::Starting | ExportStatus::InProgress)
    }
}

/// The state of a Glue workflow run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkflowStatus {
    /// Under way, or stopping.
    Running,
    /// No more actions to run; says nothing about success (H26).
    Completed,
    /// Stopped, in error, or a word that we do not know.
    Ended(String),
}

/// What a workflow run's counters say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkflowStatistics {
    /// Actions that were started.
    pub total: u32,
    /// That succeeded.
    pub succeeded: u32,
    /// That failed, errored, timed out or were stopped.
    pub unsuccessful: u32,
}

/// The kind of a node in a workflow's graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A crawler.
    Crawler,
    /// A job.
    Job,
}

/// One run of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRun {
    /// `SUCCEEDED`, `FAILED`, … as Glue writes it.
    pub state: String,
    /// Its error message.
    pub error: Option<String>,
}

/// A crawler or job in a workflow run's graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowNode {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
    /// Its runs, oldest first; none when it was never triggered.
    pub runs: Vec<NodeRun>,
}

/// A run of a Glue workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowRun {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub status: WorkflowStatus,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Its run properties; the date's property says which date it is about (H4).
    pub properties: BTreeMap<String, String>,
    /// Its counters.
    pub statistics: Option<WorkflowStatistics>,
    /// Its graph, when it was asked for.
    pub nodes: Vec<WorkflowNode>,
    /// Glue's own error message.
    pub error: Option<String>,
}

/// Where a Fargate task runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// All the subnets.
    pub subnets: Vec<String>,
    /// The security groups; without the right one the task cannot reach the database (H25).
    pub security_groups: Vec<String>,
    /// The runbook: turned off.
    pub assign_public_ip: bool,
}

/// The state of an event rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleState {
    /// Exactly `ENABLED`: the only state that we ever toggle.
    Enabled,
    /// `DISABLED`.
    Disabled,
    /// Another state: never touched, for `EnableRule` could not restore it.
    Other(String),
}

/// The ECS part of a rule's target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTarget {
    /// Its id within the rule.
    pub id: String,
    /// The cluster's ARN.
    pub cluster_arn: String,
    /// The task definition with its revision.
    pub task_definition: Option<String>,
    /// The Fargate platform version.
    pub platform_version: Option<String>,
    /// How many tasks it starts; one, or the pipeline is not the one we know.
    pub task_count: Option<i32>,
    /// Where its tasks run.
    pub network: Option<Network>,
    /// What it sets that a run started by us would not have, such as an input; empty for the
    /// pipeline's own.
    pub not_copied: Vec<&'static str>,
}

/// The event rule that fires the live run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: RuleState,
    /// Set when an AWS service manages it: never touched.
    pub managed_by: Option<String>,
    /// Its ECS targets.
    pub targets: Vec<RuleTarget>,
    /// Its other targets, by ARN.
    pub other_targets: Vec<String>,
}

/// A family of tasks, and what we need to read of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFamily {
    /// Cluster name or ARN.
    pub cluster: String,
    /// The family's name.
    pub family: String,
    /// The container whose exit code counts.
    pub container: String,
    /// The environment variable that carries a backdated run's date.
    pub date_variable: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_is_only_listed_is_alive_and_one_that_stops_still_is() {
        let listed = Task::listed("arn".to_owned());
        assert!(listed.is_alive() && !listed.is_described());
        let stopping = Task { state: TaskState::Stopping, ..listed.clone() };
        assert!(stopping.is_alive() && stopping.is_described());
        let stopped = Task { state: TaskState::Stopped, ..listed };
        assert!(!stopped.is_alive() && stopped.is_described());
    }
}
