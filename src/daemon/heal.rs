//! `heal`: the same passes in the foreground, until the queue is done.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use tokio_util::sync::CancellationToken;

use super::engine::{Engine, Pass};
use super::giving_up::let_go;
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
    let guard = engine.guard();
    let came = guard.beside(Box::pin(heal_here(engine, names, asked, shutdown))).await;
    if came.is_err() {
        Box::pin(let_go(engine)).await;
    }
    came
}

async fn heal_here(
    engine: &mut Engine,
    names: &[String],
    asked: &Asked,
    shutdown: &CancellationToken,
) -> Result<Healed, LedgerError> {
    engine.ledger.act("heal").await?;
    let first_run = first_run_of_interest(engine);
    record_request(engine, names, asked).await?;
    let mut healing = Healing::of(names, engine.world.now());
    let interrupted = !healing.go_on(engine, shutdown).await?;
    let rests = healing.ended;
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

/// The datasets that are being healed, in turns: whoever ran longest ago comes first.
struct Healing {
    /// When each one's next pass is due, and how many looks in a row were blind.
    open: BTreeMap<String, (DateTime<Utc>, u32)>,
    ended: Vec<(String, Rest)>,
    last_step_at: DateTime<Utc>,
    ledger_failures: u32,
    /// Why the last pass failed, as it was told.
    trouble: Option<String>,
}

impl Healing {
    fn of(names: &[String], now: DateTime<Utc>) -> Self {
        let open = names.iter().map(|name| (name.clone(), (now, 0))).collect();
        let (ended, last_step_at) = (Vec::new(), now);
        Self { open, ended, last_step_at, ledger_failures: 0, trouble: None }
    }

    /// Until every one has ended; false when it was interrupted.
    async fn go_on(
        &mut self,
        engine: &mut Engine,
        shutdown: &CancellationToken,
    ) -> Result<bool, LedgerError> {
        while !self.open.is_empty() {
            engine.beat().await;
            engine.tend_holds_of_the_renamed().await;
            let turn = self.whose_turn(engine);
            let pass = tokio::select! {
                pass = engine.pass(&turn) => pass,
                () = shutdown.cancelled() => return Ok(false),
            };
            let troubled = engine.ledger_trouble.is_some();
            self.ledger_failures = if troubled { self.ledger_failures + 1 } else { 0 };
            if let Some(error) = hopeless(engine, self.ledger_failures) {
                return Err(error);
            }
            self.tell_trouble(engine, &turn, &pass);
            let now = engine.world.now();
            let next = self.note(engine, &turn, &pass, now);
            if self.open.is_empty() {
                break; // nobody waits for another pass
            }
            tokio::select! {
                () = engine.world.clock.sleep(nap(next, now)) => {}
                () = shutdown.cancelled() => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Once for each reason; how a run goes is told by its progress.
    fn tell_trouble(&mut self, engine: &Engine, turn: &str, pass: &Pass) {
        let ledger = engine.ledger_trouble.as_ref().map(LedgerError::in_words);
        let blind = matches!(pass.rest, Some(Rest::Blind(_))).then(|| pass.detail.clone());
        let trouble = ledger.or(blind);
        if trouble != self.trouble
            && let Some(why) = &trouble
        {
            tracing::warn!(dataset = turn, "{why}; trying again");
        }
        self.trouble = trouble;
    }

    /// A run in progress comes first, whoever's it is: it is the one run over all datasets.
    fn whose_turn(&self, engine: &Engine) -> String {
        let active = engine.ledger.state().active_run().map(|run| run.dataset.clone());
        let known = |dataset: &String| engine.settings.datasets.contains_key(dataset);
        let now = engine.world.now();
        let is_due = |name: &String| self.open.get(name).is_some_and(|(at, _)| *at <= now);
        let first_due = engine.turn_order().into_iter().find(is_due);
        let soonest = || {
            let soonest = self.open.iter().min_by_key(|(_, (at, _))| *at);
            soonest.map(|(name, _)| name.clone())
        };
        active.filter(known).or(first_due).or_else(soonest).unwrap_or_default()
    }

    /// Notes what came of a pass; answers when the next one is due.
    fn note(
        &mut self,
        engine: &mut Engine,
        turn: &str,
        pass: &Pass,
        now: DateTime<Utc>,
    ) -> DateTime<Utc> {
        let idle = engine.ledger.state().active_run().is_none();
        let looks = self.open.get(turn).map_or(0, |(_, looks)| *looks);
        let (mut wake_at, mut blind_looks) = (pass.wake_at, 0);
        let mut ends = false;
        match &pass.rest {
            None if engine.ledger_trouble.is_some() => {}
            None => self.last_step_at = now,
            Some(Rest::Blind(_)) if idle => {
                blind_looks = looks + 1;
                ends = blind_looks > BLIND_LOOKS_AT_MOST;
                wake_at = now + blind_wait(blind_looks);
                engine.forget_blind_scan(turn);
            }
            Some(rest) => {
                if let Rest::InProgress { .. } = rest {
                    self.last_step_at = now;
                }
                ends = ends_here(pass, rest, now, self.last_step_at);
            }
        }
        match &pass.rest {
            Some(rest) if ends => self.end(turn, rest),
            Some(_) | None => {
                if let Some(place) = self.open.get_mut(turn) {
                    *place = (wake_at, blind_looks);
                }
            }
        }
        if !idle {
            return wake_at;
        }
        self.open.values().map(|(at, _)| *at).min().unwrap_or(wake_at)
    }

    /// The run of a dataset that is not healed here ends nobody but those who wait for it.
    fn end(&mut self, turn: &str, rest: &Rest) {
        let ended: Vec<String> = match self.open.remove(turn) {
            Some(_) => vec![turn.to_owned()],
            None => std::mem::take(&mut self.open).into_keys().collect(),
        };
        self.ended.extend(ended.into_iter().map(|name| (name, rest.clone())));
    }
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
        .map(|verdict| (verdict.date, verdict.status, verdict.reason.to_string()))
        .collect()
}
