//! Laws of the rule that fires the live run.

use chrono::{DateTime, TimeDelta, Utc};
use gapmend::ledger::Event;
use gapmend::sim::{RuleSetting, Writer};

use super::super::climate::{DEAD_MAN_HOURS, MAX_HOLD_HOURS};
use super::{Evidence, is_ours};

/// The Scheduler's own lag, and that of our look.
const SLACK: TimeDelta = TimeDelta::minutes(15);
/// A rule that was not seen disabled yet is disabled again for so long, and no longer.
const DISABLES_WITHIN: TimeDelta = TimeDelta::minutes(6);

/// From our disabling to whoever enabled it.
fn holds(evidence: &Evidence<'_>) -> Vec<(DateTime<Utc>, Option<DateTime<Utc>>)> {
    let mut holds: Vec<(DateTime<Utc>, Option<DateTime<Utc>>)> = Vec::new();
    for change in evidence.world.rule_history() {
        let open = holds.last_mut().filter(|hold| hold.1.is_none());
        match (change.state, open) {
            (RuleSetting::Disabled, None) if change.who == "caller" => {
                holds.push((change.at, None));
            }
            (RuleSetting::Disabled, _) | (_, None) => {}
            (_, Some(hold)) => hold.1 = Some(change.at),
        }
    }
    holds
}

pub(super) fn comes_back(evidence: &Evidence<'_>) -> Option<String> {
    let now = evidence.world.now();
    holds(evidence).into_iter().find_map(|(from, to)| {
        let to = to.unwrap_or(now);
        let watched = evidence.book.was_watched(from, to) && !evidence.book.clocks_were_wrong(to);
        let most = if watched { MAX_HOLD_HOURS } else { DEAD_MAN_HOURS };
        (to - from > TimeDelta::hours(most) + SLACK)
            .then(|| format!("it was off by us from {from} to {to}"))
    })
}

pub(super) fn an_operators_is_left_alone(evidence: &Evidence<'_>) -> Option<String> {
    let mut ours: Option<DateTime<Utc>> = None; // our first disabling of this hold
    let mut enabled_by_others: Option<DateTime<Utc>> = None;
    let mut off_by_operator: Option<DateTime<Utc>> = None;
    let mut switch_fired: Option<DateTime<Utc>> = None; // since our last change
    for change in evidence.world.rule_history() {
        let at = change.at;
        match (change.state, change.who.as_str()) {
            (RuleSetting::Disabled, "caller") => {
                let hears = evidence.hears_within();
                if off_by_operator.take().is_some_and(|off| at - off > hears) {
                    return Some(format!("at {at} we disabled a rule that an operator had off"));
                }
                let again = enabled_by_others.is_some_and(|enabled| {
                    ours.is_some_and(|first| first < enabled && at - first > DISABLES_WITHIN)
                        && !a_hold_was_intended(evidence, enabled, at)
                });
                if again {
                    return Some(format!("at {at} we disabled again what others had enabled"));
                }
                ours.get_or_insert(at);
                switch_fired = None;
            }
            (RuleSetting::Disabled, _) => {
                // Between the firing and this nobody may have seen the rule enabled: then it is
                // still ours, for an absent switch is not one that worked.
                let seen = switch_fired.is_some_and(|fired| {
                    at - fired > SLACK && evidence.book.was_watched(fired, at)
                });
                off_by_operator = (ours.is_none() || seen).then_some(at);
            }
            (_, "caller") => {
                if let Some(off) = off_by_operator {
                    return Some(format!(
                        "at {at} we enabled what an operator had put off at {off}"
                    ));
                }
                (ours, enabled_by_others, switch_fired) = (None, None, None);
            }
            (_, who) => {
                if who.starts_with("schedule ") {
                    switch_fired = Some(at);
                }
                if ours.is_some() {
                    enabled_by_others = Some(at);
                }
                off_by_operator = None;
            }
        }
        if enabled_by_others.is_some() && a_hold_was_intended(evidence, enabled_by_others?, at) {
            (ours, enabled_by_others) = (None, None);
        }
    }
    None
}

fn a_hold_was_intended(evidence: &Evidence<'_>, from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
    let slack = TimeDelta::hours(4); // of a wrong clock
    evidence.book.entries.iter().any(|entry| {
        let intends = |event: &Event| matches!(event, Event::HoldIntended { .. });
        entry.at > from - slack && entry.at <= to + slack && entry.events.iter().any(intends)
    })
}

/// A dump of the day whose event came while we had the rule off has its live run all the same,
/// or is counted as missed.
pub(super) fn no_live_dump_is_lost(evidence: &Evidence<'_>) -> Option<String> {
    let world = evidence.world;
    let holds = holds(evidence);
    let tasks = world.tasks();
    world.lost_live_dumps().into_iter().find_map(|event| {
        let date = event.written_at.date_naive();
        let of_the_day = world.names.dump_key_of(date) == event.key;
        let slack = TimeDelta::minutes(1); // the rule feels a change a little later
        let mut met = holds.iter().filter(|(from, to)| {
            *from <= event.arrives_at && to.is_none_or(|to| event.arrives_at <= to + slack)
        });
        // Whoever takes the dataset out of the configuration in a hold takes its sweep with it.
        let by_us = met.any(|(from, to)| {
            let to = to.unwrap_or_else(|| world.now()) + SLACK;
            !evidence.book.was_absent(*from, to)
        });
        let ran = tasks.iter().any(|task| {
            task.live && task.created_at >= event.written_at && task.created_at.date_naive() == date
        });
        let known =
            world.now() - event.arrives_at < TimeDelta::days(2) || is_counted(evidence, event);
        (of_the_day && by_us && !ran && !known)
            .then(|| format!("that of {date}, written at {}", event.written_at))
    })
}

fn is_counted(evidence: &Evidence<'_>, event: &gapmend::sim::TrailEvent) -> bool {
    let events = evidence.book.entries.iter().flat_map(|entry| &entry.events);
    events.into_iter().any(
        |told| matches!(told, Event::LiveDumpSwept { key, missed: true, .. } if *key == event.key),
    )
}

/// Unless somebody else enabled the rule in the middle of it.
pub(super) fn our_writes_fire_nothing(evidence: &Evidence<'_>) -> Option<String> {
    let tasks = evidence.world.tasks();
    let twice = tasks.iter().filter(|task| is_ours(task) && task.live).find_map(|driven| {
        let again = tasks.iter().find(|other| {
            is_ours(other)
                && other.live
                && other.arn != driven.arn
                && other.date == driven.date
                && other.created_at.date_naive() == driven.created_at.date_naive()
        })?;
        Some(format!("the live run of {} was driven twice, {}", driven.created_at, again.arn))
    });
    let trail = evidence.world.trail().iter();
    let mut fired = trail.filter(|event| event.writer == Writer::Caller && !event.fired.is_empty());
    let fault = fired.find(|event| {
        let changes = evidence.world.rule_history().iter();
        let mut others = changes.filter(|change| {
            change.who != "caller"
                && change.at >= event.written_at - TimeDelta::hours(DEAD_MAN_HOURS)
                && change.at <= event.arrives_at
        });
        others.next().is_none()
    });
    fault.map(|event| format!("{} fired {:?}", event.key, event.fired)).or(twice)
}
