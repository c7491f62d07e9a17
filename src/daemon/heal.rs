//! `heal`: the same passes in the foreground, until the queue is done.

use chrono::{DateTime, NaiveDate, Utc};
use tokio_util::sync::CancellationToken;

use super::engine::{Engine, Pass};
use super::wake::nap;
use crate::domain::{DateStatus, PassOutcome, RunOutcome};
use crate::ledger::{Asked, LedgerError, Request, Run};
use crate::plan::Rest;

/// Blind looks in a row before giving up: an outage that outlasts them wants a person.
const BLIND_LOOKS_AT_MOST: u32 = 3;
/// The wait after the first blind look; it doubles.
const BLIND_WAIT_SECONDS: i64 = 5;
/// Passes in a row that could not use the ledger before giving up: about three minutes.
const LEDGER_FAILURES_AT_MOST: u32 = 18;
/// Waiting for a live run, a back-off or a dump without any step of ours ends after so long.
const WAITS_AT_MOST_HOURS: i64 = 24;

/// What a `heal` came to.
#[derive(Clone, Debug)]
pub struct Healed {
    /// The runs that were in progress or began since, oldest first.
    pub runs: Vec<Run>,
    /// How it ended for each dataset.
    pub rests: Vec<HealEnd>,
    /// Whether it was told to stop before the end.
    pub interrupted: bool,
}

/// How a `heal` ended for one dataset.
#[derive(Clone, Debug)]
pub struct HealEnd {
    /// The dataset.
    pub dataset: String,
    /// Why nothing more is started.
    pub rest: Rest,
    /// What keeps the process that acts from going on, in its words, when it is another one.
    pub told: Option<String>,
    /// Dates that are still healable, or were asked for and are not available, and why.
    pub left: Vec<(NaiveDate, DateStatus, String)>,
}

impl Healed {
    /// Whether everything that could be healed was: no date's last run failed, nothing is left.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let last_went_wrong = self.runs.iter().any(|run| {
            let later = self.runs.iter().any(|other| {
                other.dataset == run.dataset
                    && other.date == run.date
                    && other.attempt > run.attempt
            });
            let outcome = run.end.as_ref().map(|end| end.outcome);
            !later && !matches!(outcome, Some(RunOutcome::Succeeded | RunOutcome::Void))
        });
        !self.interrupted && !last_went_wrong && self.rests.iter().all(HealEnd::is_done)
    }
}

impl HealEnd {
    fn is_done(&self) -> bool {
        self.rest == Rest::NothingToDo && self.told.is_none() && self.left.is_empty()
    }
}

/// Passes over the datasets until each one's queue is done, or something ends it.
///
/// # Errors
/// The ledger cannot be written.
pub async fn heal(
    engine: &mut Engine,
    names: &[String],
    asked: &Asked,
    shutdown: &CancellationToken,
) -> Result<Healed, LedgerError> {
    engine.ledger.act("heal").await?;
    let first_run = first_run_of_interest(engine);
    record_request(engine, names, asked).await?;
    let mut rests: Vec<(String, Rest)> = Vec::new();
    let mut interrupted = false;
    for name in names {
        let Some(rest) = heal_dataset(engine, name, shutdown).await? else {
            interrupted = true;
            break;
        };
        rests.push((name.clone(), rest));
    }
    let runs = engine.ledger.state().runs.iter().skip(first_run).cloned().collect();
    let rests = rests
        .into_iter()
        .map(|(dataset, rest)| HealEnd {
            left: left_over(engine, &dataset),
            dataset,
            rest,
            told: None,
        })
        .collect();
    engine.ledger.leave().await?;
    Ok(Healed { runs, rests, interrupted })
}

/// The run in progress belongs to what this `heal` reports, and all that come.
fn first_run_of_interest(engine: &Engine) -> usize {
    let runs = &engine.ledger.state().runs;
    runs.len() - usize::from(runs.last().is_some_and(Run::is_active))
}

async fn record_request(
    engine: &mut Engine,
    names: &[String],
    asked: &Asked,
) -> Result<(), LedgerError> {
    let Some(dates) = engine.errand.only.clone() else { return Ok(()) };
    for name in names {
        let request = Request::Heal {
            dates: dates.iter().copied().collect(),
            max_runs: engine.errand.max_runs,
        };
        engine.ledger.append_request(name, request, asked.clone()).await?;
    }
    Ok(())
}

