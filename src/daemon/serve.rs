//! The daemon's loop: passes when they are due, one at a time, until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::engine::Engine;
use super::wake::{MinuteBell, nap};
use crate::config::Settings;
use crate::ledger::LedgerError;

/// A process that stands by looks whether it may act again this often.
const STAND_BY_SLEEP: Duration = Duration::from_secs(10);
/// The ledger of an idle daemon is read for requests this often.
const IDLE_SLEEP: Duration = Duration::from_secs(15);

/// Reads the configuration again; `None` when nothing changed.
pub type Reload = Box<dyn FnMut() -> Option<Result<Settings, String>> + Send>;

/// Takes the next epoch: from here on this process acts. While that fails, what a process before
/// us left held is released in its time all the same; without that there is nothing to stay for.
///
/// # Errors
/// The ledger cannot be written, and nothing is held.
pub async fn take_up(engine: &mut Engine, shutdown: &CancellationToken) -> Result<(), LedgerError> {
    engine.guard().beside(Box::pin(take_epoch(engine, shutdown))).await
}

async fn take_epoch(engine: &mut Engine, shutdown: &CancellationToken) -> Result<(), LedgerError> {
    loop {
        let Err(error) = engine.ledger.act("run").await else { return Ok(()) };
        engine.ledger.release_unattended().await;
        let mut held = false;
        for name in engine.names_to_tend() {
            held |= engine.tend_unattended(&name).await;
        }
        if !held || shutdown.is_cancelled() {
            return Err(error);
        }
        tracing::error!(%error, "the ledger cannot be written; the trigger is held, and is released in its time");
        engine.publish_report();
        tokio::select! {
            () = engine.world.clock.sleep(STAND_BY_SLEEP) => {}
            () = shutdown.cancelled() => {}
        }
    }
}

/// Runs until `shutdown`, woken by a bell once a minute beside the loop's own timer.
///
/// # Errors
/// As for [`turns`].
pub async fn serve(
    engine: &mut Engine,
    wake: Arc<Notify>,
    mut reload: Reload,
    shutdown: CancellationToken,
) -> Result<(), LedgerError> {
    let bell = MinuteBell::start(Arc::clone(&wake)).await;
    if let Err(error) = &bell {
        tracing::warn!(%error, "the scheduler did not start; the loop's own timer wakes it");
    }
    let served = turns(engine, &wake, &mut reload, &shutdown).await;
    if let Ok(bell) = bell {
        bell.stop().await;
    }
    served
}

/// The loop itself, by any clock: passes, stands by when a newer process acts, and leaves when
/// it is told to.
///
/// Running ingestions are left to be adopted by the next start.
///
/// # Errors
/// The ledger cannot be written any more, or is poisoned: the process must begin anew.
pub async fn turns(
    engine: &mut Engine,
    wake: &Notify,
    reload: &mut Reload,
    shutdown: &CancellationToken,
) -> Result<(), LedgerError> {
    engine.guard().beside(Box::pin(turn_until_told(engine, wake, reload, shutdown))).await
}

async fn turn_until_told(
    engine: &mut Engine,
    wake: &Notify,
    reload: &mut Reload,
    shutdown: &CancellationToken,
) -> Result<(), LedgerError> {
    while !shutdown.is_cancelled() {
        reload_config(engine, reload);
        let until = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            until = turn(engine) => until?,
        };
        engine.publish_report();
        let sleep = nap(until, engine.world.now());
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            () = wake.notified() => {}
            () = engine.world.clock.sleep(sleep) => {}
        }
    }
    engine.ledger.leave().await
}

/// One turn of the loop; answers when the next one is due at the latest.
async fn turn(engine: &mut Engine) -> Result<DateTime<Utc>, LedgerError> {
    if !engine.ledger.is_acting() {
        return stand_by(engine).await;
    }
    engine.read_ledger().await;
    engine.beat().await;
    let mut next = engine.world.now() + IDLE_SLEEP;
    for name in engine.turn_order() {
        let due_at = engine.due_at(&name);
        if due_at > engine.world.now() {
            next = next.min(due_at);
            continue;
        }
        let pass = engine.pass(&name).await;
        next = next.min(pass.wake_at);
        if let Some(error) = engine.ledger.refusal().filter(|error| error.is_poisoned()) {
            return Err(error.clone());
        }
    }
    Ok(next)
}

async fn stand_by(engine: &mut Engine) -> Result<DateTime<Utc>, LedgerError> {
    match engine.ledger.standing_by_may_take_over().await {
        Ok(Some(why)) => {
            tracing::info!(?why, "taking over");
            engine.ledger.act("run").await?;
            return Ok(engine.world.now());
        }
        Ok(None) => {}
        Err(error) => {
            engine.read_ledger().await;
            tracing::warn!(error = error.in_words(), "standing by, and the ledger cannot be read");
        }
    }
    // Nobody else acts, the ledger refuses: a rule that we hold comes back all the same.
    if engine.ledger.may_release() {
        for name in engine.turn_order() {
            if engine.ledger.state().hold_of(&name).is_some() {
                engine.pass(&name).await;
            }
        }
    }
    Ok(engine.world.now() + STAND_BY_SLEEP)
}

fn reload_config(engine: &mut Engine, reload: &mut Reload) {
    match reload() {
        None => {}
        Some(Ok(settings)) => {
            tracing::info!(config = settings.hash, "the configuration was read again");
            engine.reconfigure(settings);
        }
        Some(Err(problem)) => {
            tracing::error!(%problem, "the new configuration is bad; the old one stays");
            engine.refuse_config(problem);
        }
    }
}
