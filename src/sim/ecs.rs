//! ECS: tasks and their lives, tokens, listing and describing.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};

use super::error::{SimError, SimResult};
use super::world::{Happening, World};
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
    /// By key; granted only to those who hold `ecs:TagResource`.
    pub tags: BTreeMap<String, String>,
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
    /// By key.
    pub tags: BTreeMap<String, String>,
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

/// A step in a task's life; the load itself is in `load.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TaskStep {
    /// Its network is there.
    Pending,
    /// Its container begins.
    Run,
    /// The dump is here and unpacked.
    Fetched,
    /// The last row is in.
    Loaded,
    /// ECS sees at last that its process ended.
    Exits,
    /// SIGKILL.
    Killed,
    /// It is gone.
    Stopped,
}

/// A token is remembered for so long.
const TOKEN_LIFETIME_HOURS: i64 = 24;

#[derive(Clone, Debug, Default)]
pub(super) struct Ecs {
    pub(super) tasks: BTreeMap<String, TaskRecord>,
    /// Those that ECS may still know: the others stopped long ago.
    recent: BTreeSet<String>,
    /// Per cluster and token: the request, the task that it started, and when.
    tokens: BTreeMap<(String, String), (RunTask, String, DateTime<Utc>)>,
}

impl World {
    /// `ecs:RunTask`.
    pub fn run_task(&mut self, request: &RunTask) -> SimResult<RunTaskAnswer> {
        self.check_run_task(request)?;
        if let Some(task) = self.task_of_token(request)? {
            return Ok(RunTaskAnswer { tasks: vec![task], failures: Vec::new() });
        }
        let date = self.override_of(request).and_then(|text| text.parse().ok());
        let day = date.unwrap_or_else(|| self.now.date_naive());
        if self.script(day, |profile| profile.capacity_refused.take()) {
            let failure = capacity_refused(&request.cluster);
            return Ok(RunTaskAnswer { tasks: Vec::new(), failures: vec![failure] });
        }
        let task = self.new_task(request, date);
        self.remember_token(request, &task.arn);
        if !self.script(day, |profile| profile.never_starts.take()) {
            let step = Happening::Task { arn: task.arn.clone(), step: TaskStep::Pending };
            self.after(self.timing.provisioning, step);
        }
        self.ecs.tasks.insert(task.arn.clone(), task.clone());
        self.forget_old_tasks();
        self.ecs.recent.insert(task.arn.clone());
        Ok(RunTaskAnswer { tasks: vec![task], failures: Vec::new() })
    }

    /// `ecs:ListTasks` without paging: ARNs.
    pub fn list_tasks(&self, cluster: &str, filter: &TaskFilter) -> SimResult<Vec<String>> {
        self.check_cluster(cluster)?;
        if filter.started_by.is_some() && filter.family.is_some() {
            return Err(invalid("Only one of family and startedBy may be given."));
        }
        let wanted = filter.desired_status.unwrap_or(DesiredStatus::Running);
        let fits = |task: &&TaskRecord| {
            self.knows(task)
                && task.desired_status == wanted
                && filter.family.as_ref().is_none_or(|family| *family == task.family)
                && (filter.started_by.is_none() || filter.started_by == task.started_by)
        };
        Ok(self.recent_tasks().filter(fits).map(|task| task.arn.clone()).collect())
    }

    /// The tasks of the last hours, in order of their ARNs.
    pub(super) fn recent_tasks(&self) -> impl Iterator<Item = &TaskRecord> {
        self.ecs.recent.iter().filter_map(|arn| self.ecs.tasks.get(arn))
    }

    fn forget_old_tasks(&mut self) {
        let mut recent = std::mem::take(&mut self.ecs.recent);
        let before = self.now - self.timing.describable;
        recent.retain(|arn| {
            let stopped_at = self.ecs.tasks.get(arn).and_then(|task| task.stopped_at);
            stopped_at.is_none_or(|at| at >= before)
        });
        self.ecs.recent = recent;
    }

    /// `ecs:DescribeTasks`: the tasks that ECS knows, and `MISSING` for the others.
    pub fn describe_tasks(
        &self,
        cluster: &str,
        arns: &[String],
    ) -> SimResult<(Vec<TaskRecord>, Vec<TaskFailure>)> {
        self.check_cluster(cluster)?;
        let (mut tasks, mut failures) = (Vec::new(), Vec::new());
        for name in arns {
            let arn = self.task_arn(name);
            match self.ecs.tasks.get(&arn).filter(|task| self.knows(task)) {
                Some(task) => tasks.push(task.clone()),
                None => failures.push(TaskFailure {
                    arn: Some(arn),
                    reason: "MISSING".to_owned(),
                    detail: None,
                }),
            }
        }
        Ok((tasks, failures))
    }

    /// `ecs:StopTask`, by ARN or id: SIGTERM, and after the grace SIGKILL. Until then the script goes on.
    pub fn stop_task(&mut self, cluster: &str, task: &str, reason: &str) -> SimResult<TaskRecord> {
        self.check_cluster(cluster)?;
        let (now, grace, leaving) = (self.now, self.timing.stop_grace, self.timing.deprovisioning);
        let arn = self.task_arn(task);
        let Some(task) = self.ecs.tasks.get_mut(&arn) else {
            return Err(invalid("The referenced task was not found."));
        };
        if task.desired_status == DesiredStatus::Stopped {
            return Ok(task.clone());
        }
        task.desired_status = DesiredStatus::Stopped;
        task.stop_code = Some("UserInitiated");
        task.stopped_reason = Some(reason.to_owned());
        task.stopping_at = Some(now);
        let has_container = task.last_status == TaskStatus::Running;
        if !has_container {
            task.last_status = TaskStatus::Deprovisioning;
        }
        let answer = task.clone();
        if has_container {
            self.after(grace, Happening::Task { arn, step: TaskStep::Killed });
        } else {
            self.after(leaving, Happening::Task { arn, step: TaskStep::Stopped });
        }
        Ok(answer)
    }

