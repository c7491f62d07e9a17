//! The look at what a hold of the rule needs: the dead man's switch, what landed meanwhile,
//! the rule's own tasks, and our clock against AWS's.
//!
//! Nothing of it is asked for while there is no hold and the rule is enabled.

use chrono::{DateTime, Duration, NaiveDate, TimeDelta, Utc};

use super::watch::seen;
use super::{Watch, blind, landing};
use crate::config::{DatasetSettings, DeadManSettings};
use crate::domain::{Blindness, Dump, Export, Rule, RuleState, Seen, Snapshot, Stage, Task};
use crate::ledger::{Hold, HoldStep, HoldWhy, Run, State};
use crate::platform::{DeadMan, Platform, TaskFamily, World};

/// A write's event takes no longer to the rule, nearly always.
pub const EVENT_LATE_AT_MOST_MINUTES: i64 = 30;
/// While others have the rule disabled, what landed is looked for so far back: a dump of last
/// night must not be awaited any more.
const LANDED_SINCE_HOURS: i64 = 2;

/// What a hold of the rule needs to know; `None` where it was not looked at.
#[derive(Clone, Debug, Default)]
pub struct TriggerView {
    /// The dead man's switch under our name; absent when it fired or was deleted.
    pub dead_man: Option<Seen<Option<DeadMan>>>,
    /// While a run is under a hold and its task is over: the export under its date's id. With it
    /// the hold's work is done, whatever else of the run cannot be seen.
    pub our_export: Option<Seen<Option<Export>>>,
    /// Once the rule is enabled again: the dumps of the days of the hold, and of those whose
    /// event may have come in it, newest version each.
    /// While others have it disabled: today's, which fires nothing (H14).
    /// When a live run failed beside ours: those of the days since (H2).
    pub landed: Option<Seen<Vec<(NaiveDate, Dump)>>>,
    /// With them, and while our snapshot is made: tasks of the rule's own, recently stopped ones
    /// too.
    pub live_tasks: Option<Seen<Vec<Task>>>,
    /// With them: the instance's snapshots, which outlast the tasks that made them.
    pub snapshots: Option<Seen<Vec<Snapshot>>>,
    /// AWS's `Date` minus our clock; looked at right before a hold.
    pub clock_skew: Option<Seen<Option<TimeDelta>>>,
}

/// Looks at what the dataset's hold needs now, or at what would prove an old one ours.
pub(super) async fn look(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
    ledger: &State,
    rule: Option<&Seen<Rule>>,
    tasks: &Seen<Vec<Task>>,
    now: DateTime<Utc>,
) -> TriggerView {
    let hold = ledger.hold_of(&dataset.name);
    let swept = ledger.undriven(&dataset.name).next().is_some();
    let mut view = TriggerView {
        dead_man: dead_man(platform, dataset, hold, rule).await,
        ..TriggerView::default()
    };
    if let Some(run) = held_run(ledger, hold) {
        view.our_export = our_export(platform, dataset, run, tasks).await;
    }
    let settle = dataset.trigger.as_ref().map_or(std::time::Duration::ZERO, |it| it.settle);
    if let Some(began) = hold.and_then(|hold| sweeps_since(hold, settle, now)) {
        view.landed = Some(seen(landed(platform, dataset, began, now).await));
    }
    if hold.is_none() && is_disabled(rule) {
        let since = now - Duration::hours(LANDED_SINCE_HOURS);
        view.landed = Some(seen(landed(platform, dataset, since, now).await));
    }
    if view.landed.is_some() || swept {
        view.live_tasks = Some(seen(live_tasks(platform, dataset).await));
        view.snapshots = snapshots(platform, dataset).await;
    }
    if let Some(run) = run_that_may_hurt(ledger, dataset) {
        look_for_hurt(platform, dataset, run, now, &mut view).await;
    }
    view
}

/// The run in progress, from its snapshot's making until its export is over: a live run that
/// begins then may fail because of us (H2).
fn run_that_may_hurt<'a>(ledger: &'a State, dataset: &DatasetSettings) -> Option<&'a Run> {
    let run = ledger.active_run().filter(|run| run.dataset == dataset.name)?;
    dataset.trigger.as_ref()?;
    matches!(run.stage, Stage::Snapshot | Stage::Export).then_some(run)
}

/// Looks at the rule's own tasks, and at the dumps of the days since when one of them failed.
async fn look_for_hurt(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
    run: &Run,
    now: DateTime<Utc>,
    view: &mut TriggerView,
) {
    if view.live_tasks.is_none() {
        view.live_tasks = Some(seen(live_tasks(platform, dataset).await));
    }
    let tasks = view.live_tasks.as_ref().and_then(Seen::known);
    let failed = tasks.into_iter().flatten().any(|task| {
        let since = task.created_at.is_some_and(|at| at >= run.started_at);
        since && task.exit_code.is_some_and(|code| code != 0)
    });
    if failed && view.landed.is_none() {
        view.landed = Some(seen(landed(platform, dataset, run.started_at, now).await));
    }
}

/// The run in progress, while it is under this hold and the hold still works for it.
fn held_run<'a>(ledger: &'a State, hold: Option<&Hold>) -> Option<&'a Run> {
    let hold = hold.filter(|hold| hold.step_at(HoldStep::WorkDone).is_none())?;
    let run = ledger.active_run()?;
    (hold.why == HoldWhy::Run { run: run.id.clone() }).then_some(run)
}

