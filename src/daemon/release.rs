//! `trigger release`: a person ends a hold of ours by hand.
//!
//! It needs no epoch: the hold's entry, or the switch of our name, is already the intent. It
//! never enables a rule that somebody else disabled.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::config::{DatasetSettings, DeadManSettings};
use crate::domain::RuleState;
use crate::ledger::{Event, Hold, HoldStep, Ledger};
use crate::platform::{Answer, DeadMan, World};

/// The rule is read back so often, so far apart.
const READ_BACK_TRIES: u32 = 15;
/// See [`READ_BACK_TRIES`].
const READ_BACK_PAUSE: Duration = Duration::from_secs(2);

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Released {
    /// The rule is not disabled: there is nothing to release.
    NotDisabled,
    /// It was ours, and is enabled; how that was known.
    Enabled {
        /// In words.
        proof: String,
        /// What could not be cleaned up; the next pass of a daemon does it.
        left: Option<String>,
    },
    /// It was ours, and still is not seen enabled.
    NotSeenEnabled,
    /// Somebody else disabled it.
    NotOurs,
    /// It was ours until the dead man's switch enabled it; somebody else disabled it since.
    SwitchFired {
        /// When.
        at: DateTime<Utc>,
    },
}

/// Enables the dataset's rule if it is disabled and that is our doing.
///
/// # Errors
/// The rule could not be read or enabled.
pub async fn release(
    world: &World,
    mut ledger: Option<&mut Ledger>,
    dataset: &DatasetSettings,
) -> Answer<Released> {
    let Some(trigger) = &dataset.trigger else { return Ok(Released::NotDisabled) };
    let (rule, bus) = (&trigger.rule, &trigger.event_bus);
    let hold = ledger.as_ref().and_then(|ledger| ledger.state().hold_of(&dataset.name)).cloned();
    let hold = hold.filter(Hold::keeps_rule_disabled);
    if world.platform.rule(rule, bus).await?.state != RuleState::Disabled {
        return Ok(Released::NotDisabled);
    }
    if let Some(hold) = &hold
        && let Some(at) = fired_at(world, hold).await
    {
        return Ok(Released::SwitchFired { at });
    }
    let (proof, switch) = match &hold {
        Some(hold) => (
            format!("the ledger says so, since {}", hold.begun_at.format("%Y-%m-%d %H:%M:%S UTC")),
            hold.dead_man.clone(),
        ),
        None => match proof_by_switch(world, dataset).await? {
            Some(switch) => {
                (format!("its dead man's switch {} says so", switch.name), Some(switch))
            }
            None => return Ok(Released::NotOurs),
        },
    };
    world.platform.enable_rule(rule, bus).await?;
    if !seen_enabled(world, rule, bus).await? {
        return Ok(Released::NotSeenEnabled);
    }
    let mut left = disarm(world, switch.as_ref()).await;
    if let (Some(ledger), Some(hold)) = (&mut ledger, &hold) {
        let event = Event::HoldMoved { hold: hold.id.clone(), step: HoldStep::Enabled };
        if let Err(error) = ledger.append(vec![event]).await {
            left = Some(format!("the ledger could not be written: {error}"));
        }
    }
    Ok(Released::Enabled { proof, left })
}

/// When the hold's switch did what this would do. One whose time has not come is not asked for,
/// and one that cannot be seen does not keep the rule disabled.
async fn fired_at(world: &World, hold: &Hold) -> Option<DateTime<Utc>> {
    let recorded = hold.dead_man.as_ref().filter(|switch| world.now() >= switch.fires_at)?;
    let found = world.platform.dead_man(&recorded.group, &recorded.name).await.ok()?;
    hold.switch_fired_at(found.as_ref(), world.now())
}

/// The switch of our name, when it is about this rule.
async fn proof_by_switch(world: &World, dataset: &DatasetSettings) -> Answer<Option<DeadMan>> {
    let Some(trigger) = &dataset.trigger else { return Ok(None) };
    let Some(DeadManSettings::Schedule { group, .. }) = &trigger.dead_man else { return Ok(None) };
    let found = world.platform.dead_man(group, &DeadMan::name_for(&dataset.name)).await?;
    Ok(found.filter(|it| it.rule == trigger.rule && it.event_bus == trigger.event_bus))
}

async fn seen_enabled(world: &World, rule: &str, bus: &str) -> Answer<bool> {
    for _ in 0..READ_BACK_TRIES {
        if world.platform.rule(rule, bus).await?.state == RuleState::Enabled {
            return Ok(true);
        }
        world.clock.sleep(READ_BACK_PAUSE).await;
    }
    Ok(false)
}

/// Deletes the switch; one that stays would only enable an enabled rule.
async fn disarm(world: &World, switch: Option<&DeadMan>) -> Option<String> {
    let switch = switch?;
    let gone = world.platform.disarm_dead_man(&switch.group, &switch.name).await;
    gone.err().map(|error| format!("its switch {} could not be deleted: {error}", switch.name))
}
