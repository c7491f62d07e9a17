//! The guard beside the passes: what keeps a hold's deadlines and yields, when a pass takes too long.
//!
//! ```text
//!   passes ── ledger's memory, what was seen done ──► guard ── due, and nobody did it? ──► EnableRule, StopTask
//! ```
//!
//! It needs the rule, the clock and memory. It waits for no scan and no entry, asks ECS only when a
//! pass has not looked for too long, and every call of its own has a limit. What it did is noted,
//! and the pass writes it down when the ledger can be written: the hold's entry is the intent.
//!
//! What this never does: decide by rules of its own (`plan::tend` and `plan::must_stop` are those
//! of the pass), disable a rule, or start anything.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

use super::report::{Happening, Recorder};
use crate::act::{HoldNotes, enable_held};
use crate::config::{DatasetSettings, Settings};
use crate::ledger::{Held, Hold, Run, State};
use crate::observe;
use crate::plan::{self, Step};
use crate::platform::World;

/// The pass does what is due; the guard does it when it is still not done so much later.
const PASS_FIRST_SECONDS: i64 = 1;
/// A look of the pass at the tasks is late so long after it was due.
const LOOK_LATE_SECONDS: i64 = 5;
/// What was not done is tried again after so long.
const AGAIN_SECONDS: i64 = 2;
/// No look of the guard takes longer.
const LOOK_WITHIN: Duration = Duration::from_secs(5);
/// Stopping a task is not waited for longer: it is asked for again.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// It never sleeps longer: clocks step.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// What the passes tell the guard.
#[derive(Debug)]
pub(super) struct Guarded {
    settings: Mutex<Arc<Settings>>,
    /// When a pass, or the guard in its place, last looked at the dataset's tasks.
    looked_at: Mutex<BTreeMap<String, DateTime<Utc>>>,
}

impl Guarded {
    pub(super) fn over(settings: Arc<Settings>) -> Arc<Self> {
        Arc::new(Self { settings: Mutex::new(settings), looked_at: Mutex::default() })
    }

    pub(super) fn take_settings(&self, settings: Arc<Settings>) {
        *lock(&self.settings) = settings;
    }

    pub(super) fn looked(&self, dataset: &str, at: DateTime<Utc>) {
        lock(&self.looked_at).insert(dataset.to_owned(), at);
    }

    fn dataset(&self, name: &str) -> Option<Arc<DatasetSettings>> {
        lock(&self.settings).datasets.get(name).cloned()
    }

    /// When the tasks were looked at last; asked for the first time, that is now.
    fn looked_at(&self, dataset: &str, now: DateTime<Utc>) -> DateTime<Utc> {
        *lock(&self.looked_at).entry(dataset.to_owned()).or_insert(now)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Releases and yields when the passes do not get to it in time.
pub struct Guard {
    world: World,
    held: watch::Receiver<Arc<Held>>,
    notes: HoldNotes,
    guarded: Arc<Guarded>,
    recorder: Arc<dyn Recorder>,
    /// What was tried last, and when: it is not tried again at once.
    tried_at: BTreeMap<String, DateTime<Utc>>,
}

impl Guard {
    pub(super) fn new(
        world: World,
        held: watch::Receiver<Arc<Held>>,
        notes: HoldNotes,
        guarded: Arc<Guarded>,
        recorder: Arc<dyn Recorder>,
    ) -> Self {
        Self { world, held, notes, guarded, recorder, tried_at: BTreeMap::new() }
    }

    /// Work, with this guard beside it.
    pub async fn beside<T>(mut self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            done = work => done,
            never = self.watch_over() => match never {},
        }
    }

    /// Watches over what is held, for ever.
    async fn watch_over(&mut self) -> Infallible {
        loop {
            let now = self.world.now();
            let held = Arc::clone(&self.held.borrow_and_update());
            let seen = self.notes.applied(&held.state).into_owned();
            let due = if held.may_release { self.due_at(&seen, now) } else { None };
            if due.is_some_and(|at| at <= now) {
                self.do_what_is_due(&seen, now).await;
                continue;
            }
            let sleep = due.map_or(LONGEST_SLEEP, |at| (at - now).to_std().unwrap_or_default());
            tokio::select! {
                biased;
                Ok(()) = self.held.changed() => {}
                () = self.notes.changed() => {}
                () = sleep_for(&self.world, due.is_some(), sleep) => {}
            }
        }
    }

    /// When something is overdue, if something is held or loading.
    fn due_at(&self, seen: &State, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let releases = seen.holds.values().filter_map(|hold| self.release_at(seen, hold));
        let looks = self.loading(seen).map(|(run, dataset)| self.look_at(run, &dataset, now));
        releases.chain(looks).min()
    }

    fn release_at(&self, seen: &State, hold: &Hold) -> Option<DateTime<Utc>> {
        let dataset = self.guarded.dataset(&hold.dataset);
        let due = plan::release_due_at(seen, hold, dataset.as_deref())?;
        Some(self.not_at_once(&hold.id, due + TimeDelta::seconds(PASS_FIRST_SECONDS)))
    }

    fn look_at(&self, run: &Run, dataset: &DatasetSettings, now: DateTime<Utc>) -> DateTime<Utc> {
        let looked_at = self.guarded.looked_at(&dataset.name, now).min(now);
        let late = TimeDelta::seconds(LOOK_LATE_SECONDS);
        let poll = TimeDelta::from_std(dataset.load.poll).unwrap_or(late);
        self.not_at_once(&run.id, looked_at + poll + late)
    }

    /// What was tried is tried again a little later.
    fn not_at_once(&self, what: &str, due: DateTime<Utc>) -> DateTime<Utc> {
        let again = self.tried_at.get(what).map(|at| *at + TimeDelta::seconds(AGAIN_SECONDS));
        again.map_or(due, |again| due.max(again))
    }

    /// The run whose load may be alive, and its dataset.
    fn loading<'a>(&self, seen: &'a State) -> Option<(&'a Run, Arc<DatasetSettings>)> {
        let run = seen.active_run().filter(|run| plan::may_be_loading(run))?;
        let dataset = self.guarded.dataset(&run.dataset)?;
        Some((run, dataset))
    }

