//! Gates: what stops the head of the queue from starting, in the order in which a person
//! would want to hear of it.
//!
//! First what people decided (mode, pause, stop, freeze, hours, runs per night), then what
//! is in the way in the world (other datasets, the trigger, live tasks, snapshots, exports,
//! workflows, the next live dump).

use chrono::{DateTime, Duration, NaiveDate, Utc};

use super::Candidate;
use super::calendar::{self, local};
use super::rest::Rest;
use super::start::Situation;
use crate::config::{self, Arrival, DatasetSettings, Mode, NetworkSource};
use crate::domain::{
    Export, ExportStatus, Rule, RuleState, RunOutcome, Seen, Snapshot, Stage, Task,
};
use crate::ledger::{Hold, HoldStep, HoldWhy, State};
use crate::observe::{LandingView, Observation, Traffic};

/// A snapshot that is available and still has no export after so long will never have one:
/// the exporter's retries last at most six hours (H21, H23). It does not block any longer.
const EXPORT_NEVER_COMES_HOURS: i64 = 6;

/// A task that ECS accepted may not be listed for so long.
const DRIVEN_TASK_APPEARS_WITHIN_MINUTES: i64 = 5;

/// Own history is believed from so many loads on.
const LOADS_TO_LEARN_FROM: usize = 5;

/// The first gate that people closed.
pub(super) fn closed_by_people(situation: &Situation<'_>, head: &Candidate) -> Option<Rest> {
    let Situation { ledger, dataset, now, .. } = situation;
    let now = *now;
    if dataset.mode == Mode::Observe {
        return Some(Rest::Observing);
    }
    if let Some(rest) = paused(ledger, dataset, now) {
        return Some(rest);
    }
    let failures = ledger.datasets.get(&dataset.name).map_or(0, |state| state.failures_in_row);
    if failures >= dataset.backfill.stop_after {
        return Some(Rest::Stopped { failures });
    }
    frozen(dataset, now).or_else(|| outside_hours(dataset, now)).or_else(|| {
        // Who asks for a date by name is not held to the night's number, but to one of his own.
        let by_name = ledger.dataset(&dataset.name).asked_for(head.date).is_some();
        if by_name && situation.night.max_runs.is_none() { None } else { night_spent(situation) }
    })
}

fn frozen(dataset: &DatasetSettings, now: DateTime<Utc>) -> Option<Rest> {
    let (today, _) = local(dataset.timezone, now);
    let (name, entry) = config::entry_for(&dataset.backfill.freeze, today, today)?;
    let tomorrow = today.succ_opt()?;
    Some(Rest::Frozen {
        entry: name.to_owned(),
        reason: entry.reason.clone(),
        until: calendar::local_instant(dataset.timezone, tomorrow, chrono::NaiveTime::MIN),
    })
}

fn outside_hours(dataset: &DatasetSettings, now: DateTime<Utc>) -> Option<Rest> {
    let (opens, closes) = dataset.backfill.hours?;
    let (today, time) = local(dataset.timezone, now);
    let inside = if opens <= closes {
        (opens..closes).contains(&time)
    } else {
        time >= opens || time < closes
    };
    let opening_day = if time < opens { today } else { today.succ_opt()? };
    let until = calendar::local_instant(dataset.timezone, opening_day, opens);
    (!inside).then_some(Rest::OutsideHours { until })
}

fn night_spent(situation: &Situation<'_>) -> Option<Rest> {
    let Situation { ledger, dataset, night, .. } = situation;
    let most = night.max_runs.unwrap_or(dataset.backfill.max_runs_per_night);
    let started = ledger
        .runs
        .iter()
        .filter(|run| run.dataset == dataset.name && run.started_at >= night.began_at)
        .filter(|run| run.end.as_ref().is_none_or(|end| end.outcome != RunOutcome::Void))
        .count();
    let runs = u32::try_from(started).unwrap_or(u32::MAX);
    (runs >= most).then_some(Rest::NightSpent { runs, until: night.ends_at })
}

