//! `retire`: the last passes, until no run and no hold of a dataset is left.
//!
//! The pause that stands in the ledger keeps everything from being started, so these are the
//! passes that any daemon would make.

use chrono::{DateTime, Duration, Utc};
use tokio_util::sync::CancellationToken;

use super::engine::Engine;
use super::giving_up::let_go;
use super::wake::nap;
use crate::ledger::{LedgerError, State};

/// A run and a hold have deadlines of their own; past this one a person has to look.
const WOUND_UP_WITHIN_HOURS: i64 = 24;

/// Whether the dataset has a run, a hold, or a live dump of a hold that is not over.
#[must_use]
pub fn is_busy(state: &State, name: &str) -> bool {
    state.active_run().is_some_and(|run| run.dataset == name)
        || state.hold_of(name).is_some()
        || state.undriven(name).next().is_some()
}

/// Passes over the datasets until none is busy. `false`: it was interrupted, or took too long.
///
/// # Errors
/// The ledger cannot be written.
pub async fn wind_up(
    engine: &mut Engine,
    names: &[String],
    shutdown: &CancellationToken,
) -> Result<bool, LedgerError> {
    let guard = engine.guard();
    let came = guard.beside(Box::pin(wind_up_here(engine, names, shutdown))).await;
    if came.is_err() {
        Box::pin(let_go(engine)).await;
    }
    came
}

async fn wind_up_here(
    engine: &mut Engine,
    names: &[String],
    shutdown: &CancellationToken,
) -> Result<bool, LedgerError> {
    engine.ledger.act("retire").await?;
    let until = engine.world.now() + Duration::hours(WOUND_UP_WITHIN_HOURS);
    let mut done = true;
    for name in names {
        done = done && wind_up_one(engine, name, until, shutdown).await?;
    }
    engine.ledger.leave().await?;
    Ok(done)
}

async fn wind_up_one(
    engine: &mut Engine,
    name: &str,
    until: DateTime<Utc>,
    shutdown: &CancellationToken,
) -> Result<bool, LedgerError> {
    while is_busy(engine.ledger.state(), name) {
        if let Err(error) = engine.ledger.beat().await {
            tracing::warn!(%error, "the sign of life could not be written");
        }
        let pass = tokio::select! {
            pass = engine.pass(name) => pass,
            () = shutdown.cancelled() => return Ok(false),
        };
        engine.ledger.check_epoch()?;
        if let Some(refusal) = engine.ledger.refusal() {
            return Err(refusal.clone());
        }
        let now = engine.world.now();
        if now > until {
            return Ok(false);
        }
        tokio::select! {
            () = engine.world.clock.sleep(nap(pass.wake_at, now)) => {}
            () = shutdown.cancelled() => return Ok(false),
        }
    }
    Ok(true)
}