    async fn do_what_is_due(&mut self, seen: &State, now: DateTime<Utc>) {
        for hold in seen.holds.values() {
            if self.release_at(seen, hold).is_some_and(|at| at <= now) {
                self.tried_at.insert(hold.id.clone(), now);
                self.release(seen, hold).await;
            }
        }
        if let Some((run, dataset)) = self.loading(seen)
            && self.look_at(run, &dataset, now) <= now
        {
            self.tried_at.insert(run.id.clone(), now);
            self.make_way(seen, &dataset).await;
        }
    }

    /// Plans over the rule and the clock alone; what only has to be noted is noted.
    async fn release(&self, seen: &State, hold: &Hold) {
        let name = &hold.dataset;
        let dataset = self.guarded.dataset(name);
        let watch = observe::rule_of_hold(&self.world, hold, LOOK_WITHIN).await;
        let mut seen = seen.clone();
        loop {
            let now = self.world.now();
            match plan::tend(&seen, &watch, name, dataset.as_deref(), now) {
                Some(Step::MoveHold { hold, step, .. }) if !self.notes.has(&hold, step) => {
                    self.notes.remember(&hold, step, now);
                    seen = self.notes.applied(&seen).into_owned();
                }
                Some(Step::EnableRule { rule, why, .. }) => {
                    tracing::warn!(dataset = name, rule, why, "no pass was in time; enabling");
                    return self.enable(hold).await;
                }
                _ => return,
            }
        }
    }

    async fn enable(&self, hold: &Hold) {
        let enabled = enable_held(&self.world, &self.notes, hold).await;
        let (dataset, ok) = (hold.dataset.clone(), enabled.is_ok());
        self.recorder.record(&Happening::TriggerChanged { dataset, action: "enable", ok });
        if let Err(error) = enabled {
            tracing::error!(dataset = hold.dataset, %error, "the rule could not be enabled; again");
        }
    }

    /// Stops our own task when a foreign one is alive, or when its hold may not last longer.
    async fn make_way(&self, seen: &State, dataset: &DatasetSettings) {
        let tasks = observe::tasks_of(&self.world, dataset, LOOK_WITHIN).await;
        let looked = tasks.known().is_some();
        let stop = plan::must_stop(seen, tasks, dataset, self.world.now());
        let Some(Step::StopTask { cluster, task_arn, detail, .. }) = stop else {
            if looked {
                self.guarded.looked(&dataset.name, self.world.now()); // again after a poll
            }
            return;
        };
        tracing::warn!(dataset = dataset.name, detail, "no pass was in time; stopping our task");
        let reason = format!("gapmend: {detail}");
        let stopping = self.world.platform.stop_task(&cluster, &task_arn, &reason);
        if let Err(error) = self.world.within(STOP_WITHIN, "ecs:StopTask", stopping).await {
            tracing::error!(dataset = dataset.name, %error, "our task could not be stopped; again");
        }
    }
}

/// With nothing held there is nothing to wake up for.
async fn sleep_for(world: &World, something_is_due: bool, duration: Duration) {
    if something_is_due {
        world.clock.sleep(duration.min(LONGEST_SLEEP)).await;
    } else {
        std::future::pending::<()>().await;
    }
}
