//! When to look again at the latest.

use chrono::{DateTime, Duration, Utc};

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
    wait.max(now).min(night.ends_at.max(now + poll))
}

/// How often the run's stage is looked at; without a run, as often as a load.
fn stage_poll(run: Option<&Run>, dataset: &DatasetSettings) -> std::time::Duration {
    let export = dataset.export.as_ref().map_or(dataset.load.poll, |export| export.poll);
    let publish = dataset.publish.as_ref().map_or(dataset.load.poll, |publish| publish.poll);
    match run.map(|run| run.stage) {
        None | Some(Stage::Preflight | Stage::StageDump | Stage::Load) => dataset.load.poll,
        Some(Stage::Snapshot | Stage::Export) => export,
        Some(Stage::Publish | Stage::Verify) => publish,
    }
}
