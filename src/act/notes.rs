//! What was seen done to a held rule, and may not be in the ledger yet.
//!
//! A release waits for no entry, so what it rests on is kept here first: that our write is done,
//! that the rule was seen disabled, that it was enabled again. The pass writes it down when the
//! ledger can be written. Every task that may enable the rule shares one of these.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, Semaphore};

use crate::ledger::{HoldStep, State};

/// A step of a hold: the hold's id, and the step.
type Noted = (String, HoldStep);

/// The steps of holds that this process has seen done, shared by its tasks.
#[derive(Clone, Debug)]
pub struct HoldNotes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    steps: Mutex<BTreeMap<Noted, DateTime<Utc>>>,
    /// Holds every request of which to disable the rule was refused: nothing was done to it.
    refused: Mutex<BTreeSet<String>>,
    /// One enables the rule at a time.
    turn: Semaphore,
    news: Notify,
}

impl Default for HoldNotes {
    fn default() -> Self {
        let (steps, refused) = (Mutex::default(), Mutex::default());
        let (turn, news) = (Semaphore::new(1), Notify::new());
        Self(Arc::new(Shared { steps, refused, turn, news }))
    }
}

impl HoldNotes {
    fn steps(&self) -> MutexGuard<'_, BTreeMap<Noted, DateTime<Utc>>> {
        self.0.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a step was seen done; the first time counts.
    pub fn remember(&self, hold: &str, step: HoldStep, at: DateTime<Utc>) {
        self.steps().entry((hold.to_owned(), step)).or_insert(at);
        self.0.news.notify_one();
    }

    fn refused(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes whether all that this process asked of the hold's rule was refused.
    pub(super) fn note_refusal(&self, hold: &str, refused: bool) {
        if refused {
            self.refused().insert(hold.to_owned());
        } else {
            self.refused().remove(hold);
        }
    }

    /// Whether the rule was never disabled for this hold, although that was intended.
    #[must_use]
    pub fn was_refused(&self, hold: &str) -> bool {
        self.refused().contains(hold)
    }

    /// Whether a step was seen done by this process.
    #[must_use]
    pub fn has(&self, hold: &str, step: HoldStep) -> bool {
        self.steps().contains_key(&(hold.to_owned(), step))
    }

    /// The state with what was seen since; what is about closed holds is forgotten.
    #[must_use]
    pub fn applied<'a>(&self, state: &'a State) -> Cow<'a, State> {
        let mut steps = self.steps();
        steps.retain(|(hold, _), _| state.holds.contains_key(hold));
        if steps.is_empty() {
            return Cow::Borrowed(state);
        }
        let mut seen = state.clone();
        for ((hold, step), at) in steps.iter() {
            if let Some(hold) = seen.holds.get_mut(hold) {
                hold.steps.entry(*step).or_insert(*at);
            }
        }
        Cow::Owned(seen)
    }

    /// The steps that are not in the ledger yet, of one dataset.
    #[must_use]
    pub fn unwritten(&self, state: &State, dataset: &str) -> Vec<Noted> {
        let is_new = |(hold, step): &&Noted| {
            let hold = state.holds.get(hold).filter(|hold| hold.dataset == dataset);
            hold.is_some_and(|hold| hold.step_at(*step).is_none())
        };
        self.steps().keys().filter(is_new).cloned().collect()
    }

    /// Whoever enables the rule has the turn until it drops this.
    pub(super) async fn turn(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.0.turn.acquire().await.ok()
    }

    /// Returns when something was noted.
    pub async fn changed(&self) {
        self.0.news.notified().await;
    }
}
