//! The trigger comes first: every pass tends the hold before it scans, plans or starts.
//!
//! A release needs no ledger that can be written, no healthy catalog and no dataset in the
//! configuration. What a hold was seen to have done while the ledger could not be written is
//! kept in memory, so that the release still comes in its time.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};

use super::{DatasetMemory, Engine, Pass};
use crate::act::Acted;
use crate::config::{DatasetSettings, HoldPolicy, OtherName};
use crate::daemon::report::Happening;
use crate::domain::{PassOutcome, Rule, RuleState, Seen, Task, TriggerState};
use crate::ledger::{Event, Hold, HoldStep, LedgerError, State};
use crate::observe::{self, Watch};
use crate::plan::span;
use crate::plan::{self, Step};

/// The rule is read again so soon after a change of ours.
pub(super) const READ_BACK_SECONDS: i64 = 2;
/// Two loads that are alive together for longer than a stop takes may have mixed their data.
const OVERLAP_SECONDS: i64 = 120;

/// What is remembered between passes for the trigger's sake.
#[derive(Debug, Default)]
pub(super) struct TriggerMemory {
    /// Pairs of tasks, since when they are alive together, and whether it was counted.
    together: BTreeMap<(String, String), (DateTime<Utc>, bool)>,
    /// Why the trigger could not be tended last, as it was told.
    untended: Option<String>,
}

impl Engine {
    /// The datasets of the configuration, and those that have gone from it with an open hold.
    pub(in crate::daemon) fn names_to_tend(&self) -> BTreeSet<String> {
        let held = self.ledger.state().holds.values().map(|hold| hold.dataset.clone());
        self.settings.datasets.keys().cloned().chain(held).collect()
    }

    /// One step for the trigger, when one is due. What could not be done does not keep the
    /// rest of the pass from its work: yielding and deadlines go on.
    pub(super) async fn tend(
        &mut self,
        name: &str,
        dataset: Option<&DatasetSettings>,
        watch: &Watch,
    ) -> Result<Option<Pass>, LedgerError> {
        if !self.ledger.may_release() {
            return Ok(None);
        }
        let now = self.world.now();
        self.write_what_was_seen(name).await;
        if let Some(pass) = self.give_up_what_others_disabled(name, watch).await? {
            return Ok(Some(pass));
        }
        let state = self.state_as_seen();
        let Some(step) = plan::tend(&state, watch, name, dataset, now) else { return Ok(None) };
        if let Step::MoveHold { hold, step, .. } = &step {
            self.notes.remember(hold, *step, now);
        }
        let reads_back = changes_services(&step);
        let acted = self.act_on_trigger(name, step).await?;
        let poll = dataset.map_or(std::time::Duration::MAX, |dataset| dataset.load.poll);
        let soon = Duration::seconds(READ_BACK_SECONDS).min(span(poll));
        let pause = if reads_back { soon } else { Duration::zero() };
        let wake_at = self.world.now() + pause;
        let pass = match acted {
            Acted::Done(outcome, detail) => Pass { outcome, detail, rest: None, wake_at },
            Acted::DecideAgain => Pass {
                outcome: PassOutcome::Waiting,
                detail: "another process wrote first; deciding again".to_owned(),
                rest: None,
                wake_at,
            },
            Acted::Unanswered(error) => {
                self.tell_untended(name, error.to_string());
                return Ok(None);
            }
        };
        self.datasets.entry(name.to_owned()).or_default().trigger.untended = None;
        self.keep_tended(name, watch, &pass);
        Ok(Some(pass))
    }

    /// A rule that is found disabled although every request of ours was refused is somebody else's:
    /// the hold ends without touching it.
    async fn give_up_what_others_disabled(
        &mut self,
        name: &str,
        watch: &Watch,
    ) -> Result<Option<Pass>, LedgerError> {
        let rule = watch.rule.as_ref().and_then(Seen::known);
        let disabled = rule.is_some_and(|rule| rule.state == RuleState::Disabled);
        let hold = self.ledger.state().hold_of(name);
        let Some(hold) = hold.filter(|hold| disabled && self.notes.was_refused(&hold.id)) else {
            return Ok(None);
        };
        let (hold, switch) = (hold.id.clone(), hold.dead_man.clone());
        if let Some(switch) = switch
            && let Err(error) =
                self.world.platform.disarm_dead_man(&switch.group, &switch.name).await
        {
            self.tell_untended(name, error.to_string());
            return Ok(None);
        }
        let detail = "somebody else disabled the rule while our own disabling was refused";
        tracing::warn!(dataset = name, "{detail}; the hold is given up");
        let closed = detail.to_owned();
        let event = Event::HoldClosed { hold, detail: closed, fired: Vec::new(), refused: false };
        self.write(vec![event]).await?;
        let wake_at = self.world.now() + Duration::seconds(READ_BACK_SECONDS);
        Ok(Some(Pass {
            outcome: PassOutcome::Waiting,
            detail: detail.to_owned(),
            rest: None,
            wake_at,
        }))
    }