/// The first gate that the world closes. `takes_up` is a start that runs no load.
pub(super) fn closed_by_world(situation: &Situation<'_>, takes_up: bool) -> Option<Rest> {
    let Situation { ledger, seen, dataset, now, .. } = situation;
    if let Some(run) = ledger.active_run() {
        return Some(Rest::OtherDataset { dataset: run.dataset.clone() });
    }
    if let Some(next) = held_for_another(ledger, dataset) {
        return Some(Rest::OtherDataset { dataset: next.to_owned() });
    }
    closed_by_trigger(ledger, seen.watch.rule.as_ref(), dataset)
        .or_else(|| if takes_up { None } else { closed_by_pipeline(ledger, seen, dataset, *now) })
}

/// The dataset whose rule is held already for a run that is about to begin: a second hold would
/// keep another live run away for nothing.
fn held_for_another<'a>(ledger: &'a State, dataset: &DatasetSettings) -> Option<&'a str> {
    if ledger.hold_of(&dataset.name).is_some() {
        return None;
    }
    let is_next = |hold: &&Hold| {
        let HoldWhy::Run { run } = &hold.why else { return false };
        let begun = ledger.runs.iter().rev().any(|known| known.id == *run);
        !begun && hold.step_at(HoldStep::WorkDone).is_none()
    };
    ledger.holds.values().find(is_next).map(|hold| hold.dataset.as_str())
}

/// What stops a load whose answer was lost from being asked for again: what would stop its
/// start, except what counts starts.
pub(super) fn closed_to_repetition(
    ledger: &State,
    seen: &Observation,
    dataset: &DatasetSettings,
    now: DateTime<Utc>,
) -> Option<Rest> {
    if dataset.mode == Mode::Observe {
        return Some(Rest::Observing);
    }
    paused(ledger, dataset, now)
        .or_else(|| closed_by_trigger(ledger, seen.watch.rule.as_ref(), dataset))
        .or_else(|| closed_by_pipeline(ledger, seen, dataset, now))
}

/// What a load must not meet: other loads, and the next live dump. What other loads left takes
/// a survey, see [`closed_by_traffic`].
fn closed_by_pipeline(
    ledger: &State,
    seen: &Observation,
    dataset: &DatasetSettings,
    now: DateTime<Utc>,
) -> Option<Rest> {
    closed_by_drive(ledger, dataset, now).or_else(|| closed_by_tasks(&seen.watch.tasks)).or_else(
        || {
            let landing = seen.scan.known().map(|scan| &scan.landing)?;
            let unknown = arrival_unknown(landing, dataset).map(|why| Rest::OddTrigger { why });
            unknown.or_else(|| {
                let load = Duration::from_std(usual_load(ledger, dataset)).unwrap_or_default();
                closed_by_arrival(landing, dataset, load, now)
            })
        },
    )
}

pub(super) fn paused(
    ledger: &State,
    dataset: &DatasetSettings,
    now: DateTime<Utc>,
) -> Option<Rest> {
    let until = ledger.datasets.get(&dataset.name)?.paused_until.filter(|until| *until > now)?;
    Some(Rest::Paused { until })
}

