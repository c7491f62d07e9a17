//! The sweep after a hold: a live dump that landed while the trigger was held fired nothing.
//!
//! On its own UTC day its live run is driven once, as the rule's target would have; later it
//! is only counted, for the live task reads the day from its own clock.
//!
//! What this never does: drive a dump whose live run began after all, or twice.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, NaiveDate, Utc};
use sha2::{Digest, Sha256};

use super::{Step, gates};
use crate::config::{DatasetSettings, Mode, NetworkSource};
use crate::domain::{Dump, ErrorClass, RuleState, Seen, Stage, Task};
use crate::ledger::{Hold, HoldStep, HoldWhy, Run, State};
use crate::observe::{EVENT_LATE_AT_MOST_MINUTES, Watch};
use crate::platform::TaskRequest;

/// A dump may land so long after the rule is seen enabled, and still fire nothing.
const EDGE_MINUTES: i64 = 5;
/// A landing bucket that cannot be listed for so long is given up: the hold would never close.
const SWEEP_WITHIN_HOURS: i64 = 24;
/// Stopped tasks are known for an hour; younger dumps' tasks are surely seen.
const TASKS_KNOWN_MINUTES: i64 = 55;

/// What came of looking for dumps.
pub(super) enum Sweep {
    /// Too early to say, or it could not be seen now.
    NotYet,
    /// It could not be seen for a day, or may not be seen at all.
    Blind,
    /// These landed.
    Done(Vec<Swept>),
}

/// A live dump that landed in a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    /// Its date.
    pub date: NaiveDate,
    /// Its key.
    pub key: String,
    /// Its `ETag`.
    pub etag: String,
    /// Whether its day is over.
    pub missed: bool,
}

/// What landed in a hold and fired nothing.
pub(super) fn found(
    hold: &Hold,
    watch: &Watch,
    dataset: &DatasetSettings,
    now: DateTime<Utc>,
) -> Sweep {
    let Some(enabled_at) = hold.step_at(HoldStep::Enabled) else { return Sweep::NotYet };
    if now - enabled_at < settle(dataset) {
        return Sweep::NotYet;
    }
    let view = &watch.trigger;
    let (Some(Seen::Known(landed)), Some(Seen::Known(tasks))) = (&view.landed, &view.live_tasks)
    else {
        let late = now - enabled_at > Duration::hours(SWEEP_WITHIN_HOURS);
        let unseen = [
            view.landed.as_ref().map_or(&[][..], Seen::blindness),
            view.live_tasks.as_ref().map_or(&[][..], Seen::blindness),
        ];
        // A right that is not there does not come by waiting, and nothing starts meanwhile.
        let denied = unseen.concat().iter().any(|cause| cause.class == ErrorClass::Denied);
        return if late || denied { Sweep::Blind } else { Sweep::NotYet };
    };
    let fires_at = hold.dead_man.as_ref().map(|switch| switch.fires_at);
    let enabled_by = fires_at.map_or(enabled_at, |fires_at| enabled_at.min(fires_at));
    // What landed before the hold may have had its event in it.
    let late = Duration::minutes(EVENT_LATE_AT_MOST_MINUTES);
    let window = hold.begun_at - late..=enabled_by + Duration::minutes(EDGE_MINUTES);
    let settle = settle(dataset);
    let mut swept = Vec::new();
    for (date, dump) in landed {
        let landed_at = dump.last_modified;
        let live = landed_at.date_naive() == *date && !is_ours(hold, dump);
        if !live || !window.contains(&landed_at) || has_run_since(landed_at, tasks, watch, dataset)
        {
            continue;
        }
        if now - landed_at < settle * 2 && now.date_naive() == *date {
            return Sweep::NotYet; // its event may still be on its way to the rule
        }
        swept.push(Swept {
            date: *date,
            key: dump.key.clone(),
            etag: dump.etag.clone(),
            missed: now.date_naive() != *date,
        });
    }
    Sweep::Done(swept)
}

