//! The look between steps: only what the moment needs.

use chrono::{DateTime, Duration, Utc};
use futures_util::future::try_join_all;

use super::{RunView, Traffic, Watch, blind, clock, copy, trigger};
use crate::config::{DatasetSettings, PublishSettings};
use crate::domain::{
    Blindness, Export, Rule, Seen, Snapshot, Stage, Task, WorkflowRun, WorkflowStatus,
};
use crate::ledger::{Run, State};
use crate::platform::{Platform, World};

/// The services' clocks and ours may differ by so much when runs are matched by time.
const CLOCK_SLACK_MINUTES: i64 = 5;
/// A workflow run in progress began within this time: Glue's own limit for a job is two days.
const WORKFLOWS_SINCE_DAYS: i64 = 3;
/// Listings of the copy that are asked for side by side.
const COPY_LISTINGS_AT_ONCE: usize = 8;
/// Lines of a failed task's log that are kept.
const LOG_LINES: usize = 20;

/// Looks at the rule, the tasks and, when there is one, the run in progress.
pub async fn watch(world: &World, dataset: &DatasetSettings, ledger: &State) -> Watch {
    let at = world.now();
    let run = ledger.active_run().filter(|run| run.dataset == dataset.name);
    let platform = world.platform.as_ref();
    let (rule, tasks, run) =
        futures_util::join!(rule(platform, dataset), tasks(platform, dataset), async {
            match run {
                Some(run) => Some(seen(run_view(world, dataset, run).await)),
                None => None,
            }
        });
    let trigger = trigger::look(platform, dataset, ledger, rule.as_ref(), &tasks, at).await;
    Watch { at, rule, tasks, traffic: None, run, trigger }
}

/// Looks at what a start must not meet: snapshots, exports and workflow runs.
pub async fn survey(world: &World, dataset: &DatasetSettings) -> Seen<Traffic> {
    seen(traffic(world.platform.as_ref(), dataset, world.now()).await)
}

pub(super) fn seen<T>(looked: Result<T, Blindness>) -> Seen<T> {
    looked.map_or_else(|cause| Seen::Blind(vec![cause]), Seen::Known)
}

async fn rule(platform: &dyn Platform, dataset: &DatasetSettings) -> Option<Seen<Rule>> {
    let trigger = dataset.trigger.as_ref()?;
    let rule = platform.rule(&trigger.rule, &trigger.event_bus).await;
    Some(seen(rule.map_err(|error| blind(format!("rule {}", trigger.rule), &error))))
}

/// The tasks of the load's family that are alive, within a limit.
pub async fn tasks_of(
    world: &World,
    dataset: &DatasetSettings,
    limit: std::time::Duration,
) -> Seen<Vec<Task>> {
    let family = dataset.load.family();
    let reading = world.platform.family_tasks(&family);
    let tasks = world.within(limit, "ecs:ListTasks", reading).await;
    seen(tasks.map_err(|error| blind(format!("tasks of {}", family.family), &error)))
}

async fn tasks(platform: &dyn Platform, dataset: &DatasetSettings) -> Seen<Vec<Task>> {
    let family = dataset.load.family();
    let tasks = platform.family_tasks(&family).await;
    seen(tasks.map_err(|error| blind(format!("tasks of {}", family.family), &error)))
}

async fn traffic(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
    now: DateTime<Utc>,
) -> Result<Traffic, Blindness> {
    let instance = dataset.export.as_ref().and_then(|export| export.instance.as_deref());
    let snapshots = match instance {
        Some(instance) => snapshots_with_exports(platform, instance).await?,
        None => Vec::new(),
    };
    let workflows = match &dataset.publish {
        Some(publish) => running_workflows(platform, publish, now).await?,
        None => Vec::new(),
    };
    Ok(Traffic { snapshots, workflows })
}

