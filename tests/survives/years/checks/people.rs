//! Laws about what people said, and about what a process writes, keeps and asks.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use gapmend::ledger::{Event, Request};
use gapmend::sim::RuleSetting;

use super::super::climate::Policy;
use super::{Evidence, day_of};

/// A pass over a small world asks for no more, scan included.
const CALLS_OF_A_PASS_AT_MOST: u64 = 250;
/// A process whose clock is wrong may take a pause for over by so much.
const CLOCKS_ARE_WRONG_BY_AT_MOST: TimeDelta = TimeDelta::hours(4);

/// By the configuration that the run names and the requests that stand before it in the ledger.
pub(super) fn only_what_is_allowed_is_begun(evidence: &Evidence<'_>) -> Option<String> {
    let mut said = Said::default();
    for entry in &evidence.book.entries {
        for event in &entry.events {
            if let Event::Requested { request, .. } = event {
                said.hear(request);
            } else if let Event::RunStarted { run, date, config, .. } = event {
                let Some(policy) = evidence.book.policies.get(config) else {
                    return Some(format!("{run} was begun under an unknown configuration"));
                };
                if let Some(why) = said.forbids(policy, *date, entry.at) {
                    return Some(format!("{run} was begun {why}"));
                }
            }
        }
    }
    evidence.our_loads().find_map(|task| {
        begun_against_an_operator(evidence, task.created_at)
            .then(|| format!("{} was begun while an operator had the rule off", day_of(task)))
    })
}

/// What people had asked for so far.
#[derive(Default)]
struct Said {
    paused_until: Option<DateTime<Utc>>,
    asked: BTreeSet<NaiveDate>,
}

impl Said {
    fn hear(&mut self, request: &Request) {
        match request {
            Request::Pause { until } => self.paused_until = Some(*until),
            Request::Resume => self.paused_until = None,
            Request::Heal { dates, .. } => self.asked.extend(dates.iter().copied()),
            Request::Scan | Request::Retry { .. } | Request::Cancel => {}
        }
    }

    fn forbids(&self, policy: &Policy, date: NaiveDate, at: DateTime<Utc>) -> Option<String> {
        let until = self.paused_until.map(|until| until - CLOCKS_ARE_WRONG_BY_AT_MOST);
        if until.is_some_and(|until| at < until) {
            return Some("in a pause".to_owned());
        }
        let named = self.asked.contains(&date) || policy.allow.contains(&date);
        let closed = policy.mode == "observe"
            || policy.deny.contains(&date)
            || (policy.mode == "allowlist" && !named);
        closed.then(|| format!("against {policy:?}"))
    }
}

/// Whether an operator, and nobody of ours, had long had the rule off.
fn begun_against_an_operator(evidence: &Evidence<'_>, at: DateTime<Utc>) -> bool {
    let then = at - evidence.hears_within() - TimeDelta::minutes(1);
    let mut ours = false;
    let mut off = false;
    for change in evidence.world.rule_history().iter().filter(|change| change.at <= at) {
        match (change.state, change.who.as_str()) {
            (RuleSetting::Disabled, "caller") => ours = true,
            (RuleSetting::Disabled, _) => off = !ours && change.at <= then,
            _ => (ours, off) = (false, false),
        }
    }
    off
}

/// Seen on the spot, when the effect was asked for.
pub(super) fn intents_come_first(evidence: &Evidence<'_>) -> Option<String> {
    evidence.book.caught.first().cloned()
}

pub(super) fn a_slot_is_scanned_once(evidence: &Evidence<'_>) -> Option<String> {
    let mut slots = BTreeSet::new();
    let events = evidence.book.entries.iter().flat_map(|entry| &entry.events);
    let mut clear = events.filter_map(|event| {
        let Event::Scanned { scan, .. } = event else { return None };
        scan.slot.filter(|_| scan.blind.is_empty())
    });
    clear.find(|slot| !slots.insert(*slot)).map(|slot| format!("that of {slot} was not"))
}

pub(super) fn memory_is_what_a_replay_gives(evidence: &Evidence<'_>) -> Option<String> {
    let replayed = &evidence.book.replayed;
    let mut comparable = evidence.reports.iter().filter(|report| report.ledger.seq == replayed.seq);
    let other = comparable.find(|report| *report.ledger != *replayed)?;
    Some(format!("in memory {:#?}\nreplayed {replayed:#?}", other.ledger))
}

pub(super) fn a_pass_asks_little(evidence: &Evidence<'_>) -> Option<String> {
    let most = evidence.book.lives.iter().max_by_key(|life| life.most_calls)?;
    (most.most_calls > CALLS_OF_A_PASS_AT_MOST)
        .then(|| format!("{} made {} calls between two sleeps", most.host, most.most_calls))
}
