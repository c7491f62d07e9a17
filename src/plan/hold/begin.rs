//! Whether a hold may begin, and until when it lasts.

use chrono::{DateTime, Duration, Utc};

use super::HoldPlan;
use crate::config::{DeadManSettings, HoldPolicy, TriggerSettings};
use crate::domain::{Rule, RuleState, Seen};
use crate::ledger::{HoldWhy, State};
use crate::observe::{CLOCK_OFF_AT_MOST_SECONDS, LandingView};
use crate::plan::gates;
use crate::plan::rest::Rest;
use crate::plan::span;
use crate::plan::start::Situation;
use crate::platform::DeadMan;

/// The rule is itself again so long before the live dump's usual arrival.
const BEFORE_ARRIVAL_MINUTES: i64 = 30;
/// A switch or a disabling that AWS refused is asked for again after this: the rights may be there by then.
const REFUSED_AGAIN_AFTER_MINUTES: i64 = 60;
/// From the load's end until the export has its snapshot: making it and the pipeline's reaction.
const SNAPSHOT_TAKES_MINUTES: i64 = 20;

/// Why the rule is not ours to disable, if it is not.
pub(super) fn refusal(rule: &Rule) -> Option<String> {
    if let Some(owner) = &rule.managed_by {
        return Some(format!("rule {} is managed by {owner}", rule.name));
    }
    match &rule.state {
        RuleState::Enabled => None,
        RuleState::Disabled => Some(format!("rule {} is disabled already", rule.name)),
        RuleState::Other(state) => {
            Some(format!("rule {} is {state}, which enabling it would not restore", rule.name))
        }
    }
}

/// A new hold, or why it may not be.
pub(in crate::plan) fn intend(
    situation: &Situation<'_>,
    landing: &LandingView,
    trigger: &TriggerSettings,
    why: HoldWhy,
) -> Result<HoldPlan, Rest> {
    let Situation { ledger, seen, dataset, now, .. } = situation;
    let now = *now;
    let refuse = |why: String| Rest::HoldRefused { why };
    match seen.watch.rule.as_ref() {
        Some(Seen::Known(rule)) => {
            // What lands in a hold is driven as the rule's own target would: that must be possible.
            let why = refusal(rule).or_else(|| gates::undrivable(rule, dataset));
            why.map_or(Ok(()), |why| Err(refuse(why)))?;
        }
        Some(Seen::Blind(causes)) => return Err(Rest::Blind(causes.clone())),
        None => return Err(refuse("no rule is configured".to_owned())),
    }
    if trigger.hold == HoldPolicy::Never {
        return Err(refuse("trigger.hold is \"never\"".to_owned()));
    }
    was_not_refused(ledger, &dataset.name, now).map_err(refuse)?;
    clock_is_right(situation)?;
    let needs = match &why {
        HoldWhy::Run { .. } => {
            span(gates::usual_load(ledger, dataset)) + Duration::minutes(SNAPSHOT_TAKES_MINUTES)
        }
        HoldWhy::Upload { .. } => Duration::zero(),
    };
    let needs = needs + span(trigger.propagation) + span(trigger.settle);
    if let Some(why) = gates::arrival_unknown(landing, dataset) {
        return Err(refuse(why));
    }
    let before = Duration::minutes(BEFORE_ARRIVAL_MINUTES);
    if let Some(rest) = gates::closed_by_arrival(landing, dataset, needs + before, now) {
        return Err(rest);
    }
    let arrival = gates::next_arrival(landing, dataset, now);
    let latest = arrival.map(|arrival| arrival - before);
    let at_the_latest = |at: DateTime<Utc>| latest.map_or(at, |latest| latest.min(at));
    let dead_man = match &trigger.dead_man {
        None => {
            let why = "trigger.dead_man is not configured; without it nobody would enable the rule if gapmend died";
            return Err(refuse(why.to_owned()));
        }
        Some(DeadManSettings::Accepted) => None,
        Some(DeadManSettings::Schedule { group, role_arn, after }) => Some(DeadMan {
            name: DeadMan::name_for(&dataset.name),
            group: group.clone(),
            rule: trigger.rule.clone(),
            event_bus: trigger.event_bus.clone(),
            fires_at: whole_second(at_the_latest(now + span(*after))),
            role_arn: role_arn.clone(),
        }),
    };
    Ok(HoldPlan {
        dataset: dataset.name.clone(),
        rule: trigger.rule.clone(),
        event_bus: trigger.event_bus.clone(),
        why,
        until: at_the_latest(now + span(trigger.max_hold)),
        dead_man,
    })
}

/// A switch that AWS refused for good, such as for a group that does not exist or a right that
/// is missing, is not asked for again at once: somebody has to change something first.
fn was_not_refused(ledger: &State, dataset: &str, now: DateTime<Utc>) -> Result<(), String> {
    let state = ledger.datasets.get(dataset);
    let Some((at, why)) = state.and_then(|state| state.hold_refused.as_ref()) else {
        return Ok(());
    };
    let again_at = *at + Duration::minutes(REFUSED_AGAIN_AFTER_MINUTES);
    if now >= again_at {
        return Ok(());
    }
    let again_at = again_at.format("%H:%M UTC");
    Err(format!("{why}; it is tried again after {again_at}, or at once after `gapmend resume`"))
}

/// A switch is set by AWS's time and a hold is measured by ours.
fn clock_is_right(situation: &Situation<'_>) -> Result<(), Rest> {
    let refuse = |why: String| Err(Rest::HoldRefused { why });
    match &situation.seen.watch.trigger.clock_skew {
        Some(Seen::Known(Some(skew)))
            if skew.abs() <= Duration::seconds(CLOCK_OFF_AT_MOST_SECONDS) =>
        {
            Ok(())
        }
        Some(Seen::Known(Some(skew))) => refuse(format!(
            "this machine's clock is {} seconds off AWS's",
            skew.num_seconds().abs()
        )),
        Some(Seen::Blind(causes)) => Err(Rest::Blind(causes.clone())),
        Some(Seen::Known(None)) | None => {
            refuse("this machine's clock could not be compared with AWS's".to_owned())
        }
    }
}

/// Schedules know no fractions of a second.
fn whole_second(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp(at.timestamp(), 0).unwrap_or(at)
}