async fn snapshots_with_exports(
    platform: &dyn Platform,
    instance: &str,
) -> Result<Vec<(Snapshot, Vec<Export>)>, Blindness> {
    let snapshots = platform.snapshots(instance).await;
    let snapshots = snapshots.map_err(|error| blind(format!("snapshots of {instance}"), &error))?;
    try_join_all(snapshots.into_iter().map(|snapshot| async move {
        let exports = platform.exports_of(&snapshot.arn).await;
        let exports =
            exports.map_err(|error| blind(format!("exports of {}", snapshot.id), &error))?;
        Ok((snapshot, exports))
    }))
    .await
}

async fn running_workflows(
    platform: &dyn Platform,
    publish: &PublishSettings,
    now: DateTime<Utc>,
) -> Result<Vec<(String, WorkflowRun)>, Blindness> {
    let names = std::iter::once(&publish.workflow).chain(&publish.live_workflow);
    let since = now - Duration::days(WORKFLOWS_SINCE_DAYS);
    let found = try_join_all(names.map(|name| async move {
        let runs = workflow_runs(platform, name, since).await?;
        Ok::<_, Blindness>(runs.into_iter().map(|run| (name.clone(), run)).collect::<Vec<_>>())
    }))
    .await?;
    Ok(found.into_iter().flatten().filter(|(_, run)| is_running(run)).collect())
}

async fn workflow_runs(
    platform: &dyn Platform,
    name: &str,
    since: DateTime<Utc>,
) -> Result<Vec<WorkflowRun>, Blindness> {
    let runs = platform.workflow_runs(name, since).await;
    runs.map_err(|error| blind(format!("runs of workflow {name}"), &error))
}

fn is_running(run: &WorkflowRun) -> bool {
    run.status == WorkflowStatus::Running
}

async fn run_view(
    world: &World,
    dataset: &DatasetSettings,
    run: &Run,
) -> Result<RunView, Blindness> {
    let platform = world.platform.as_ref();
    let mut view = RunView::default();
    if run.stage <= Stage::Load {
        view.task = own_task(platform, dataset, run).await?;
    }
    let loading = view.task.as_ref().is_some_and(Task::is_alive);
    if run.stage < Stage::Verify && !loading {
        (view.snapshot, view.export) = snapshot_and_export(platform, dataset, run).await?;
    }
    if loading && matches!(run.stage, Stage::Load) {
        view.snapshot = snapshot_of_living_task(platform, dataset, run).await?;
    }
    let published =
        matches!(run.stage, Stage::Copy | Stage::Publish) || (run.stage <= Stage::Load && !loading);
    if let (true, Some(publish)) = (published, &dataset.publish) {
        workflow_view(platform, publish, run, &mut view).await?;
        if run.stage == Stage::Publish && view.workflow_runs.is_empty() {
            clock::trusted(world).await?; // by a clock that is ahead its start is overdue
        }
    }
    // After the workflow's runs: a copy that lacks a file now lacked it when they began.
    let awaits_copy = run.stage == Stage::Copy
        || (run.stage == Stage::Publish && !view.workflow_runs.iter().any(is_running));
    if awaits_copy {
        view.copy = if run.began_at_publish() {
            copy::state_of(platform, dataset, run.date, COPY_LISTINGS_AT_ONCE).await?
        } else {
            copy::state_for_run(platform, dataset, run.date).await?
        };
    }
    if let Some(task) =
        view.task.as_ref().filter(|task| !task.is_alive() && task.exit_code != Some(0))
    {
        view.log_tail = log_tail(platform, dataset, task).await;
    }
    Ok(view)
}

/// ECS may show a task as running for hours after its process ended: its snapshot is the evidence.
/// A snapshot of an earlier run is deleted by the task itself, minutes after its start.
async fn snapshot_of_living_task(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
    run: &Run,
) -> Result<Option<Snapshot>, Blindness> {
    let Some(settings) = &dataset.export else { return Ok(None) };
    let id = settings.snapshot_id.render(run.date);
    let found = platform.snapshot(&id).await;
    let found = found.map_err(|error| blind(format!("snapshot {id}"), &error))?;
    let is_of_this_run = |found: &Snapshot| found.created_at.is_some_and(|at| at >= run.started_at);
    Ok(found.filter(is_of_this_run))
}

