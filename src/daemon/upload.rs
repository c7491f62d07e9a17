//! `upload`: one upload is seen to its end, by this process or by the one that acts.
//!
//! The parts are all there by now. Whoever acts makes the object of them, under a hold, and
//! ends the hold; this process acts when nobody else does, and follows through the ledger when
//! somebody does. It may change sides at any moment, for all that is needed is in the ledger.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::engine::Engine;
use super::giving_up::let_go;
use super::wake::nap;
use crate::domain::PassOutcome;
use crate::ledger::{Event, Hold, HoldStep, LedgerError, State, Upload, UploadOutcome, WhoActs};

/// The ledger is read this often while another process does the work.
const FOLLOW_EVERY: Duration = Duration::from_secs(2);
/// Turns in a row that could not use the ledger before giving up: about three minutes.
const LEDGER_FAILURES_AT_MOST: u32 = 18;

/// Where an upload is.
#[derive(Clone, Debug, PartialEq)]
pub struct UploadNews {
    /// In words.
    pub words: String,
    /// When the hold ends at the latest, while there is one.
    pub held_until: Option<DateTime<Utc>>,
}

/// Sees an upload whose parts are all there to its end, and its hold to its.
///
/// `tell` hears of every turn. A shutdown ends an upload that is not being written yet, and
/// waits for the rule to be enabled again; one that is written goes on to its end.
///
/// # Errors
/// The ledger cannot be used.
pub async fn see_upload_through(
    engine: &mut Engine,
    id: &str,
    tell: &mut (dyn FnMut(UploadNews) + Send),
    shutdown: &CancellationToken,
) -> Result<Upload, LedgerError> {
    let guard = engine.guard();
    let came = guard.beside(Box::pin(see_through(engine, id, tell, shutdown))).await;
    if came.is_err() {
        Box::pin(let_go(engine)).await;
    }
    came
}

async fn see_through(
    engine: &mut Engine,
    id: &str,
    tell: &mut (dyn FnMut(UploadNews) + Send),
    shutdown: &CancellationToken,
) -> Result<Upload, LedgerError> {
    let mut failures = 0;
    loop {
        match turn(engine, id, tell, shutdown).await {
            Ok(Turn::Over(upload)) => {
                engine.ledger.leave().await?;
                return Ok(*upload);
            }
            Ok(Turn::Again(wait)) => {
                failures = 0;
                engine.world.clock.sleep(wait).await;
            }
            Err(error) if failures < LEDGER_FAILURES_AT_MOST && error.passes() => {
                failures += 1;
                tracing::warn!(%error, "the ledger failed; trying again");
                engine.world.clock.sleep(FOLLOW_EVERY).await;
            }
            Err(error) => return Err(error),
        }
    }
}

enum Turn {
    Over(Box<Upload>),
    Again(Duration),
}

