//! Laws about what people said, and about what a process writes, keeps and asks.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Europe::London;
use gapmend::domain::RunOutcome;
use gapmend::ledger::{Event, Request};
use gapmend::sim::RuleSetting;

use super::super::climate::Policy;
use super::{Evidence, day_of};

/// A pass over a small world asks for no more, scan included.
pub(in super::super) const CALLS_OF_A_PASS_AT_MOST: u64 = 250;
/// By the configuration that the run names and the requests that stand before it in the ledger;
/// the hour is that of the clock by which it was begun.
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
        if self.paused_until.is_some_and(|until| at < until) {
            return Some("in a pause".to_owned());
        }
        let local = at.with_timezone(&London);
        if policy.freeze.contains(&local.date_naive()) {
            return Some(format!("in the freeze of {}", local.date_naive()));
        }
        if policy.hours.is_some_and(|hours| !hours.contain(local.time())) {
            return Some(format!("at {}, outside {:?}", local.time(), policy.hours));
        }
        let named = self.asked.contains(&date) || policy.allow.contains(&date);
        let closed = policy.mode == "observe"
            || policy.deny.contains(&date)
            || (policy.mode == "allowlist" && !named);
        closed.then(|| format!("against {policy:?}"))
    }
}

/// Unattended runs of one night, by the clock that began them. Who asks for a date by name stands
/// above the number, but counts; a run that yielded does not.
pub(super) fn the_nights_number_is_kept(evidence: &Evidence<'_>) -> Option<String> {
    let mut asked = BTreeSet::new();
    let mut begun: Vec<(NaiveDate, &str)> = Vec::new(); // its night, its name
    let events = evidence.book.entries.iter();
    let mut events = events.flat_map(|entry| entry.events.iter().map(move |event| (entry, event)));
    events.find_map(|(entry, event)| {
        if let Event::Requested { request: Request::Heal { dates, .. }, .. } = event {
            asked.extend(dates.iter().copied());
        } else if let Event::RunEnded { run, outcome, .. } = event {
            if *outcome == RunOutcome::Void {
                begun.retain(|(_, name)| name != run);
            } else if *outcome == RunOutcome::Succeeded {
                asked.retain(|date: &NaiveDate| !run.contains(&format!("/{date}/")));
            }
        } else if let Event::RunStarted { run, date, config, .. } = event {
            let policy = evidence.book.policies.get(config)?;
            let night = policy.night_of(entry.at);
            let before = begun.iter().filter(|(of, _)| *of == night).count();
            begun.push((night, run));
            let spent = before >= policy.max_runs as usize && !asked.contains(date);
            return spent
                .then(|| format!("{run} was begun after {before} others in the night of {night}"));
        }
        None
    })
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
        let Event::Scanned { scan, dataset } = event else { return None };
        Some((dataset, scan.slot.filter(|_| scan.blind.is_empty())?))
    });
    clear
        .find(|slot| !slots.insert(*slot))
        .map(|(of, slot)| format!("that of {of}, {slot}, was not"))
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