    fn knows(&self, task: &TaskRecord) -> bool {
        let forgotten = task.stopped_at.is_some_and(|at| at + self.timing.describable < self.now);
        task.visible_from <= self.now && !forgotten
    }

    fn task_arn(&self, name: &str) -> String {
        if name.starts_with("arn:") {
            return name.to_owned();
        }
        self.names.arn("ecs", &format!("task/{}/{name}", self.names.cluster))
    }

    fn check_cluster(&self, cluster: &str) -> SimResult<()> {
        if cluster == self.names.cluster || cluster == self.names.cluster_arn() {
            return Ok(());
        }
        Err(SimError::new("ClusterNotFoundException", 400, "Cluster not found."))
    }

    fn check_run_task(&self, request: &RunTask) -> SimResult<()> {
        self.check_cluster(&request.cluster)?;
        let definition = request.task_definition.rsplit('/').next().unwrap_or_default();
        if definition.split(':').next() != Some(&self.names.family) {
            return Err(SimError::new("ClientException", 400, "TaskDefinition not found."));
        }
        check_words(request)?;
        let Some(network) = &request.network else {
            return Err(invalid(
                "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
            ));
        };
        if network.subnets.is_empty() {
            return Err(invalid("subnets can not be empty."));
        }
        match request.overrides.iter().find(|each| each.name != self.names.family) {
            Some(stranger) => Err(invalid(format!(
                "Override for container named {} is not a container in the TaskDefinition.",
                stranger.name
            ))),
            None => Ok(()),
        }
    }

    fn task_of_token(&self, request: &RunTask) -> SimResult<Option<TaskRecord>> {
        let Some(token) = &request.client_token else { return Ok(None) };
        let known = self.ecs.tokens.get(&(self.names.cluster.clone(), token.clone()));
        let Some((first, arn, at)) = known else { return Ok(None) };
        if *at + chrono::Duration::hours(TOKEN_LIFETIME_HOURS) <= self.now {
            return Ok(None);
        }
        if first != request {
            let message = "The client token was used with other parameters.";
            let mut conflict = SimError::new("ConflictException", 400, message);
            conflict.resource_ids = vec![arn.clone()];
            return Err(conflict);
        }
        Ok(self.ecs.tasks.get(arn).cloned())
    }

    fn remember_token(&mut self, request: &RunTask, arn: &str) {
        let Some(token) = &request.client_token else { return };
        let key = (self.names.cluster.clone(), token.clone());
        self.ecs.tokens.insert(key, (request.clone(), arn.to_owned(), self.now));
    }

    fn override_of<'a>(&self, request: &'a RunTask) -> Option<&'a String> {
        let mut overrides = request.overrides.iter();
        overrides.find_map(|each| each.environment.get(&self.names.date_variable))
    }

    fn new_task(&mut self, request: &RunTask, date: Option<NaiveDate>) -> TaskRecord {
        let id = self.random_hex(32);
        TaskRecord {
            arn: self.task_arn(&id),
            cluster_arn: self.names.cluster_arn(),
            task_definition_arn: self.task_definition(&request.task_definition),
            family: self.names.family.clone(),
            container: self.names.family.clone(),
            last_status: TaskStatus::Provisioning,
            desired_status: DesiredStatus::Running,
            started_by: request.started_by.clone(),
            overrides: request.overrides.clone(),
            tags: request.tags.clone(),
            network: request.network.clone(),
            platform_version: request.platform_version.clone(),
            created_at: self.now,
            started_at: None,
            stopping_at: None,
            stopped_at: None,
            stop_code: None,
            stopped_reason: None,
            exit_code: None,
            visible_from: self.now + self.timing.task_invisible,
            date,
            live: self.override_of(request).is_none(),
        }
    }

    fn task_definition(&self, asked: &str) -> String {
        let definition = asked.rsplit('/').next().unwrap_or(asked);
        match definition.split_once(':') {
            Some(_) => self.names.arn("ecs", &format!("task-definition/{definition}")),
            None => self.names.task_definition_arn(),
        }
    }
}

fn check_words(request: &RunTask) -> SimResult<()> {
    let token_fits = |token: &String| {
        (1..=64).contains(&token.len()) && token.bytes().all(|byte| (33..=126).contains(&byte))
    };
    if !request.client_token.as_ref().is_none_or(token_fits) {
        return Err(invalid("clientToken must have 1 to 64 printable ASCII characters."));
    }
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '/' | '_');
    let words_fit = |words: &String| words.len() <= 128 && words.chars().all(word);
    if !request.started_by.as_ref().is_none_or(words_fit) {
        return Err(invalid("startedBy has a character that is not allowed, or is too long."));
    }
    Ok(())
}

fn capacity_refused(cluster: &str) -> TaskFailure {
    TaskFailure {
        arn: Some(cluster.to_owned()),
        reason: "Capacity is unavailable at this time. Please try again later or in a different \
                 availability zone"
            .to_owned(),
        detail: None,
    }
}

fn invalid(message: impl Into<String>) -> SimError {
    SimError::new("InvalidParameterException", 400, message)
}