/// Live tasks that began after a write of ours, and that no dump of others explains: the rule
/// was not disabled after all when the write's event came (H15).
pub(super) fn fired(hold: &Hold, wrote_at: Option<DateTime<Utc>>, watch: &Watch) -> Vec<String> {
    let (HoldWhy::Upload { .. }, Some(wrote_at)) = (&hold.why, wrote_at) else { return Vec::new() };
    let tasks = watch.trigger.live_tasks.as_ref().and_then(Seen::known);
    let landed = watch.trigger.landed.as_ref().and_then(Seen::known);
    let late = Duration::minutes(EVENT_LATE_AT_MOST_MINUTES);
    let explained = |at: DateTime<Utc>| {
        landed.into_iter().flatten().any(|(_, dump)| {
            !is_ours(hold, dump) && dump.last_modified <= at && at - dump.last_modified <= late
        })
    };
    let after = |task: &&Task| task.created_at.is_some_and(|at| at >= wrote_at && !explained(at));
    tasks.into_iter().flatten().filter(after).map(|task| task.arn.clone()).collect()
}

fn settle(dataset: &DatasetSettings) -> Duration {
    let settle = dataset.trigger.as_ref().map_or(std::time::Duration::ZERO, |it| it.settle);
    Duration::from_std(settle).unwrap_or_default()
}

fn is_ours(hold: &Hold, dump: &Dump) -> bool {
    match &hold.why {
        HoldWhy::Upload { key, .. } => *key == dump.key,
        HoldWhy::Run { .. } => false,
    }
}

/// Whether a live run began since: a task of the rule's or another live one, or, when tasks may
/// be forgotten already, the snapshot that it left.
pub(super) fn has_run_since(
    since: DateTime<Utc>,
    tasks: &[Task],
    watch: &Watch,
    dataset: &DatasetSettings,
) -> bool {
    let began = |task: &&Task| task.created_at.is_none_or(|at| at >= since);
    let alive = watch.tasks.known().into_iter().flatten().filter(|task| task.is_described());
    if tasks.iter().any(|task| began(&task))
        || alive.filter(|task| task.date_override.is_none()).any(|task| began(&task))
    {
        return true;
    }
    if watch.at - since < Duration::minutes(TASKS_KNOWN_MINUTES) {
        return false;
    }
    let backdated = |id: &str| {
        let format = dataset.export.as_ref().map(|export| &export.snapshot_id);
        format.is_some_and(|format| format.parse(id).is_some())
    };
    let snapshots = watch.trigger.snapshots.as_ref().and_then(Seen::known);
    snapshots.into_iter().flatten().any(|snapshot| {
        !backdated(&snapshot.id) && snapshot.created_at.is_some_and(|at| at >= since)
    })
}

/// A live run that failed at its first step because our snapshot was still being made (H2): its
/// dump is as lost as one that fired nothing, and is driven as one.
pub(super) fn hurt(
    ledger: &State,
    watch: &Watch,
    dataset: &DatasetSettings,
    now: DateTime<Utc>,
) -> Option<Step> {
    let run = ledger.active_run().filter(|run| run.dataset == dataset.name)?;
    let failed = hurt_task(run, watch)?;
    let day = failed.created_at?.date_naive();
    let landed = watch.trigger.landed.as_ref()?.known()?;
    let dump = landed.iter().find(|(date, _)| *date == day).map(|(_, dump)| dump)?;
    if ledger.was_swept(&dataset.name, &dump.key, &dump.etag) {
        return None;
    }
    Some(Step::SweepHurt {
        dataset: dataset.name.clone(),
        dump: Swept {
            date: day,
            key: dump.key.clone(),
            etag: dump.etag.clone(),
            missed: now.date_naive() != day,
        },
        detail: format!(
            "live task {} failed while the snapshot of {} was being made",
            failed.arn, run.id
        ),
    })
}

/// A task of the rule's that failed between our asking for the load and our export, and ended
/// when our snapshot existed.
fn hurt_task<'a>(run: &Run, watch: &'a Watch) -> Option<&'a Task> {
    let asked_at = run.load.as_ref()?.intended_at;
    let view = watch.run.as_ref()?.known()?;
    let exported_at = view.export.as_ref().and_then(|export| export.started_at);
    let in_our_way = |task: &&Task| {
        let failed = !task.is_alive() && task.exit_code.is_some_and(|code| code != 0);
        let after = task.created_at.is_some_and(|at| at >= asked_at);
        let before = exported_at.is_none_or(|began| task.stopped_at.is_none_or(|at| at <= began));
        failed && after && before && task.date_override.is_none()
    };
    let tasks = watch.trigger.live_tasks.as_ref()?.known()?;
    let made = view.snapshot.is_some() || view.export.is_some();
    tasks.iter().filter(|_| made).find(in_our_way)
}

