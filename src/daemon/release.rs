//! `trigger release`: a person ends a hold of ours by hand.
//!
//! It needs no epoch: the hold's entry, or the switch of our name, is already the intent. It
//! never enables a rule that somebody else disabled.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::act::{HoldNotes, enable_held};
use crate::config::{DatasetSettings, DeadManSettings};
use crate::domain::RuleState;
use crate::ledger::{Appended, Event, Hold, HoldStep, Ledger, LedgerError};
use crate::platform::{Answer, DeadMan, World};

/// The rule is read back so often, so far apart.
const READ_BACK_TRIES: u32 = 15;
/// The rule's state is not waited for longer.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// The release is written down against so many faster writers at most.
const RECORD_TRIES: u32 = 16;
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
    let reading = world.platform.rule(rule, bus);
    if world.within(READ_WITHIN, "events:DescribeRule", reading).await?.state != RuleState::Disabled
    {
        return Ok(Released::NotDisabled);
    }
    // The open hold decides, whatever the dataset is called by now.
    let known = ledger.as_ref().and_then(|ledger| {
        let mut holds = ledger.state().holds.values();
        holds.find(|hold| hold.rule == *rule && hold.event_bus == *bus).cloned()
    });
    let (proof, switch, hold) = match known {
        Some(hold) if hold.keeps_rule_disabled() => {
            (words_of(&hold, world.now()), hold.dead_man.clone(), Some(hold))
        }
        // Its switch was armed, and the rule was never disabled for it.
        Some(_) => return Ok(Released::NotOurs),
        None => match proof_by_switch(world, dataset).await? {
            Some(switch) => {
                (format!("its dead man's switch {} says so", switch.name), Some(switch), None)
            }
            None => return Ok(Released::NotOurs),
        },
    };
    match &hold {
        Some(hold) => drop(enable_held(world, &HoldNotes::default(), hold).await?),
        None => world.platform.enable_rule(rule, bus).await?,
    }
    if !seen_enabled(world, rule, bus).await? {
        return Ok(Released::NotSeenEnabled);
    }
    let mut left = disarm(world, switch.as_ref()).await;
    if let (Some(ledger), Some(hold)) = (&mut ledger, &hold)
        && let Err(error) = record(ledger, hold).await
    {
        left = Some(format!("the release could not be recorded: failed to {error}"));
    }
    Ok(Released::Enabled { proof, left })
}

/// Whose doing it is that the rule is disabled, by the ledger.
fn words_of(hold: &Hold, now: DateTime<Utc>) -> String {
    let since = hold.begun_at.format("%Y-%m-%d %H:%M:%S UTC");
    let overdue = hold.dead_man.as_ref().is_some_and(|switch| now >= switch.fires_at);
    let more = if overdue {
        "; its dead man's switch is overdue, and nobody has seen the rule enabled since: see whether its role may call events:EnableRule"
    } else {
        ""
    };
    format!("the ledger says so, since {since}{more}")
}

/// Writes the release down, against whoever writes meanwhile.
async fn record(ledger: &mut Ledger, hold: &Hold) -> Result<(), LedgerError> {
    for _ in 0..RECORD_TRIES {
        let Some(known) = ledger.state().holds.get(&hold.id) else { return Ok(()) };
        // Whoever released by hand has decided: what the hold was for is not waited for.
        let steps = [HoldStep::WorkDone, HoldStep::Enabled];
        let missing = steps.into_iter().filter(|step| known.step_at(*step).is_none());
        let moved = missing.map(|step| Event::HoldMoved { hold: hold.id.clone(), step });
        let events: Vec<Event> = moved.collect();
        if events.is_empty() {
            return Ok(());
        }
        if let Appended::Recorded(_) = ledger.append(events).await? {
            return Ok(());
        }
    }
    Err(LedgerError::Contended { tries: RECORD_TRIES })
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
