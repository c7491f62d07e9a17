//! ECS: the tasks of the load, whoever started them.
//!
//! Of a task's overrides only the date is ever read; the rest may hold secrets (H30).

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_ecs::error::SdkError;
use aws_sdk_ecs::operation::list_tasks::builders::ListTasksFluentBuilder;
use aws_sdk_ecs::operation::run_task::{RunTaskError, RunTaskOutput};
use aws_sdk_ecs::types::{
    AssignPublicIp, AwsVpcConfiguration, ContainerOverride, DesiredStatus, Failure as EcsFailure,
    KeyValuePair, LaunchType, NetworkConfiguration, Tag, Task as SdkTask, TaskOverride,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::convert::instant;
use super::error::Failure;
use super::line::{Line, Repeat};
use super::pages::Pages;
use crate::domain::{ErrorClass, Network, Task, TaskState};
use crate::platform::{Answer, PlatformError, TaskFamily, TaskRequest, TaskStart};

/// `ecs:ListTasks`
pub(super) const LIST_TASKS: &str = "ecs:ListTasks";
/// `ecs:DescribeTasks`
pub(super) const DESCRIBE_TASKS: &str = "ecs:DescribeTasks";
/// `ecs:RunTask`
pub(super) const RUN_TASK: &str = "ecs:RunTask";
/// `ecs:StopTask`
pub(super) const STOP_TASK: &str = "ecs:StopTask";

/// ECS's own limits.
const ARNS_PER_PAGE: i32 = 100;
const TASKS_PER_DESCRIPTION: usize = 100;
const STOP_REASON_LIMIT_CHARS: usize = 255;

/// The key of the tag on every task that gapmend starts: IAM lets it stop no other.
const TASK_TAG: &str = "gapmend";

/// The reason in `failures[]` for a task that ECS does not know.
const MISSING: &str = "MISSING";

/// The tasks.
pub(super) struct Tasks {
    client: aws_sdk_ecs::Client,
    line: Arc<Line>,
}

/// What the two lists of ARNs gave.
struct Listed {
    /// Wanted to run: none of these may go unseen.
    wanted: BTreeSet<String>,
    /// Wanted to stop; some are still on their way out.
    unwanted: BTreeSet<String>,
}

impl Listed {
    fn all(&self) -> Vec<String> {
        self.wanted.iter().chain(&self.unwanted).cloned().collect()
    }
}

impl Tasks {
    pub(super) fn new(shared: &SdkConfig, line: Arc<Line>) -> Self {
        Self { client: aws_sdk_ecs::Client::new(shared), line }
    }

    /// Tasks of a family that are not over. One that is wanted to stop can run on for half a
    /// minute, so both lists are read.
    pub(super) async fn alive(&self, family: &TaskFamily) -> Answer<Vec<Task>> {
        let list = self.client.list_tasks().cluster(&family.cluster).family(&family.family);
        let listed = self.listed(list).await?;
        let mut tasks = match self.describe(family, &listed.all()).await {
            Ok(tasks) => tasks,
            // To yield it is enough that another one is wanted to run (H1). Of those that are
            // not wanted nobody can tell which are over.
            Err(error) if listed.wanted.is_empty() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "tasks are listed but not described");
                Vec::new()
            }
        };
        for arn in listed.wanted {
            if !tasks.iter().any(|task| task.arn == arn) {
                tasks.push(Task::listed(arn));
            }
        }
        tasks.retain(Task::is_alive);
        Ok(tasks)
    }

    /// Tasks that carry this `startedBy`, recently stopped ones too. ECS wants it to be the only
    /// filter.
    pub(super) async fn started_by(
        &self,
        family: &TaskFamily,
        started_by: &str,
    ) -> Answer<Vec<Task>> {
        let list = self.client.list_tasks().cluster(&family.cluster).started_by(started_by);
        let listed = self.listed(list).await?;
        let tasks = self.describe(family, &listed.all()).await?;
        // ECS is eventually consistent: a task can be listed before it can be described. It must
        // not pass for absent, so that is an error, and passes.
        match listed.wanted.iter().find(|arn| !tasks.iter().any(|task| task.arn == **arn)) {
            None => Ok(tasks),
            Some(arn) => {
                let message = format!("{arn} is listed but cannot be described yet");
                Err(Failure::nonsense(message).of(DESCRIBE_TASKS))
            }
        }
    }

    /// One task; `None` when ECS does not know it.
    pub(super) async fn one(&self, family: &TaskFamily, arn: &str) -> Answer<Option<Task>> {
        Ok(self.describe(family, &[arn.to_owned()]).await?.pop())
    }

    /// Starts a task; the client token makes repetitions one task.
    pub(super) async fn run(&self, request: &TaskRequest) -> Answer<TaskStart> {
        let network = network(&request.network)
            .map_err(|error| Failure::invalid(error.to_string()).of(RUN_TASK))?;
        let call = self
            .client
            .run_task()
            .cluster(&request.cluster)
            .task_definition(&request.task_definition)
            .count(1)
            .launch_type(LaunchType::Fargate)
            .set_platform_version(request.platform_version.clone())
            .network_configuration(network)
            .set_overrides(overrides(request))
            .client_token(&request.client_token)
            .started_by(&request.started_by)
            .tags(Tag::builder().key(TASK_TAG).value(&request.started_by).build());
        self.line
            .ask(RUN_TASK, Repeat::Safe, || {
                let call = call.clone();
                async move { task_start(call.send().await) }
            })
            .await
    }

    /// Stops a task; a repetition changes nothing.
    pub(super) async fn stop(&self, cluster: &str, arn: &str, reason: &str) -> Answer<()> {
        let reason: String = reason.chars().take(STOP_REASON_LIMIT_CHARS).collect();
        let call = self.client.stop_task().cluster(cluster).task(arn).reason(reason);
        let answer = self.line.ask(STOP_TASK, Repeat::Safe, || call.clone().send()).await;
        answer.map(drop).map_err(unknown_task)
    }

    /// Running first: a task that passes from one list to the other in between is in both then,
    /// and never in none.
    async fn listed(&self, list: ListTasksFluentBuilder) -> Answer<Listed> {
        let wanted = self.arns(list.clone().desired_status(DesiredStatus::Running)).await?;
        let mut unwanted = self.arns(list.desired_status(DesiredStatus::Stopped)).await?;
        unwanted.retain(|arn| !wanted.contains(arn));
        Ok(Listed { wanted, unwanted })
    }

    async fn arns(&self, list: ListTasksFluentBuilder) -> Answer<BTreeSet<String>> {
        let mut pages = Pages::of(LIST_TASKS);
        let mut token = None;
        let mut arns = BTreeSet::new();
        loop {
            let request = list.clone().max_results(ARNS_PER_PAGE).set_next_token(token);
            let page = self.line.read(LIST_TASKS, || request.clone().send()).await?;
            arns.extend(pages.list(page.task_arns, page.next_token.as_deref())?);
            token = pages.next(page.next_token)?;
            if token.is_none() {
                return Ok(arns);
            }
        }
    }

    /// The tasks that ECS knows, of these.
    async fn describe(&self, family: &TaskFamily, arns: &[String]) -> Answer<Vec<Task>> {
        let mut tasks = Vec::with_capacity(arns.len());
        for chunk in arns.chunks(TASKS_PER_DESCRIPTION) {
            let request = self
                .client
                .describe_tasks()
                .cluster(&family.cluster)
                .set_tasks(Some(chunk.to_vec()));
            let answer = self.line.read(DESCRIBE_TASKS, || request.clone().send()).await?;
            let failures = answer.failures.unwrap_or_default();
            if let Some(failure) = failures.iter().find(|f| f.reason() != Some(MISSING)) {
                return Err(Failure::nonsense(words(failure)).of(DESCRIBE_TASKS));
            }
            let Some(found) = answer.tasks.or_else(|| (!failures.is_empty()).then(Vec::new)) else {
                return Err(Failure::nonsense("an answer without its list").of(DESCRIBE_TASKS));
            };
            for found in found {
                tasks.push(task(found, family)?);
            }
        }
        Ok(tasks)
    }
}

