//! When to look again at the latest.

use chrono::{DateTime, Duration, Utc};

use super::progress::STOP_AGAIN_AFTER_SECONDS;
use super::{Night, Rest, Step};
use crate::config::DatasetSettings;
use crate::domain::Stage;
use crate::ledger::{Run, State};

/// After a blind look: soon enough to heal tonight, seldom enough not to add to a throttling.
const BLIND_RETRY_MINUTES: i64 = 5;

/// When the next pass is due.
pub(super) fn at(
    step: &Result<Step, Rest>,
    ledger: &State,
    dataset: &DatasetSettings,
    night: &Night,
    now: DateTime<Utc>,
) -> DateTime<Utc> {
    let run = super::own_active_run(ledger, dataset);
    let poll = Duration::from_std(stage_poll(run, dataset)).unwrap_or_default();
    let Err(rest) = step else { return now };
    let wait = match rest {
        Rest::NothingToDo
        | Rest::Observing
        | Rest::Stopped { .. }
        | Rest::Paused { .. }
        | Rest::Frozen { .. }
        | Rest::OutsideHours { .. }
        | Rest::NightSpent { .. }
        | Rest::BackingOff { .. } => rest.until().unwrap_or(night.ends_at),
        Rest::LiveDumpDue { .. } => now + poll.max(Duration::minutes(1)),
        Rest::Blind(_) if run.is_none() => now + Duration::minutes(BLIND_RETRY_MINUTES),
        Rest::Blind(_)
        | Rest::DisabledByOther { .. }
        | Rest::OddTrigger { .. }
        | Rest::LiveTask { .. }
        | Rest::UnsettledSnapshot { .. }
        | Rest::SnapshotNeedsExport { .. }
        | Rest::ExportRunning { .. }
        | Rest::WorkflowRunning { .. }
        | Rest::OtherDataset { .. }
        | Rest::Holding { .. }
        | Rest::HoldRefused { .. }
        | Rest::InProgress { .. } => now + poll,
    };
    let tended =
        ledger.hold_of(&dataset.name).is_some() || ledger.undriven(&dataset.name).next().is_some();
    let wait = if tended { wait.min(now + poll) } else { wait };
    let wait = match stop_is_due(run) {
        Some(at) if at > now => wait.min(at),
        Some(_) if matches!(rest, Rest::Blind(_)) => {
            now + Duration::seconds(STOP_AGAIN_AFTER_SECONDS)
        }
        Some(_) | None => wait, // it took, or nothing is to be stopped
    };
    wait.max(now).min(night.ends_at.max(now + poll))
}

/// When to look again after a service did not answer: at the next poll, and sooner when it was
/// asked to stop our load, which must not go on beside a live one for so long (H1).
#[must_use]
pub fn after_no_answer(
    ledger: &State,
    dataset: &DatasetSettings,
    now: DateTime<Utc>,
) -> DateTime<Utc> {
    let poll = Duration::from_std(dataset.load.poll).unwrap_or_default();
    let stop = stop_is_due(super::own_active_run(ledger, dataset));
    stop.map_or(now + poll, |at| at.min(now + poll).max(now))
}

/// When a stop that did not take is to be asked for again.
fn stop_is_due(run: Option<&Run>) -> Option<DateTime<Utc>> {
    let stop = run.filter(|run| run.stage == Stage::Load)?.stopping.as_ref()?;
    Some(stop.at + Duration::seconds(STOP_AGAIN_AFTER_SECONDS))
}

/// How often the run's stage is looked at; without a run, as often as a load.
fn stage_poll(run: Option<&Run>, dataset: &DatasetSettings) -> std::time::Duration {
    let export = dataset.export.as_ref().map_or(dataset.load.poll, |export| export.poll);
    let copy = dataset.copy.as_ref().map_or(export, |copy| copy.poll);
    let publish = dataset.publish.as_ref().map_or(dataset.load.poll, |publish| publish.poll);
    match run.map(|run| run.stage) {
        None | Some(Stage::Preflight | Stage::StageDump | Stage::Load) => dataset.load.poll,
        Some(Stage::Snapshot | Stage::Export) => export,
        Some(Stage::Copy) => copy,
        Some(Stage::Publish | Stage::Verify) => publish,
    }
}
