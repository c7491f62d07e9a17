//! Giving up: a command that cannot go on enables what it holds before it ends, for that needs no
//! ledger.
//!
//! What this never does: write an entry, or leave the rule to the dead man's switch while it can be
//! enabled.

use std::time::Duration;

use super::engine::Engine;
use crate::act::enable_held;
use crate::ledger::{Hold, HoldStep};
use crate::plan;

/// Enabling is asked for so often, then the switch is all that is left.
const ENABLE_TRIES: u32 = 30;
/// The wait between two tries.
const ENABLE_PAUSE: Duration = Duration::from_secs(5);

/// Enables every rule that this process holds, once what was written under it has settled.
pub(super) async fn let_go(engine: &mut Engine) {
    if !engine.ledger.may_release() {
        return; // another process acts, and releases
    }
    let now = engine.world.now();
    let seen = engine.notes.applied(engine.ledger.state()).into_owned();
    for hold in seen.holds.values().filter(|hold| hold.keeps_rule_disabled()) {
        tracing::warn!(rule = hold.rule, "giving up; the rule is enabled before this ends");
        engine.notes.remember(&hold.id, HoldStep::WorkDone, now);
        enable(engine, hold).await;
    }
}

async fn enable(engine: &Engine, hold: &Hold) {
    let dataset = engine.settings.datasets.get(&hold.dataset).cloned();
    let seen = engine.notes.applied(engine.ledger.state()).into_owned();
    let known = seen.holds.get(&hold.id).unwrap_or(hold);
    if let Some(due) = plan::release_due_at(&seen, known, dataset.as_deref()) {
        let settles = (due - engine.world.now()).to_std().unwrap_or_default();
        engine.world.clock.sleep(settles).await;
    }
    for _ in 0..ENABLE_TRIES {
        match enable_held(&engine.world, &engine.notes, hold).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => {
                tracing::error!(rule = hold.rule, %error, "it could not be enabled; again");
            }
        }
        engine.world.clock.sleep(ENABLE_PAUSE).await;
    }
    tracing::error!(
        rule = hold.rule,
        "it is still seen disabled: enable it by hand, or run `gapmend trigger release`"
    );
}