/// What a swept dump needs next.
pub(super) fn drive(
    ledger: &State,
    watch: &Watch,
    dataset: &DatasetSettings,
    now: DateTime<Utc>,
) -> Option<Step> {
    let dump = ledger.undriven(&dataset.name).next()?;
    let begun = dump.drive.is_some();
    if now.date_naive() != dump.date || !begun && may_not_start(ledger, watch, dataset, now) {
        return Some(Step::MissLiveDump {
            dataset: dataset.name.clone(),
            date: dump.date,
            key: dump.key.clone(),
            etag: dump.etag.clone(),
        });
    }
    let tasks = watch.tasks.known()?;
    if tasks.iter().any(Task::is_alive) && dump.drive.is_none()
        || in_critical_section(ledger, watch)
    {
        return None;
    }
    let task = match &dump.drive {
        Some(task) => task.clone(),
        None => live_request(watch, dataset, dump.date, &dump.etag)?,
    };
    Some(Step::DriveLive { dataset: dataset.name.clone(), date: dump.date, task })
}

/// Driving is a start: not in mode `observe`, in a pause, or while an operator has the rule
/// disabled. The dump is then counted, and alerted on, on its own day.
fn may_not_start(
    ledger: &State,
    watch: &Watch,
    dataset: &DatasetSettings,
    now: DateTime<Utc>,
) -> bool {
    let rule = watch.rule.as_ref().and_then(Seen::known);
    let held = ledger.hold_of(&dataset.name).is_some_and(Hold::keeps_rule_disabled);
    let by_operator = rule.is_some_and(|rule| rule.state == RuleState::Disabled) && !held;
    dataset.mode == Mode::Observe || gates::paused(ledger, dataset, now).is_some() || by_operator
}

/// From our load until its export exists a live task would destroy one of the two (H1, H2).
fn in_critical_section(ledger: &State, watch: &Watch) -> bool {
    let Some(run) = ledger.active_run() else { return false };
    let view = watch.run.as_ref().and_then(Seen::known);
    let exported = view.is_some_and(|view| view.export.is_some());
    match run.stage {
        Stage::Preflight | Stage::StageDump | Stage::Load => true,
        Stage::Snapshot | Stage::Export => !exported,
        Stage::Copy | Stage::Publish | Stage::Verify => false,
    }
}

/// The live run as the rule's own target would start it: no override, one token for one dump.
fn live_request(
    watch: &Watch,
    dataset: &DatasetSettings,
    date: NaiveDate,
    etag: &str,
) -> Option<TaskRequest> {
    let rule = watch.rule.as_ref()?.known()?;
    if gates::undrivable(rule, dataset).is_some() {
        return None;
    }
    let target = rule.targets.first()?;
    let inline = match &dataset.load.network {
        NetworkSource::Inline { network, .. } => Some(network.clone()),
        NetworkSource::FromTrigger => None,
    };
    let definition = target.task_definition.as_ref().unwrap_or(&dataset.load.task_definition);
    let digest = Sha256::digest(format!("{}\n{etag}", rule.name));
    let half: [u8; TOKEN_BYTES] = std::array::from_fn(|index| digest[index]);
    Some(TaskRequest {
        cluster: dataset.load.cluster.clone(),
        task_definition: definition.clone(),
        container: dataset.load.container.clone(),
        environment: BTreeMap::new(),
        network: target.network.clone().or(inline)?,
        platform_version: target.platform_version.clone(),
        client_token: format!("gapmend-live-{:032x}", u128::from_be_bytes(half)),
        started_by: format!("gapmend/live/{date}"),
    })
}

/// Of the digest in the token: ECS takes 64 characters in all.
const TOKEN_BYTES: usize = 16;
