//! Holds of the trigger that are not closed, and the live dumps that landed in one.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::{ReplayError, State};
use crate::ledger::event::{Entry, Event, HoldStep, HoldWhy};
use crate::platform::{DeadMan, TaskRequest};

/// A hold that is not closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// Its name.
    pub id: String,
    /// The dataset.
    pub dataset: String,
    /// The rule.
    pub rule: String,
    /// Its bus.
    pub event_bus: String,
    /// The state that was found.
    pub prior_state: String,
    /// Why.
    pub why: HoldWhy,
    /// When it was intended.
    pub begun_at: DateTime<Utc>,
    /// Its end at the latest.
    pub until: DateTime<Utc>,
    /// The dead man's switch.
    pub dead_man: Option<DeadMan>,
    /// The steps that were seen done, and when.
    pub steps: BTreeMap<HoldStep, DateTime<Utc>>,
}

impl Hold {
    /// When a step was seen done.
    #[must_use]
    pub fn step_at(&self, step: HoldStep) -> Option<DateTime<Utc>> {
        self.steps.get(&step).copied()
    }

    /// Whether the rule may be disabled because of it: it was begun, and not seen enabled since.
    #[must_use]
    pub fn keeps_rule_disabled(&self) -> bool {
        self.step_at(HoldStep::Armed).is_some() && self.step_at(HoldStep::Enabled).is_none()
    }

    /// Whether somebody else enabled the rule before the work was done.
    #[must_use]
    pub fn was_broken(&self) -> bool {
        let enabled_at = self.step_at(HoldStep::Enabled);
        self.step_at(HoldStep::Disabled).is_some()
            && self.step_at(HoldStep::WorkDone).is_none()
            && enabled_at.is_some_and(|at| at < self.until)
    }

    /// When its dead man's switch may have fired: its time has come, and it is gone, as Scheduler
    /// deletes what it has carried out, whether that worked or not. It has worked only if the rule
    /// is read as enabled.
    #[must_use]
    pub fn switch_fired_at(
        &self,
        found: Option<&DeadMan>,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let fires_at = self.dead_man.as_ref()?.fires_at;
        let was_armed = self.step_at(HoldStep::Armed).is_some();
        (was_armed && found.is_none() && now >= fires_at).then_some(fires_at)
    }
}

/// A live dump that landed while the trigger was held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweptDump {
    /// Its date.
    pub date: NaiveDate,
    /// Its key.
    pub key: String,
    /// Its `ETag`.
    pub etag: String,
    /// The request that drives it, once intended.
    pub drive: Option<TaskRequest>,
    /// The task, once accepted.
    pub task_arn: Option<String>,
    /// When it was accepted.
    #[serde(default)]
    pub driven_at: Option<DateTime<Utc>>,
    /// Whether its day was over before it could be driven.
    #[serde(default)]
    pub missed: bool,
}

impl State {
    /// The open hold of a dataset.
    #[must_use]
    pub fn hold_of(&self, dataset: &str) -> Option<&Hold> {
        self.holds.values().find(|hold| hold.dataset == dataset)
    }

    /// The open hold of a dataset, or the one of its rule: a dataset may have been renamed since.
    #[must_use]
    pub fn hold_on(&self, dataset: &str, rule: &str, event_bus: &str) -> Option<&Hold> {
        let is_on = |hold: &&Hold| hold.rule == rule && hold.event_bus == event_bus;
        self.hold_of(dataset).or_else(|| self.holds.values().find(is_on))
    }

    /// Live dumps that landed in a hold, and whose live run was not accepted yet.
    pub fn undriven(&self, dataset: &str) -> impl Iterator<Item = &SweptDump> {
        let swept = self.datasets.get(dataset).into_iter().flat_map(|state| &state.swept);
        swept.filter(|dump| dump.task_arn.is_none() && !dump.missed)
    }

    /// Whether this dump was swept before, whatever became of it: each is driven once at most.
    #[must_use]
    pub fn was_swept(&self, dataset: &str, key: &str, etag: &str) -> bool {
        let swept = self.datasets.get(dataset).into_iter().flat_map(|state| &state.swept);
        swept.into_iter().any(|dump| dump.key == key && dump.etag == etag)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only the events of holds come here")]
    pub(super) fn apply_hold(&mut self, entry: &Entry, event: &Event) -> Result<(), ReplayError> {
        let misfit = |what: &'static str| ReplayError::Misfit { seq: entry.seq, what };
        match event {
            Event::HoldIntended {
                hold,
                dataset,
                rule,
                event_bus,
                prior_state,
                why,
                until,
                dead_man,
            } => {
                let known = self.holds.insert(
                    hold.clone(),
                    Hold {
                        id: hold.clone(),
                        dataset: dataset.clone(),
                        rule: rule.clone(),
                        event_bus: event_bus.clone(),
                        prior_state: prior_state.clone(),
                        why: why.clone(),
                        begun_at: entry.at,
                        until: *until,
                        dead_man: dead_man.clone(),
                        steps: BTreeMap::new(),
                    },
                );
                if known.is_some() {
                    return Err(misfit("the hold exists already"));
                }
                self.count_hold_of_upload(dataset, why);
            }
            Event::HoldMoved { hold, step } => {
                let hold = self.holds.get_mut(hold).ok_or_else(|| misfit("no such hold"))?;
                hold.steps.entry(*step).or_insert(entry.at);
            }
            Event::HoldClosed { hold, detail, fired, refused } => {
                let hold = self.holds.remove(hold).ok_or_else(|| misfit("no such hold"))?;
                self.entry(&hold.dataset).hold_refused =
                    refused.then(|| (entry.at, detail.clone()));
                self.note_hold_of_upload(&hold, entry.at, detail, fired);
            }
            _ => return Err(misfit("not a hold's event")),
        }
        Ok(())
    }
}
