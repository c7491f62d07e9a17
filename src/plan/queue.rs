//! The queue: the healable dates, in order.

use chrono::NaiveDate;

use super::Candidate;
use super::census::{Census, DateVerdict};
use crate::config::{self, DatasetSettings, Mode, Order};
use crate::domain::{DateStatus, Dump};
use crate::ledger::state::DatasetView;
use crate::ledger::{Asked, State};
use crate::observe::Scan;

/// The healable dates: those asked for by name first, then in the configured order.
pub(super) fn queue(
    ledger: &State,
    census: &Census,
    scan: &Scan,
    dataset: &DatasetSettings,
) -> Vec<Candidate> {
    let view = ledger.dataset(&dataset.name);
    let mut queue: Vec<Candidate> = census
        .dates
        .iter()
        .filter(|verdict| verdict.status == DateStatus::Missing || verdict.takes_up)
        .filter_map(|verdict| candidate(&view, verdict, scan, dataset, census.today))
        .collect();
    if dataset.backfill.order == Order::NewestFirst {
        queue.reverse();
    }
    // A load's publishing moves the job's bookmark past whatever lies in the copy (H9): what only
    // waits to be published, which is a matter of minutes, comes first.
    queue.sort_by_key(|candidate| (view.asked_for(candidate.date).is_none(), !candidate.takes_up));
    queue
}

fn candidate(
    view: &DatasetView<'_>,
    verdict: &DateVerdict,
    scan: &Scan,
    dataset: &DatasetSettings,
    today: NaiveDate,
) -> Option<Candidate> {
    let dump: Dump = scan.landing.dumps.get(&verdict.date)?.first()?.clone();
    let runs = view.runs_of(verdict.date).count();
    let asked = view.asked_for(verdict.date);
    Some(Candidate {
        date: verdict.date,
        attempt: u32::try_from(runs).unwrap_or(u32::MAX - 1) + 1,
        dump,
        permitted_by: permitted_by(asked, verdict.date, dataset, today),
        takes_up: verdict.takes_up,
        asked: asked.cloned().unwrap_or_else(Asked::schedule),
    })
}

fn permitted_by(
    asked: Option<&Asked>,
    date: NaiveDate,
    dataset: &DatasetSettings,
    today: NaiveDate,
) -> String {
    if let Some((name, entry)) = config::entry_for(&dataset.backfill.allow, date, today) {
        return format!("backfill.allow.{name}: {}", entry.reason);
    }
    match (asked, dataset.mode) {
        (Some(asked), _) => format!("asked for by name by {}", asked.by),
        (None, Mode::Allowlist) => "asked for by name".to_owned(),
        (None, mode @ (Mode::Auto | Mode::Observe)) => {
            format!("mode {}", mode.label())
        }
    }
}