fn closed_by_trigger(
    ledger: &State,
    rule: Option<&Seen<Rule>>,
    dataset: &DatasetSettings,
) -> Option<Rest> {
    let trigger = dataset.trigger.as_ref()?;
    let held = ledger.hold_of(&dataset.name).is_some_and(Hold::keeps_rule_disabled);
    // The dataset may have been called otherwise when the hold began.
    let is_disabled =
        rule.and_then(Seen::known).is_some_and(|rule| rule.state == RuleState::Disabled);
    let of_rule = ledger.hold_on(&dataset.name, &trigger.rule, &trigger.event_bus);
    let keeps = |hold: &&Hold| is_disabled && !held && hold.keeps_rule_disabled();
    if let Some(hold) = of_rule.filter(keeps) {
        let detail = format!("the hold of {} to end", hold.dataset);
        return Some(Rest::Holding { until: hold.until, detail });
    }
    match rule? {
        Seen::Blind(causes) => Some(Rest::Blind(causes.clone())),
        Seen::Known(rule) => {
            let disabled = rule.state == RuleState::Disabled && !held && !trigger.ignore_disabled;
            if disabled {
                return Some(Rest::DisabledByOther { rule: rule.name.clone() });
            }
            let from_target = dataset.load.network == NetworkSource::FromTrigger;
            let odd = if from_target { odd_target(rule, dataset) } else { None };
            odd.map(|why| Rest::OddTrigger { why })
        }
    }
}

/// Why the rule's target cannot be copied, if it cannot (H25).
pub(crate) fn odd_target(rule: &Rule, dataset: &DatasetSettings) -> Option<String> {
    let [target] = rule.targets.as_slice() else {
        return Some(format!("rule {} has {} ECS targets, not one", rule.name, rule.targets.len()));
    };
    let Some(network) = &target.network else {
        return Some(format!("the target of rule {} has no network", rule.name));
    };
    if network.subnets.is_empty() || network.security_groups.is_empty() {
        return Some(format!(
            "the target of rule {} has {} subnets and {} security groups",
            rule.name,
            network.subnets.len(),
            network.security_groups.len()
        ));
    }
    if target.task_count.unwrap_or(1) != 1 {
        return Some(format!("the target of rule {} starts more than one task", rule.name));
    }
    let family = target.task_definition.as_deref().map(family_of);
    let ours = &dataset.load.task_definition;
    (family != Some(ours.as_str())).then(|| {
        format!(
            "the target of rule {} runs {}, not load.task_definition {ours}",
            rule.name,
            family.unwrap_or("no task")
        )
    })
}

/// Why a live run of the rule's could not be started by us as it would start it itself, if so:
/// such a rule is not held, for what lands in a hold would be lost.
pub(crate) fn undrivable(rule: &Rule, dataset: &DatasetSettings) -> Option<String> {
    let other = rule.other_targets.first().map(|arn| {
        format!("rule {} has another target, {arn}, which gapmend could not start", rule.name)
    });
    let set = rule.targets.first().filter(|target| !target.not_copied.is_empty()).map(|target| {
        let set = target.not_copied.join(", ");
        format!("the target of rule {} sets {set}, which gapmend would not repeat", rule.name)
    });
    odd_target(rule, dataset).or(other).or(set)
}

/// The family of a task definition's ARN: what stands between `/` and the revision.
fn family_of(task_definition: &str) -> &str {
    let name = task_definition.rsplit('/').next().unwrap_or(task_definition);
    name.split(':').next().unwrap_or(name)
}

/// A live run that we drive comes first, and its task shows itself only after a while.
fn closed_by_drive(ledger: &State, dataset: &DatasetSettings, now: DateTime<Utc>) -> Option<Rest> {
    let swept = ledger.datasets.get(&dataset.name)?.swept.iter();
    let shows_itself = Duration::minutes(DRIVEN_TASK_APPEARS_WITHIN_MINUTES);
    let mut waits = swept.filter(|dump| {
        let waiting = dump.task_arn.is_none() && !dump.missed;
        waiting || dump.driven_at.is_some_and(|at| now - at < shows_itself)
    });
    let dump = waits.next()?;
    Some(Rest::LiveTask { task: format!("the live run of {}, which gapmend drives", dump.date) })
}

fn closed_by_tasks(tasks: &Seen<Vec<Task>>) -> Option<Rest> {
    match tasks {
        Seen::Blind(causes) => Some(Rest::Blind(causes.clone())),
        Seen::Known(tasks) => tasks
            .iter()
            .find(|task| task.is_alive())
            .map(|task| Rest::LiveTask { task: describe_task(task) }),
    }
}

