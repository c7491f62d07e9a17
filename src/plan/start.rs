//! What the head of the queue needs next: a gate opened, a closer look, or its beginning.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};

use super::census::Census;
use super::rest::Rest;
use super::{Begin, Candidate, Night, Step, expected, gates, hold, staging};
use crate::config::{DatasetSettings, NetworkSource};
use crate::domain::{DateStatus, Export, ExportStatus, Seen, Stage};
use crate::ledger::State;
use crate::observe::{Confirmation, Observation, Scan};
use crate::platform::TaskRequest;

/// A confirming look older than this is made again before a start.
const CONFIRMATION_FRESH_SECONDS: i64 = 60;

/// Everything that a decision to start rests on.
pub(super) struct Situation<'a> {
    pub(super) ledger: &'a State,
    pub(super) seen: &'a Observation,
    pub(super) dataset: &'a DatasetSettings,
    pub(super) night: &'a Night,
    pub(super) now: DateTime<Utc>,
}

/// The next step when no run of this dataset is in progress.
pub(super) fn next(
    situation: &Situation<'_>,
    census: Option<&Census>,
    queue: &[Candidate],
) -> Result<Step, Rest> {
    let scan = match &situation.seen.scan {
        Seen::Known(scan) => scan,
        Seen::Blind(causes) => return Err(Rest::Blind(causes.clone())),
    };
    let Some(head) = queue.first() else { return Err(nothing_queued(census, situation.night)) };
    let takes_up = head.takes_up || scan.exports.contains_key(&head.date);
    if let Some(rest) = gates::closed_by_people(situation, head)
        .or_else(|| gates::closed_by_world(situation, takes_up))
    {
        return Err(rest);
    }
    if !takes_up {
        hold::is_ready(situation)?;
        let Some(traffic) = &situation.seen.watch.traffic else { return Ok(Step::Survey) };
        if let Some(rest) = gates::closed_by_traffic(traffic, situation.dataset, situation.now) {
            return Err(rest);
        }
    }
    match &situation.seen.confirmed {
        Some(Seen::Blind(causes)) => Err(Rest::Blind(causes.clone())),
        Some(Seen::Known(look)) if is_fresh(look, head, situation.now) => {
            begin(situation, scan, head, look)
        }
        Some(Seen::Known(_)) | None => Ok(Step::Confirm { date: head.date }),
    }
}

fn nothing_queued(census: Option<&Census>, night: &Night) -> Rest {
    let waiting = census
        .into_iter()
        .flat_map(|census| &census.dates)
        .filter(|verdict| verdict.status == DateStatus::BackingOff && night.is_about(verdict.date))
        .filter_map(|verdict| verdict.until)
        .filter(|until| *until != night.ends_at) // cancelled: that is the next night's work
        .min();
    match waiting {
        Some(until) => Rest::BackingOff { until },
        None => Rest::NothingToDo,
    }
}

fn is_fresh(look: &Confirmation, head: &Candidate, now: DateTime<Utc>) -> bool {
    look.date == head.date && now - look.at < Duration::seconds(CONFIRMATION_FRESH_SECONDS)
}

fn begin(
    situation: &Situation<'_>,
    scan: &Scan,
    head: &Candidate,
    look: &Confirmation,
) -> Result<Step, Rest> {
    let dataset = situation.dataset;
    let stage = match (&look.export, &look.copy) {
        (Some(export), _) => stage_of_export(export, dataset),
        (None, Some(copy)) if !copy.is_clear() => {
            // The scan has taken this in by now: only a date whose files are whole is still here.
            if !head.takes_up || copy.whole_export().is_none() {
                return Err(Rest::NothingToDo);
            }
            Stage::Publish
        }
        (None, Some(_) | None) if head.takes_up => return Err(Rest::NothingToDo),
        (None, Some(_) | None) => Stage::Load,
    };
    let run = format!("{}/{}/{}", dataset.name, head.date, head.attempt);
    let expected = expected::expected_tables(&scan.coverage, head.date).len();
    let mut begin = Begin {
        run,
        candidate: head.clone(),
        stage,
        tables_expected: u32::try_from(expected).unwrap_or(u32::MAX),
        tables_before: u32::try_from(look.whole.len() + look.half.len()).unwrap_or(u32::MAX),
        preflight_at: look.at,
        load: None,
    };
    if stage != Stage::Load {
        return Ok(Step::TakeUp(Box::new(begin)));
    }
    let landing = &scan.landing;
    let staging = staging::before_load(situation, landing, head, begin.clone())?;
    if let Some(step) = staging {
        return Ok(step);
    }
    if let Some(step) = hold::before_load(situation, landing, &begin.run)? {
        return Ok(step);
    }
    begin.load = Some(task_request(situation, head)?);
    Ok(Step::Begin(Box::new(begin)))
}

/// Where a date is taken up whose export exists (H21).
fn stage_of_export(export: &Export, dataset: &DatasetSettings) -> Stage {
    match export.status {
        ExportStatus::Starting | ExportStatus::InProgress => Stage::Export,
        ExportStatus::Complete if dataset.copy.is_some() => Stage::Copy,
        ExportStatus::Complete | ExportStatus::Ended(_) => Stage::Publish,
    }
}

/// The request that the runbook makes by hand, as the rule's own target would (H25).
fn task_request(situation: &Situation<'_>, head: &Candidate) -> Result<TaskRequest, Rest> {
    let load = &situation.dataset.load;
    let (network, platform_version, task_definition) = match &load.network {
        NetworkSource::Inline { network, platform_version } => {
            (network.clone(), platform_version.clone(), load.task_definition.clone())
        }
        NetworkSource::FromTrigger => {
            let rule = situation.seen.watch.rule.as_ref().and_then(Seen::known);
            let target = rule.and_then(|rule| rule.targets.first());
            let (Some(target), Some(network)) = (target, target.and_then(|t| t.network.clone()))
            else {
                return Err(Rest::OddTrigger { why: "it has no target with a network".to_owned() });
            };
            let definition =
                target.task_definition.clone().unwrap_or_else(|| load.task_definition.clone());
            (network, target.platform_version.clone(), definition)
        }
    };
    let date = load.date_format.render(head.date);
    Ok(TaskRequest {
        cluster: load.cluster.clone(),
        task_definition,
        container: load.container.clone(),
        environment: BTreeMap::from([(load.date_variable.clone(), date)]),
        network,
        platform_version,
        client_token: String::new(),
        started_by: String::new(),
    })
}