/// `None` when it was interrupted.
async fn heal_dataset(
    engine: &mut Engine,
    name: &str,
    shutdown: &CancellationToken,
) -> Result<Option<Rest>, LedgerError> {
    let mut blind_looks = 0;
    let mut ledger_failures = 0;
    let mut last_step_at = engine.world.now();
    loop {
        if let Err(error) = engine.ledger.beat().await {
            tracing::warn!(error = error.in_words(), "the sign of life could not be written");
        }
        let turn = whose_turn(engine, name);
        let pass = tokio::select! {
            pass = engine.pass(&turn) => pass,
            () = shutdown.cancelled() => return Ok(None),
        };
        ledger_failures = if engine.ledger_trouble.is_some() { ledger_failures + 1 } else { 0 };
        if let Some(error) = hopeless(engine, ledger_failures) {
            return Err(error);
        }
        let now = engine.world.now();
        let mut wake_at = pass.wake_at;
        match &pass.rest {
            None if engine.ledger_trouble.is_some() => {}
            None => last_step_at = now,
            Some(Rest::Blind(causes)) if engine.ledger.state().active_run().is_none() => {
                blind_looks += 1;
                if blind_looks > BLIND_LOOKS_AT_MOST {
                    return Ok(Some(Rest::Blind(causes.clone())));
                }
                wake_at = now + blind_wait(blind_looks);
                engine.forget_blind_scan(name);
            }
            Some(rest) => {
                blind_looks = 0;
                if let Rest::InProgress { .. } = rest {
                    last_step_at = now;
                }
                if ends_here(&pass, rest, now, last_step_at) {
                    return Ok(Some(rest.clone()));
                }
            }
        }
        tokio::select! {
            () = engine.world.clock.sleep(nap(wake_at, now)) => {}
            () = shutdown.cancelled() => return Ok(None),
        }
    }
}

/// A run in progress comes first, whoever's it is: it is the one run over all datasets.
fn whose_turn(engine: &Engine, name: &str) -> String {
    let active = engine.ledger.state().active_run().map(|run| run.dataset.clone());
    let known = |dataset: &String| engine.settings.datasets.contains_key(dataset);
    active.filter(known).unwrap_or_else(|| name.to_owned())
}

/// Why the ledger will not be ours to write again soon, if so.
fn hopeless(engine: &Engine, failures: u32) -> Option<LedgerError> {
    let refusal = engine.ledger.refusal().cloned();
    let taken_over = || engine.ledger.check_epoch().err();
    let spent = failures > LEDGER_FAILURES_AT_MOST;
    refusal.or_else(taken_over).or_else(|| engine.ledger_trouble.clone().filter(|_| spent))
}

fn blind_wait(looks: u32) -> chrono::Duration {
    chrono::Duration::seconds(BLIND_WAIT_SECONDS << looks.saturating_sub(1).min(6))
}

/// Back-off and what is in the way of a start pass by themselves; everything else ends it.
fn ends_here(pass: &Pass, rest: &Rest, now: DateTime<Utc>, last_step_at: DateTime<Utc>) -> bool {
    let waited_too_long = now - last_step_at > chrono::Duration::hours(WAITS_AT_MOST_HOURS);
    pass.outcome == PassOutcome::Error && !matches!(rest, Rest::Blind(_))
        || waited_too_long
        || !(rest.passes_by_itself() || matches!(rest, Rest::Blind(_)))
}

/// Dates that are still healable, or that were asked for and are not available.
fn left_over(engine: &Engine, name: &str) -> Vec<(NaiveDate, DateStatus, String)> {
    let report = engine.reports().borrow().clone();
    let Some(census) = report.datasets.get(name).and_then(|dataset| dataset.census.clone()) else {
        return Vec::new();
    };
    let unfinished = |status: DateStatus| {
        matches!(status, DateStatus::Missing | DateStatus::BackingOff | DateStatus::Running)
    };
    let wanted = |date: NaiveDate, status: DateStatus| match &engine.errand.only {
        Some(only) => only.contains(&date) && status != DateStatus::Available,
        None => unfinished(status),
    };
    census
        .dates
        .iter()
        .filter(|verdict| wanted(verdict.date, verdict.status))
        .map(|verdict| (verdict.date, verdict.status, verdict.reason.clone()))
        .collect()
}
