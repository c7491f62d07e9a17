//! What may be done under a hold: nothing without the rule seen disabled, our own hold, and the
//! time that the change takes to be felt.

use chrono::Duration;

use super::intend;
use crate::config::{DatasetSettings, HoldPolicy};
use crate::domain::{RuleState, Seen};
use crate::ledger::{Hold, HoldStep, HoldWhy, State};
use crate::observe::LandingView;
use crate::plan::Step;
use crate::plan::rest::Rest;
use crate::plan::span;
use crate::plan::start::Situation;

/// What must be done about the trigger before a run's load: nothing, a hold, or waiting for it.
pub(in crate::plan) fn before_load(
    situation: &Situation<'_>,
    landing: &LandingView,
    run: &str,
) -> Result<Option<Step>, Rest> {
    let Situation { ledger, dataset, .. } = situation;
    let why = HoldWhy::Run { run: run.to_owned() };
    match ledger.hold_of(&dataset.name) {
        Some(hold) if hold.why == why => witness(situation, hold).map(|()| None),
        Some(hold) => Err(resting(hold)),
        None => match &dataset.trigger {
            Some(trigger) if trigger.hold == HoldPolicy::Run => {
                let rule = situation.seen.watch.rule.as_ref().and_then(Seen::known);
                if trigger.ignore_disabled
                    && rule.is_some_and(|rule| rule.state == RuleState::Disabled)
                {
                    return Ok(None); // somebody else keeps the live run away already
                }
                let plan = intend(situation, landing, trigger, why)?;
                Ok(Some(Step::Hold(Box::new(plan))))
            }
            Some(_) | None => Ok(None),
        },
    }
}

/// An open hold is waited for before anything is looked at closely.
pub(in crate::plan) fn is_ready(situation: &Situation<'_>) -> Result<(), Rest> {
    situation
        .ledger
        .hold_of(&situation.dataset.name)
        .map_or(Ok(()), |hold| witness(situation, hold))
}

/// A run starts under a hold only when the rule is seen disabled, it is our own hold, and the
/// change has had its time to be felt.
fn witness(situation: &Situation<'_>, hold: &Hold) -> Result<(), Rest> {
    let rule = situation.seen.watch.rule.as_ref().and_then(Seen::known);
    let disabled = rule.is_some_and(|rule| rule.state == RuleState::Disabled);
    let over = hold.step_at(HoldStep::WorkDone).is_some() || !hold.keeps_rule_disabled();
    let since = hold.step_at(HoldStep::Disabled);
    let propagation = situation.dataset.trigger.as_ref().map(|trigger| span(trigger.propagation));
    match (since, propagation) {
        (Some(since), Some(propagation))
            if disabled && !over && situation.now - since >= propagation =>
        {
            Ok(())
        }
        _ => Err(resting(hold)),
    }
}

/// A write of ours is made only when its event settles within the hold: `max_hold` releases
/// the rule whatever was written when.
pub(in crate::plan) fn witness_for_write(
    situation: &Situation<'_>,
    hold: &Hold,
) -> Result<(), Rest> {
    witness(situation, hold)?;
    let settle = situation.dataset.trigger.as_ref().map_or(Duration::MAX, |it| span(it.settle));
    if situation.now.checked_add_signed(settle).is_none_or(|settled| settled > hold.until) {
        let why = "what is left of the hold is shorter than trigger.settle".to_owned();
        return Err(Rest::HoldRefused { why });
    }
    Ok(())
}

/// A hold that is open, in words.
pub(in crate::plan) fn resting(hold: &Hold) -> Rest {
    let detail = if hold.step_at(HoldStep::Enabled).is_some() {
        "the trigger was released; what landed meanwhile is looked for"
    } else if hold.step_at(HoldStep::WorkDone).is_some() {
        "waiting for our events to settle before the trigger is released"
    } else if hold.step_at(HoldStep::Disabled).is_some() {
        "the trigger is held; waiting for it to be felt"
    } else {
        "the trigger is about to be held"
    };
    Rest::Holding { until: hold.until, detail: detail.to_owned() }
}

/// While a hold is open the plan says so; one whose run will not begin after all is given up.
pub(in crate::plan) fn bounds(
    planned: Result<Step, Rest>,
    ledger: &State,
    dataset: &DatasetSettings,
) -> Result<Step, Rest> {
    let Some(hold) = ledger.hold_of(&dataset.name) else { return planned };
    let rest = match planned {
        Ok(step) => return Ok(step),
        Err(rest) => rest,
    };
    let begun = match &hold.why {
        HoldWhy::Run { run } => ledger.runs.iter().any(|known| known.id == *run),
        // An upload gives its own hold up, when it is over.
        HoldWhy::Upload { .. } => ledger.upload_of(hold).is_some(),
    };
    let waiting = matches!(rest, Rest::Holding { .. } | Rest::Blind(_));
    let idle = hold.step_at(HoldStep::Disabled).is_some()
        && hold.step_at(HoldStep::WorkDone).is_none()
        && hold.keeps_rule_disabled();
    if !begun && idle && !waiting {
        let hold = hold.id.clone();
        return Ok(Step::MoveHold { hold, step: HoldStep::WorkDone, detail: rest.to_string() });
    }
    Err(if waiting { rest } else { resting(hold) })
}