/// ECS has no code of its own for a task that it does not know.
fn unknown_task(error: PlatformError) -> PlatformError {
    let is_unknown = error.class == ErrorClass::Invalid && error.message.contains("was not found");
    let class = if is_unknown { ErrorClass::NotFound } else { error.class };
    PlatformError { class, ..error }
}

/// What a `RunTask` came to: a 200 can be a refusal, and a conflict can be a success.
fn task_start(
    answer: Result<RunTaskOutput, SdkError<RunTaskError, HttpResponse>>,
) -> Result<TaskStart, Failure> {
    match answer {
        Ok(output) => started_or_refused(output),
        Err(error) => match error.as_service_error() {
            Some(RunTaskError::ConflictException(conflict)) => match conflict.resource_ids() {
                [arn] => Ok(TaskStart::Started(arn.clone())),
                _ => Err(error.into()),
            },
            Some(said) if is_out_of_capacity(said) => {
                Ok(TaskStart::Refused(said.message().unwrap_or_default().to_owned()))
            }
            _ => Err(error.into()),
        },
    }
}

fn started_or_refused(output: RunTaskOutput) -> Result<TaskStart, Failure> {
    let failures = output.failures.unwrap_or_default();
    if !failures.is_empty() {
        return Ok(TaskStart::Refused(failures.iter().map(words).collect::<Vec<_>>().join("; ")));
    }
    // Without a task and without a word why not the answer was lost, and the task may run.
    let tasks = output.tasks.unwrap_or_default();
    let [task] = tasks.as_slice() else {
        return Err(Failure::nonsense(format!("{} tasks instead of one", tasks.len())));
    };
    let arn = task.task_arn.clone();
    arn.map(TaskStart::Started).ok_or_else(|| Failure::nonsense("a task without an ARN"))
}