    /// Once for each reason: it is tried again every second.
    fn tell_untended(&mut self, name: &str, error: String) {
        let memory = self.datasets.entry(name.to_owned()).or_default();
        if memory.trigger.untended.as_ref() == Some(&error) {
            return;
        }
        tracing::warn!(dataset = name, %error, "the trigger could not be tended; trying again");
        memory.trigger.untended = Some(error);
    }

    pub(super) async fn act_on_trigger(
        &mut self,
        name: &str,
        step: Step,
    ) -> Result<Acted, LedgerError> {
        let enables = matches!(step, Step::EnableRule { .. } | Step::ReleaseProven { .. });
        let disables = matches!(step, Step::DisableRule { .. });
        let action = if enables { Some("enable") } else { disables.then_some("disable") };
        let acted = self.act(step).await?;
        let ok = match &acted {
            Acted::Done(outcome, _) => Some(*outcome != PassOutcome::Error),
            Acted::Unanswered(_) => Some(false),
            Acted::DecideAgain => None,
        };
        if let (Some(action), Some(ok)) = (action, ok) {
            let dataset = name.to_owned();
            self.recorder.record(&Happening::TriggerChanged { dataset, action, ok });
        }
        Ok(acted)
    }

    /// Whether the start of a run may begin with a hold.
    pub(super) fn holds_for_runs(&self, dataset: &DatasetSettings) -> bool {
        let policy = dataset.trigger.as_ref().map(|trigger| trigger.hold);
        (policy == Some(HoldPolicy::Run) || dataset.load.other_name == OtherName::Stage)
            && self.active_run_of(&dataset.name).is_none()
            && self.ledger.state().hold_of(&dataset.name).is_none()
    }

    /// A hold whose dataset has gone from the configuration is still released.
    pub(super) async fn tend_orphan(&mut self, name: &str) -> Result<Pass, LedgerError> {
        let Some(hold) = self.ledger.state().hold_of(name).cloned() else {
            return Ok(self.idle_pass("the dataset is no longer in the configuration"));
        };
        let watch = observe::orphan(&self.world, &hold).await;
        let pass = self.tend(name, None, &watch).await?;
        Ok(pass.unwrap_or_else(|| {
            self.idle_pass("the dataset is no longer in the configuration; its hold is being ended")
        }))
    }

    /// A hold whose dataset is called otherwise by now, or has gone: a `heal` of other datasets ends
    /// it too, for it keeps their rule disabled.
    pub(in crate::daemon) async fn tend_holds_of_the_renamed(&mut self) {
        for name in self.names_to_tend() {
            if !self.settings.datasets.contains_key(&name) {
                self.pass(&name).await;
            }
        }
    }

    /// Tends a hold although nothing can be written; answers whether the rule is still held.
    pub(in crate::daemon) async fn tend_unattended(&mut self, name: &str) -> bool {
        let dataset = self.settings.datasets.get(name).cloned();
        let hold = self.ledger.state().hold_of(name).cloned();
        let watch = match (&dataset, &hold) {
            (Some(dataset), _) => observe::watch(&self.world, dataset, self.ledger.state()).await,
            (None, Some(hold)) => observe::orphan(&self.world, hold).await,
            (None, None) => return false,
        };
        if let Err(error) = self.tend(name, dataset.as_deref(), &watch).await {
            tracing::warn!(dataset = name, %error, "a step of the hold could not be written");
        }
        let seen = self.state_as_seen();
        let still = seen.hold_of(name).is_some_and(Hold::keeps_rule_disabled);
        still && self.ledger.may_release()
    }