/// Our task: by its ARN, or by our name on it while its ARN is not known.
async fn own_task(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
    run: &Run,
) -> Result<Option<Task>, Blindness> {
    let Some(load) = &run.load else { return Ok(None) };
    let family = dataset.load.family();
    let found = if let Some(arn) = &load.task_arn {
        platform.task(&family, arn).await
    } else {
        let tasks = platform.tasks_started_by(&family, &load.task.started_by).await;
        tasks.map(|tasks| tasks.into_iter().next())
    };
    found.map_err(|error| blind(format!("the task of run {}", run.id), &error))
}

async fn snapshot_and_export(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
    run: &Run,
) -> Result<(Option<Snapshot>, Option<Export>), Blindness> {
    let Some(settings) = &dataset.export else { return Ok((None, None)) };
    let id = settings.snapshot_id.render(run.date);
    let snapshot = async {
        if run.stage <= Stage::Snapshot { platform.snapshot(&id).await } else { Ok(None) }
    };
    let (snapshot, export) = futures_util::join!(snapshot, platform.export(&id));
    Ok((
        snapshot.map_err(|error| blind(format!("snapshot {id}"), &error))?,
        export.map_err(|error| blind(format!("export {id}"), &error))?,
    ))
}

/// The workflow runs that are about the run's date, and whether another one is in the way.
async fn workflow_view(
    platform: &dyn Platform,
    publish: &PublishSettings,
    run: &Run,
    view: &mut RunView,
) -> Result<(), Blindness> {
    let export_began = view.export.as_ref().and_then(|export| export.started_at);
    let began = export_began.map_or(run.started_at, |at| at.min(run.started_at));
    let since = began - Duration::minutes(CLOCK_SLACK_MINUTES);
    let value = publish.date_format.render(run.date);
    // One that began long before may still be running, and be in our way.
    let long_before = since - Duration::days(WORKFLOWS_SINCE_DAYS);
    let runs = workflow_runs(platform, &publish.workflow, long_before).await?;
    let (mut ours, others): (Vec<_>, Vec<_>) = runs.into_iter().partition(|found| {
        found.properties.get(&publish.date_property) == Some(&value)
            && (is_running(found) || found.started_at.is_none_or(|at| at >= since))
    });
    ours.sort_by_key(|found| found.started_at);
    view.workflow_busy = others.iter().any(is_running);
    if let Some(name) = &publish.live_workflow {
        let live = workflow_runs(platform, name, long_before).await?;
        view.workflow_busy |= live.iter().any(is_running);
    }
    for found in &mut ours {
        if !is_running(found) {
            let whole = platform.workflow_run(&publish.workflow, &found.id).await;
            *found = whole.map_err(|error| blind(format!("workflow run {}", found.id), &error))?;
        }
    }
    view.workflow_runs = ours;
    Ok(())
}

/// A dump's own bytes reach this log, in the database's complaints: whatever could steer a
/// terminal, or turn the direction of its text, becomes a space.
fn harmless(line: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    line.chars().map(|c| if c.is_control() || turns(c) { ' ' } else { c }).collect()
}

/// The log's end is a help to people; without it the failure stands all the same.
async fn log_tail(platform: &dyn Platform, dataset: &DatasetSettings, task: &Task) -> Vec<String> {
    let (Some(group), Some(prefix)) = (&dataset.load.log_group, &dataset.load.log_stream_prefix)
    else {
        return Vec::new();
    };
    let id = task.arn.rsplit('/').next().unwrap_or(&task.arn);
    let stream = format!("{prefix}/{}/{id}", dataset.load.container);
    match platform.log_tail(group, &stream, LOG_LINES).await {
        Ok(lines) => lines.iter().map(|line| harmless(line)).collect(),
        Err(error) => vec![format!("(its log could not be read: {error})")],
    }
}