async fn turn(
    engine: &mut Engine,
    id: &str,
    tell: &mut (dyn FnMut(UploadNews) + Send),
    shutdown: &CancellationToken,
) -> Result<Turn, LedgerError> {
    engine.ledger.refresh().await?;
    if shutdown.is_cancelled() {
        cancel(engine, id).await?;
    }
    let state = engine.ledger.state();
    let Some(upload) = state.upload(id).cloned() else {
        return Err(LedgerError::Nonsense { message: format!("upload {id} is not known") });
    };
    let hold = state.hold_of(&upload.dataset);
    let hold = hold.filter(|hold| state.upload_of(hold).is_some_and(|known| known.id == id));
    let gives_up = shutdown.is_cancelled() && upload.writing_at.is_none();
    let rests = hold.is_none_or(|hold| gives_up && is_as_before(hold));
    let drives = state.undriven(&upload.dataset).next().is_some() && !shutdown.is_cancelled();
    if !upload.is_open() && rests && !drives {
        return Ok(Turn::Over(Box::new(upload)));
    }
    if !engine.ledger.is_acting()
        && let Some(other) = engine.ledger.someone_else_acts().await?
    {
        tell(news(engine.ledger.state(), &upload, Some(&other)));
        return Ok(Turn::Again(FOLLOW_EVERY));
    }
    if !engine.ledger.is_acting() {
        engine.ledger.act("upload").await?;
    }
    if let Err(error) = engine.ledger.beat().await {
        tracing::warn!(%error, "the sign of life could not be written");
    }
    let pass = engine.pass(&upload.dataset).await;
    if let Some(error) = engine.ledger_trouble.clone() {
        return Err(error);
    }
    let state = engine.ledger.state();
    let mut told = news(state, state.upload(id).unwrap_or(&upload), None);
    if let Some(rest) = pass.rest.filter(|_| told.held_until.is_none()) {
        told.words = format!("waiting: {rest}");
    }
    if pass.outcome == PassOutcome::Error {
        told.words = format!("{}; {}", told.words, pass.detail);
    }
    tell(told);
    Ok(Turn::Again(nap(pass.wake_at, engine.world.now())))
}

/// Whether a hold that is given up has left the rule and the schedule as they were; what landed
/// meanwhile is for the next pass of whoever acts.
fn is_as_before(hold: &Hold) -> bool {
    !hold.keeps_rule_disabled()
}

/// Ends an upload whose object is not about to be made.
async fn cancel(engine: &mut Engine, id: &str) -> Result<(), LedgerError> {
    let known = engine.ledger.state().upload(id);
    let Some(upload) = known.filter(|it| it.is_open() && it.writing_at.is_none()).cloned() else {
        return Ok(());
    };
    end_upload(engine, &upload, UploadOutcome::Cancelled, "ended by who asked for it").await
}

/// Removes an upload's parts and writes down that it is over.
///
/// # Errors
/// The ledger cannot be written.
pub async fn end_upload(
    engine: &mut Engine,
    upload: &Upload,
    outcome: UploadOutcome,
    detail: &str,
) -> Result<(), LedgerError> {
    let config = engine.settings.hash.clone();
    let actor = engine.actor(&config);
    let left = actor.forget(upload).await.map(|left| format!("; {left}")).unwrap_or_default();
    let detail = format!("{detail}{left}");
    let ended = Event::UploadEnded { upload: upload.id.clone(), outcome, detail };
    engine.ledger.record(ended).await.map(|_| ())
}

/// Where it is, by the ledger.
fn news(state: &State, upload: &Upload, other: Option<&WhoActs>) -> UploadNews {
    let hold = state.hold_of(&upload.dataset);
    let held_until = hold.map(|hold| hold.until);
    let words = match hold {
        None if upload.is_open() => "about to hold the trigger",
        None if state.undriven(&upload.dataset).next().is_some() => {
            "a live dump landed while the rule was disabled; its live run is about to be started"
        }
        None => "done",
        Some(hold) => hold_words(hold, upload),
    };
    let words = match other {
        Some(other) => format!("{words} ({} acts, and does it)", other.writer),
        None => words.to_owned(),
    };
    UploadNews { words, held_until }
}

fn hold_words(hold: &Hold, upload: &Upload) -> &'static str {
    let is_done = |step| hold.step_at(step).is_some();
    if is_done(HoldStep::Enabled) {
        "the rule is enabled; looking for what landed while it was not"
    } else if is_done(HoldStep::WorkDone) && upload.writing_at.is_some() {
        "written; its event settles before the rule is enabled again"
    } else if is_done(HoldStep::WorkDone) {
        "not written; the rule is about to be enabled again"
    } else if is_done(HoldStep::Disabled) {
        "the rule is disabled; the object is made once that is felt"
    } else if is_done(HoldStep::Armed) {
        "the dead man's switch is armed; disabling the rule"
    } else {
        "arming the dead man's switch"
    }
}