/// Fargate says so in an exception or in `failures[]`, as it likes.
fn is_out_of_capacity(error: &RunTaskError) -> bool {
    error.message().is_some_and(|message| message.contains("Capacity is unavailable"))
}

/// `reason, detail (arn)`
fn words(failure: &EcsFailure) -> String {
    let mut words = failure.reason().unwrap_or("no reason given").to_owned();
    if let Some(detail) = failure.detail() {
        words.push_str(", ");
        words.push_str(detail);
    }
    match failure.arn() {
        Some(arn) => format!("{words} ({arn})"),
        None => words,
    }
}

fn network(network: &Network) -> Result<NetworkConfiguration, aws_sdk_ecs::error::BuildError> {
    let public =
        if network.assign_public_ip { AssignPublicIp::Enabled } else { AssignPublicIp::Disabled };
    let vpc = AwsVpcConfiguration::builder()
        .set_subnets(Some(network.subnets.clone()))
        .set_security_groups(Some(network.security_groups.clone()))
        .assign_public_ip(public)
        .build()?;
    Ok(NetworkConfiguration::builder().awsvpc_configuration(vpc).build())
}

/// None for a live run: exactly what the rule's own target would send.
fn overrides(request: &TaskRequest) -> Option<TaskOverride> {
    if request.environment.is_empty() {
        return None;
    }
    let environment = request
        .environment
        .iter()
        .map(|(name, value)| KeyValuePair::builder().name(name).value(value).build())
        .collect();
    let container = ContainerOverride::builder()
        .name(&request.container)
        .set_environment(Some(environment))
        .build();
    Some(TaskOverride::builder().container_overrides(container).build())
}

fn task(found: SdkTask, family: &TaskFamily) -> Answer<Task> {
    let (Some(arn), Some(status)) = (found.task_arn(), found.last_status()) else {
        return Err(Failure::nonsense("a task without ARN or status").of(DESCRIBE_TASKS));
    };
    let container =
        found.containers().iter().find(|container| container.name() == Some(&family.container));
    Ok(Task {
        arn: arn.to_owned(),
        state: task_state(status, found.desired_status()),
        date_override: date_override(&found, &family.date_variable),
        created_at: instant(found.created_at()),
        stopped_at: instant(found.stopped_at()),
        exit_code: container.and_then(aws_sdk_ecs::types::Container::exit_code),
        stopped_reason: stopped_reason(&found, container.and_then(|container| container.reason())),
        started_by: found.started_by,
    })
}

/// A word that we do not know counts as running: it may touch the database. A task that is told
/// to stop keeps its last status for a while.
fn task_state(last_status: &str, desired_status: Option<&str>) -> TaskState {
    match last_status {
        "STOPPED" | "DELETED" => TaskState::Stopped,
        "DEACTIVATING" | "STOPPING" | "DEPROVISIONING" => TaskState::Stopping,
        _ if desired_status == Some(DesiredStatus::Stopped.as_str()) => TaskState::Stopping,
        "PROVISIONING" | "PENDING" | "ACTIVATING" => TaskState::Starting,
        _ => TaskState::Running,
    }
}

/// In any container, for a person may have named another one.
fn date_override(task: &SdkTask, date_variable: &str) -> Option<String> {
    task.overrides()?
        .container_overrides()
        .iter()
        .flat_map(ContainerOverride::environment)
        .find(|pair| pair.name() == Some(date_variable))
        .and_then(|pair| pair.value().map(str::to_owned))
}

/// `stop code: stopped reason; container's reason`, as far as there are any.
fn stopped_reason(task: &SdkTask, container_reason: Option<&str>) -> Option<String> {
    let code = task.stop_code().map(aws_sdk_ecs::types::TaskStopCode::as_str);
    let stopped = match (code, task.stopped_reason()) {
        (Some(code), Some(reason)) => Some(format!("{code}: {reason}")),
        (code, reason) => code.or(reason).map(str::to_owned),
    };
    match (stopped, container_reason) {
        (Some(stopped), Some(reason)) => Some(format!("{stopped}; {reason}")),
        (stopped, reason) => stopped.or(reason.map(str::to_owned)),
    }
}
