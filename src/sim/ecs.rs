//! ECS: tasks and their lives, tokens, listing and describing.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};

use super::error::SimResult;
use super::world::World;
use crate::domain::Network;

/// A task's `lastStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskStatus {
    /// Waiting for its network.
    Provisioning,
    /// Pulling its image.
    Pending,
    /// Its container runs.
    Running,
    /// Its container is over.
    Deprovisioning,
    /// Over.
    Stopped,
}

impl TaskStatus {
    /// As ECS writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Deprovisioning => "DEPROVISIONING",
            Self::Stopped => "STOPPED",
        }
    }
}

/// A task's `desiredStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DesiredStatus {
    /// It should run.
    Running,
    /// It should stop, or has stopped.
    Stopped,
}

impl DesiredStatus {
    /// As ECS writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Stopped => "STOPPED",
        }
    }
}

/// What a container is told beyond its definition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerOverride {
    /// The container.
    pub name: String,
    /// Extra environment.
    pub environment: BTreeMap<String, String>,
    /// Another command.
    pub command: Vec<String>,
}

/// `ecs:RunTask`, with a count of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunTask {
    /// Name or ARN.
    pub cluster: String,
    /// Family, `family:revision`, or ARN.
    pub task_definition: String,
    /// Where it runs.
    pub network: Option<Network>,
    /// `FARGATE`.
    pub launch_type: Option<String>,
    /// The Fargate platform version.
    pub platform_version: Option<String>,
    /// The same token and parameters start nothing twice.
    pub client_token: Option<String>,
    /// Free words.
    pub started_by: Option<String>,
    /// Per container.
    pub overrides: Vec<ContainerOverride>,
}

/// An entry of `failures[]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFailure {
    /// What it is about.
    pub arn: Option<String>,
    /// `MISSING`, or why it was refused.
    pub reason: String,
    /// More words.
    pub detail: Option<String>,
}

/// The answer of `RunTask`: 200 with failures is a refusal all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunTaskAnswer {
    /// The task.
    pub tasks: Vec<TaskRecord>,
    /// Why there is none.
    pub failures: Vec<TaskFailure>,
}

/// `ecs:ListTasks`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Only tasks of this family.
    pub family: Option<String>,
    /// Only tasks started by this.
    pub started_by: Option<String>,
    /// `None` means RUNNING, as in ECS.
    pub desired_status: Option<DesiredStatus>,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRecord {
    /// Its ARN; the last part is its id.
    pub arn: String,
    /// The cluster's ARN.
    pub cluster_arn: String,
    /// With the revision.
    pub task_definition_arn: String,
    /// The family.
    pub family: String,
    /// The container.
    pub container: String,
    /// Where it is in its life.
    pub last_status: TaskStatus,
    /// Where it should be.
    pub desired_status: DesiredStatus,
    /// Who started it.
    pub started_by: Option<String>,
    /// What its containers were told.
    pub overrides: Vec<ContainerOverride>,
    /// Where it runs.
    pub network: Option<Network>,
    /// The Fargate platform version.
    pub platform_version: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When its container began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it began to end.
    pub stopping_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub stopped_at: Option<DateTime<Utc>>,
    /// `EssentialContainerExited`, `UserInitiated`, `TaskFailedToStart`.
    pub stop_code: Option<&'static str>,
    /// Words.
    pub stopped_reason: Option<String>,
    /// Of the container; none when it never ran.
    pub exit_code: Option<i32>,
    /// From when on ECS answers for it.
    pub visible_from: DateTime<Utc>,
    /// The date that it loads: the override, or the UTC date at its start. For tests, not on the wire.
    pub date: Option<NaiveDate>,
    /// Whether it is a live run: no override. For tests, not on the wire.
    pub live: bool,
}

impl TaskRecord {
    /// The last part of its ARN.
    pub fn id(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or(&self.arn)
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Ecs {
    pub(super) tasks: BTreeMap<String, TaskRecord>,
    pub(super) tokens: BTreeMap<(String, String), (RunTask, String, DateTime<Utc>)>,
    pub(super) unkillable: BTreeSet<String>,
}

impl World {
    /// `ecs:RunTask`.
    pub fn run_task(&mut self, request: &RunTask) -> SimResult<RunTaskAnswer> {
        let _ = request;
        todo!()
    }

    /// `ecs:ListTasks` without paging: ARNs.
    pub fn list_tasks(&self, cluster: &str, filter: &TaskFilter) -> SimResult<Vec<String>> {
        let _ = (cluster, filter);
        todo!()
    }

    /// `ecs:DescribeTasks`: the tasks that ECS knows, and `MISSING` for the others.
    pub fn describe_tasks(
        &self,
        cluster: &str,
        arns: &[String],
    ) -> SimResult<(Vec<TaskRecord>, Vec<TaskFailure>)> {
        let _ = (cluster, arns);
        todo!()
    }

    /// `ecs:StopTask`, by ARN or id.
    pub fn stop_task(&mut self, cluster: &str, task: &str, reason: &str) -> SimResult<TaskRecord> {
        let _ = (cluster, task, reason);
        todo!()
    }
}