async fn our_export(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
    run: &Run,
    tasks: &Seen<Vec<Task>>,
) -> Option<Seen<Option<Export>>> {
    let load = run.load.as_ref()?;
    let alive = tasks.known()?.iter().any(|task| load.is_of(task) && task.is_alive());
    let settings = dataset.export.as_ref().filter(|_| !alive)?;
    let id = settings.snapshot_id.render(run.date);
    let found = platform.export(&id).await;
    Some(seen(found.map_err(|error| blind(format!("export {id}"), &error))))
}

/// Since when the landing bucket is to be swept, once the hold is at its end.
fn sweeps_since(
    hold: &Hold,
    settle: std::time::Duration,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let enabled_at = hold.steps.get(&HoldStep::Enabled)?;
    let settle = Duration::from_std(settle).unwrap_or_default();
    let began = hold.begun_at - Duration::minutes(EVENT_LATE_AT_MOST_MINUTES);
    (now - *enabled_at >= settle).then_some(began)
}

/// The switch of the hold; without a hold that of our name, when the rule is disabled.
async fn dead_man(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
    hold: Option<&Hold>,
    rule: Option<&Seen<Rule>>,
) -> Option<Seen<Option<DeadMan>>> {
    if let Some(hold) = hold {
        return dead_man_of(platform, hold).await;
    }
    if !is_disabled(rule) {
        return None;
    }
    match dataset.trigger.as_ref()?.dead_man.as_ref()? {
        DeadManSettings::Accepted => None,
        DeadManSettings::Schedule { group, .. } => {
            Some(switch(platform, group, &DeadMan::name_for(&dataset.name)).await)
        }
    }
}

fn is_disabled(rule: Option<&Seen<Rule>>) -> bool {
    rule.and_then(Seen::known).is_some_and(|rule| rule.state == RuleState::Disabled)
}

async fn dead_man_of(platform: &dyn Platform, hold: &Hold) -> Option<Seen<Option<DeadMan>>> {
    let recorded = hold.dead_man.as_ref()?;
    Some(switch(platform, &recorded.group, &recorded.name).await)
}

async fn switch(platform: &dyn Platform, group: &str, name: &str) -> Seen<Option<DeadMan>> {
    let found = platform.dead_man(group, name).await;
    seen(found.map_err(|error| blind(format!("schedule {group}/{name}"), &error)))
}

/// The dumps of the days from `began` to now.
async fn landed(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
    began: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<(NaiveDate, Dump)>, Blindness> {
    let mut found = Vec::new();
    for date in began.date_naive().iter_days().take_while(|date| *date <= now.date_naive()) {
        let prefix = landing::common_name_prefix(&dataset.landing.keys, date);
        let view = landing::list_dumps(platform, dataset, &prefix).await?;
        found.extend(
            view.dumps
                .get(&date)
                .into_iter()
                .flat_map(|dumps| dumps.iter())
                .map(|dump| (date, dump.clone())),
        );
    }
    Ok(found)
}

async fn live_tasks(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
) -> Result<Vec<Task>, Blindness> {
    let Some(trigger) = &dataset.trigger else { return Ok(Vec::new()) };
    let family: TaskFamily = dataset.load.family();
    let name = format!("events-rule/{}", trigger.rule);
    let tasks = platform.tasks_started_by(&family, &name).await;
    tasks.map_err(|error| blind(format!("tasks of {name}"), &error))
}

async fn snapshots(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
) -> Option<Seen<Vec<Snapshot>>> {
    let instance = dataset.export.as_ref()?.instance.as_ref()?;
    let found = platform.snapshots(instance).await;
    Some(seen(found.map_err(|error| blind(format!("snapshots of {instance}"), &error))))
}

/// The rule of a hold and, once its time has come, its switch, each within a limit: all that a
/// release needs.
pub async fn rule_of_hold(world: &World, hold: &Hold, limit: std::time::Duration) -> Watch {
    let at = world.now();
    let platform = world.platform.as_ref();
    let fired = hold.dead_man.as_ref().filter(|switch| at >= switch.fires_at);
    let reading = platform.rule(&hold.rule, &hold.event_bus);
    let rule = world.within(limit, "events:DescribeRule", reading);
    let dead_man = async {
        let recorded = fired?;
        let reading = platform.dead_man(&recorded.group, &recorded.name);
        let found = world.within(limit, "scheduler:GetSchedule", reading).await;
        Some(seen(found.map_err(|error| blind(format!("schedule {}", recorded.name), &error))))
    };
    let (rule, dead_man) = futures_util::join!(rule, dead_man);
    let rule = seen(rule.map_err(|error| blind(format!("rule {}", hold.rule), &error)));
    Watch {
        rule: Some(rule),
        trigger: TriggerView { dead_man, ..TriggerView::default() },
        ..Watch::of_nothing(at)
    }
}

/// The look at a hold whose dataset is no longer in the configuration.
pub async fn orphan(world: &World, hold: &Hold) -> Watch {
    let at = world.now();
    let rule = world.platform.rule(&hold.rule, &hold.event_bus).await;
    let rule = seen(rule.map_err(|error| blind(format!("rule {}", hold.rule), &error)));
    let dead_man = dead_man_of(world.platform.as_ref(), hold).await;
    Watch {
        at,
        rule: Some(rule),
        tasks: Seen::Known(Vec::new()),
        traffic: None,
        run: None,
        trigger: TriggerView { dead_man, ..TriggerView::default() },
    }
}
