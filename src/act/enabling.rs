//! Enabling the rule of a hold: the one effect that waits for nothing.
//!
//! The hold's entry is the intent, so no entry is written first. The pass, the guard beside it and
//! `trigger release` all come here, one at a time, and whoever comes second does nothing.

use std::time::Duration;

use super::HoldNotes;
use crate::domain::RuleState;
use crate::ledger::{Hold, HoldStep};
use crate::platform::{Answer, World};

/// An answer of EventBridge is not waited for longer: enabling is asked for again.
const ENABLE_WITHIN: Duration = Duration::from_secs(10);
/// The same for reading the rule back.
const READ_BACK_WITHIN: Duration = Duration::from_secs(5);

/// Enables the rule of a hold unless this process has already done so; answers whether the rule
/// was read as no longer disabled afterwards. A reading alone may be older than our own disabling.
///
/// # Errors
/// `EnableRule` was not answered, or was refused.
pub async fn enable_held(world: &World, notes: &HoldNotes, hold: &Hold) -> Answer<bool> {
    let (rule, event_bus) = (hold.rule.as_str(), hold.event_bus.as_str());
    let _turn = notes.turn().await;
    if notes.has(&hold.id, HoldStep::Enabled) {
        return Ok(true);
    }
    let enabling = world.platform.enable_rule(rule, event_bus);
    world.within(ENABLE_WITHIN, "events:EnableRule", enabling).await?;
    let reading = world.platform.rule(rule, event_bus);
    let read = world.within(READ_BACK_WITHIN, "events:DescribeRule", reading).await;
    let enabled = read.is_ok_and(|read| read.state != RuleState::Disabled);
    if enabled {
        notes.remember(&hold.id, HoldStep::Enabled, world.now());
    }
    Ok(enabled)
}