    /// The ledger's state with what was seen since and could not be written.
    fn state_as_seen(&self) -> Cow<'_, State> {
        self.notes.applied(self.ledger.state())
    }

    /// Steps that could not be written are written as soon as that is possible again.
    async fn write_what_was_seen(&mut self, name: &str) {
        for (hold, step) in self.notes.unwritten(self.ledger.state(), name) {
            if let Err(error) = self.write(vec![Event::HoldMoved { hold, step }]).await {
                tracing::warn!(
                    dataset = name,
                    error = error.in_words(),
                    "a step of the hold could not be written"
                );
                return;
            }
        }
    }

    pub(super) fn keep_tended(&mut self, name: &str, watch: &Watch, pass: &Pass) {
        let now = self.world.now();
        let memory = self.datasets.entry(name.to_owned()).or_default();
        memory.note_rule(watch, now);
        if let Some(view) = &mut memory.view {
            let (_, outcome, detail) = &view.last_pass;
            view.logged = (*outcome, detail.clone());
            view.watch = watch.clone();
            view.last_pass = (now, pass.outcome, pass.detail.clone());
            view.wake_at = pass.wake_at;
            view.seq = self.ledger.state().seq;
            view.heard = self.heard;
        }
    }

    /// Counts loads that are alive together, once for each pair (H1): the data may be mixed.
    pub(super) async fn note_overlaps(
        &mut self,
        dataset: &DatasetSettings,
        watch: &Watch,
    ) -> Result<(), LedgerError> {
        let Some(tasks) = watch.tasks.known() else { return Ok(()) };
        if !self.ledger.is_acting() {
            return Ok(());
        }
        let memory = self.datasets.entry(dataset.name.clone()).or_default();
        let news = memory.trigger.overlaps(tasks, watch.at);
        let run = self.active_run_of(&dataset.name).map(|run| run.id.clone());
        for (first, second) in news {
            let detail =
                format!("{first} and {second} are alive together; their data may be mixed");
            tracing::error!(dataset = dataset.name, "{detail}");
            let (dataset, run) = (dataset.name.clone(), run.clone());
            self.write(vec![Event::LoadsOverlapped { dataset, run, detail }]).await?;
        }
        Ok(())
    }

    /// Writes down that the rule was seen to change, so that a restart does not forget since when
    /// somebody keeps it disabled.
    pub(super) async fn note_rule_seen(
        &mut self,
        dataset: &DatasetSettings,
        watch: &Watch,
    ) -> Result<(), LedgerError> {
        let Some(rule) = watch.rule.as_ref().and_then(Seen::known) else { return Ok(()) };
        let disabled = rule.state == RuleState::Disabled;
        let known = self.ledger.state().datasets.get(&dataset.name);
        let since = known.and_then(|state| state.rule_disabled_since);
        if since.is_some() == disabled || !self.ledger.is_acting() {
            return Ok(());
        }
        let dataset = dataset.name.clone();
        self.write(vec![Event::RuleSeen { dataset, disabled }]).await
    }

    /// What the trigger is, by the last look and our own ledger.
    pub(super) fn trigger_state(
        &self,
        dataset: &DatasetSettings,
        watch: Option<&Watch>,
    ) -> TriggerState {
        let Some(trigger) = &dataset.trigger else { return TriggerState::Enabled };
        let rule: Option<&Rule> = watch.and_then(|watch| watch.rule.as_ref()).and_then(Seen::known);
        let Some(rule) = rule else { return TriggerState::Unknown };
        let state = self.ledger.state();
        let hold = state.hold_on(&dataset.name, &trigger.rule, &trigger.event_bus);
        let enabled_at = hold.and_then(|hold| hold.step_at(HoldStep::Enabled));
        let is_older = |at| watch.is_some_and(|watch| watch.at <= at);
        match (&rule.state, hold.is_some_and(Hold::keeps_rule_disabled)) {
            // It was read before we enabled it: that it was off says nothing of others.
            (RuleState::Disabled, false) if enabled_at.is_some_and(is_older) => {
                TriggerState::Enabled
            }
            (RuleState::Disabled, true) => TriggerState::Held,
            (RuleState::Disabled, false) => TriggerState::DisabledByOther,
            (RuleState::Enabled | RuleState::Other(_), _) => TriggerState::Enabled,
        }
    }
}

/// Whether what it changed is read back before the next step.
fn changes_services(step: &Step) -> bool {
    matches!(
        step,
        Step::ArmDeadMan { .. }
            | Step::DisarmDeadMan { .. }
            | Step::DisableRule { .. }
            | Step::EnableRule { .. }
            | Step::ReleaseProven { .. }
            | Step::DriveLive { .. }
    )
}

impl DatasetMemory {
    /// Since when the rule has been seen disabled, whoever did it.
    pub(super) fn note_rule(&mut self, watch: &Watch, now: DateTime<Utc>) {
        match watch.rule.as_ref().and_then(Seen::known).map(|rule| &rule.state) {
            Some(RuleState::Disabled) => {
                self.disabled_since.get_or_insert(now);
            }
            Some(RuleState::Enabled | RuleState::Other(_)) => self.disabled_since = None,
            None => {}
        }
    }
}

impl TriggerMemory {
    /// The pairs of tasks that have been alive together for too long, each told once.
    fn overlaps(&mut self, tasks: &[Task], now: DateTime<Utc>) -> Vec<(String, String)> {
        let mut alive: Vec<&str> =
            tasks.iter().filter(|task| task.is_alive()).map(|task| task.arn.as_str()).collect();
        alive.sort_unstable();
        let is_alive = |arn: &String| alive.contains(&arn.as_str());
        self.together.retain(|(first, second), _| is_alive(first) && is_alive(second));
        let mut news = Vec::new();
        for (index, first) in alive.iter().enumerate() {
            for second in &alive[index + 1..] {
                let pair = ((*first).to_owned(), (*second).to_owned());
                let (since, told) = self.together.entry(pair.clone()).or_insert((now, false));
                if !*told && now - *since >= Duration::seconds(OVERLAP_SECONDS) {
                    *told = true;
                    news.push(pair);
                }
            }
        }
        news
    }
}