/// A task in words: whose it is, and about which date.
pub(super) fn describe_task(task: &Task) -> String {
    let id = task.arn.rsplit('/').next().unwrap_or(&task.arn);
    if !task.is_described() {
        return format!("{id}, a run that ECS does not describe");
    }
    let who = task.started_by.as_deref().unwrap_or("somebody");
    match &task.date_override {
        Some(date) => format!("{id}, a backdated run of {date} started by {who}"),
        None => format!("{id}, a live run started by {who}"),
    }
}

/// The last gate, for a start that runs a load: snapshots, exports and workflow runs.
pub(super) fn closed_by_traffic(
    traffic: &Seen<Traffic>,
    dataset: &DatasetSettings,
    now: DateTime<Utc>,
) -> Option<Rest> {
    let traffic = match traffic {
        Seen::Blind(causes) => return Some(Rest::Blind(causes.clone())),
        Seen::Known(traffic) => traffic,
    };
    for (snapshot, exports) in &traffic.snapshots {
        if let Some(export) = exports.iter().find(|export| export.is_running()) {
            return Some(Rest::ExportRunning { export: export.id.clone() });
        }
        if waits_for_export(snapshot, exports, dataset) && is_old(snapshot.created_at, now) {
            let (snapshot, arn) = (snapshot.id.clone(), snapshot.arn.clone());
            return Some(Rest::SnapshotNeedsExport { snapshot, arn });
        }
        if !is_settled(snapshot, exports, now) {
            return Some(Rest::UnsettledSnapshot { snapshot: snapshot.id.clone() });
        }
    }
    traffic.workflows.first().map(|(workflow, run)| Rest::WorkflowRunning {
        workflow: workflow.clone(),
        run: run.id.clone(),
    })
}

/// Whether a load, which begins by deleting snapshots, may find this one.
fn is_settled(snapshot: &Snapshot, exports: &[Export], now: DateTime<Utc>) -> bool {
    if snapshot.id.starts_with(AUTOMATED_SNAPSHOT) {
        return false; // the load could not delete it, and would fail at once
    }
    if snapshot.status == "failed" {
        return true;
    }
    let kept = snapshot.id.starts_with(BACKUP_SNAPSHOT);
    let exported = exports.iter().any(|export| export.status == ExportStatus::Complete);
    snapshot.is_available() && (kept || exported || is_old(snapshot.created_at, now))
}

/// A backdated load's own snapshot that nobody exported yet still can be: deleting it would cost
/// the hours of that load once more. The nightly's is made anew every night.
fn waits_for_export(snapshot: &Snapshot, exports: &[Export], dataset: &DatasetSettings) -> bool {
    let is_backdated = dataset
        .export
        .as_ref()
        .is_some_and(|export| export.snapshot_id.parse(&snapshot.id).is_some());
    is_backdated && snapshot.is_available() && exports.is_empty()
}

/// The load spares snapshots of this name (H2); nobody exports them.
const BACKUP_SNAPSHOT: &str = "awsbackup";
/// RDS's own snapshots cannot be deleted by hand (H2).
const AUTOMATED_SNAPSHOT: &str = "rds:";

fn is_old(created_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    created_at.is_none_or(|at| now - at > Duration::hours(EXPORT_NEVER_COMES_HOURS))
}

/// Why nobody knows when the live dump comes, if so: then neither a load nor a hold may begin.
pub(super) fn arrival_unknown(landing: &LandingView, dataset: &DatasetSettings) -> Option<String> {
    let trigger = dataset.trigger.as_ref()?;
    let unknown = trigger.arrival == Arrival::Learned && landing.usual_arrival_seconds.is_none();
    unknown.then(|| {
        format!(
            "when the live dump lands could not be learned from the landing bucket: set datasets.{}.trigger.arrival to its usual time in UTC, such as \"23:05\", or to \"none\"",
            dataset.name
        )
    })
}

/// Whether something that takes so long would meet the live dump: before it, while it is overdue,
/// and while its event is on its way.
pub(super) fn closed_by_arrival(
    landing: &LandingView,
    dataset: &DatasetSettings,
    load: Duration,
    now: DateTime<Utc>,
) -> Option<Rest> {
    let settle = Duration::from_std(dataset.trigger.as_ref()?.settle).unwrap_or_default();
    let late = Duration::hours(ARRIVES_LATE_HOURS);
    for (date, arrival) in arrivals(landing, dataset, now)? {
        let landed = landing.dumps.get(&date).and_then(|dumps| dumps.first());
        let until = match landed {
            // It landed, and its event may still be on its way to the rule (H17).
            Some(dump) if now >= dump.last_modified => dump.last_modified + settle,
            // It may land at any moment from its usual time on.
            None if now + load > arrival && now < arrival + late => arrival + late,
            Some(_) | None => continue,
        };
        if now < until {
            return Some(Rest::LiveDumpDue { arrival });
        }
    }
    None
}

/// A live dump that has not come so long after its usual time is not waited for any more: it is
/// made way for when it comes.
const ARRIVES_LATE_HOURS: i64 = 2;

/// The live dump whose usual time has come and that the last scan did not know, while it may
/// still be waited for.
pub(super) fn overdue_arrival(
    landing: &LandingView,
    dataset: &DatasetSettings,
    now: DateTime<Utc>,
) -> Option<(NaiveDate, DateTime<Utc>)> {
    let late = Duration::hours(ARRIVES_LATE_HOURS);
    let overdue = |(date, at): &(NaiveDate, DateTime<Utc>)| {
        *at <= now && now < *at + late && !landing.dumps.contains_key(date)
    };
    arrivals(landing, dataset, now)?.into_iter().find(overdue)
}

/// When the next live dump is expected; `None` when that is not considered or not known.
#[must_use]
pub(super) fn next_arrival(
    landing: &LandingView,
    dataset: &DatasetSettings,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let due =
        |(date, at): &(NaiveDate, DateTime<Utc>)| *at > now && !landing.dumps.contains_key(date);
    arrivals(landing, dataset, now)?.into_iter().find(due).map(|(_, at)| at)
}

/// When the live dumps of the days around now usually land.
fn arrivals(
    landing: &LandingView,
    dataset: &DatasetSettings,
    now: DateTime<Utc>,
) -> Option<Vec<(NaiveDate, DateTime<Utc>)>> {
    let seconds = match dataset.trigger.as_ref()?.arrival {
        Arrival::None => return None,
        Arrival::At(time) => chrono::Timelike::num_seconds_from_midnight(&time),
        Arrival::Learned => landing.usual_arrival_seconds?,
    };
    let today = now.date_naive();
    let days = (-2..=2).map(|offset| today + Duration::days(offset));
    let expected = days.filter(|date| calendar::is_expected(&dataset.calendar, *date));
    let lands = |date: NaiveDate| {
        date.and_time(chrono::NaiveTime::MIN).and_utc() + Duration::seconds(i64::from(seconds))
    };
    Some(expected.map(|date| (date, lands(date))).collect())
}

/// How long a load takes: the 95th percentile of our own, or what the configuration says.
pub(super) fn usual_load(ledger: &State, dataset: &DatasetSettings) -> std::time::Duration {
    let mut loads: Vec<i64> = ledger
        .runs
        .iter()
        .filter(|run| run.dataset == dataset.name)
        .flat_map(|run| &run.stages)
        .filter(|record| record.stage == Stage::Load)
        .map(|record| (record.ended_at - record.started_at).num_seconds())
        .collect();
    if loads.len() < LOADS_TO_LEARN_FROM {
        return dataset.load.expected;
    }
    loads.sort_unstable();
    let index = (loads.len() * 95).div_ceil(100) - 1;
    std::time::Duration::from_secs(u64::try_from(loads[index]).unwrap_or(0))
}
