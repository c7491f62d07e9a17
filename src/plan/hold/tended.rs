//! What an open hold needs next, read off the rule, the switch and the ledger.

use chrono::{DateTime, Duration, Utc};

use super::refusal;
use crate::config::{DatasetSettings, TriggerSettings};
use crate::domain::{ErrorClass, RuleState, Seen, Stage};
use crate::ledger::{Hold, HoldStep, HoldWhy, Run, State, Upload};
use crate::observe::Watch;
use crate::plan::span;
use crate::plan::{Step, sweep};

/// From the intent to the disabling, and for a disabling whose answer was lost. Past it the
/// reasons for holding may no longer be true.
const BEGINS_WITHIN_MINUTES: i64 = 5;
/// The work begins within this time after the rule is surely disabled, or the hold is given up.
const WORK_BEGINS_WITHIN_MINUTES: i64 = 10;
/// The stop of our task at the end of `max_hold` is asked for first; the release waits for no
/// more than this.
const STOP_FIRST_SECONDS: i64 = 120;
/// EventBridge is eventually consistent: a reading is no older than this.
const READING_OLD_AT_MOST_SECONDS: i64 = 60;
/// The settle of a dataset that is no longer in the configuration: the default.
const SETTLE_UNKNOWN_MINUTES: i64 = 15;

/// A hold, and what is seen of it.
pub(super) struct Tended<'a> {
    pub(super) hold: &'a Hold,
    pub(super) run: Option<&'a Run>,
    pub(super) upload: Option<&'a Upload>,
    pub(super) watch: &'a Watch,
    pub(super) dataset: Option<&'a DatasetSettings>,
    pub(super) now: DateTime<Utc>,
}

impl<'a> Tended<'a> {
    pub(super) fn of(
        ledger: &'a State,
        hold: &'a Hold,
        watch: &'a Watch,
        dataset: Option<&'a DatasetSettings>,
        now: DateTime<Utc>,
    ) -> Self {
        let run = match &hold.why {
            HoldWhy::Run { run } => ledger.runs.iter().rev().find(|known| known.id == *run),
            HoldWhy::Upload { .. } => None,
        };
        Self { hold, run, upload: ledger.upload_of(hold), watch, dataset, now }
    }

    pub(super) fn next(&self) -> Option<Step> {
        if self.is_done(HoldStep::Enabled) {
            self.after_release()
        } else if self.rule_is_gone() {
            let detail = format!("rule {} no longer exists: nothing is held", self.hold.rule);
            self.disarm().or_else(|| Some(self.close(detail, Vec::new())))
        } else if self.switch_has_worked() {
            Some(self.moved(HoldStep::Enabled, "the dead man's switch has fired"))
        } else if self.is_done(HoldStep::Disabled) {
            self.held()
        } else if self.is_done(HoldStep::Armed) {
            self.disabling()
        } else {
            self.arming()
        }
    }

    /// Nothing was done to the rule yet.
    fn arming(&self) -> Option<Step> {
        let rule = match self.watch.rule.as_ref() {
            Some(Seen::Known(rule)) => Some(rule),
            Some(Seen::Blind(_)) | None => None,
        };
        let free = rule.is_some_and(|rule| refusal(rule).is_none());
        let waits = rule.is_none() && self.is_young(self.hold.begun_at);
        if waits {
            return None;
        }
        if !free || !self.is_young(self.hold.begun_at) || self.dataset.is_none() {
            let detail = "the rule was never disabled: it was not ours to disable any more";
            return self.disarm().or_else(|| Some(self.close(detail, Vec::new())));
        }
        let Some(wanted) = &self.hold.dead_man else { return Some(self.disable()) };
        match self.watch.trigger.dead_man.as_ref()? {
            Seen::Blind(_) => None,
            Seen::Known(None) => {
                Some(Step::ArmDeadMan { hold: self.hold.id.clone(), switch: wanted.clone() })
            }
            Seen::Known(Some(found)) if found == wanted => Some(self.disable()),
            Seen::Known(Some(_)) => self.disarm(), // left over from an older hold
        }
    }

    /// The disabling was intended; whether it was done is read from the rule.
    fn disabling(&self) -> Option<Step> {
        let armed_at = self.hold.step_at(HoldStep::Armed).unwrap_or(self.hold.begun_at);
        match self.rule_state() {
            Some(RuleState::Disabled) => {
                Some(self.moved(HoldStep::Disabled, "the rule was seen disabled"))
            }
            Some(RuleState::Enabled | RuleState::Other(_)) => {
                let guarded = self.hold.dead_man.is_none() || self.switch_is_there();
                let counts = self.is_young(armed_at) && guarded && self.now < self.hold.until;
                match (counts, self.is_done(HoldStep::Answered)) {
                    (true, false) => Some(self.disable()),
                    (true, true) => None,
                    (false, _) => Some(self.enable("it was never seen disabled")),
                }
            }
            None if self.now >= self.hold.until => Some(self.enable("the hold is over")),
            None => None,
        }
    }

    /// The rule is disabled, and it is our doing.
    fn held(&self) -> Option<Step> {
        if self.is_enabled_by_others() {
            return Some(self.enable("somebody else enabled it"));
        }
        if !self.is_done(HoldStep::WorkDone)
            && let Some(why) = self.work_is_over()
        {
            return Some(self.moved(HoldStep::WorkDone, why));
        }
        // Whatever the rule is read as, and also when it cannot be: a reading may be old, and
        // enabling an enabled rule changes nothing.
        self.release_is_due().map(|why| self.enable(why))
    }

    /// The rule was enabled behind our back. A reading may be older than our disabling, so while
    /// that was only now it is not believed where something of ours may still reach the rule.
    fn is_enabled_by_others(&self) -> bool {
        let for_a_run = matches!(self.hold.why, HoldWhy::Run { .. });
        let stale = Duration::seconds(READING_OLD_AT_MOST_SECONDS);
        let disabled_at = self.hold.step_at(HoldStep::Disabled);
        let settled = disabled_at.is_some_and(|at| self.now - at > stale);
        self.rule_state() == Some(&RuleState::Enabled) && (for_a_run || settled)
    }

    /// Nobody was here to release the rule, and the switch did it: the rule is read as enabled, and
    /// the switch is gone after its time. An absent switch alone proves nothing: it may have been
    /// deleted, or its role may not enable, and a rule that is still disabled is still ours.
    fn switch_has_worked(&self) -> bool {
        let is_enabled =
            matches!(self.rule_state(), Some(RuleState::Enabled | RuleState::Other(_)));
        is_enabled && self.watch.switch_fired_at(self.hold, self.now).is_some()
    }

    fn rule_is_gone(&self) -> bool {
        let causes = self.watch.rule.as_ref().map_or(&[][..], Seen::blindness);
        causes.iter().any(|cause| cause.class == ErrorClass::NotFound)
    }

    /// Why nothing needs the hold any more.
    fn work_is_over(&self) -> Option<&'static str> {
        if self.upload.is_some_and(|upload| !upload.is_open()) {
            return Some("the upload is over");
        }
        // A copy of ours is made right after the propagation, by the same rule as a run begins.
        let Some(run) = self.run else { return self.work_never_begins() };
        if !run.is_active() {
            return Some("the run is over");
        }
        if let Some(Seen::Known(Some(_))) = self.watch.trigger.our_export {
            return Some("our export task exists");
        }
        let exports = self.dataset.is_none_or(|dataset| dataset.export.is_some());
        match run.stage {
            Stage::Preflight | Stage::StageDump | Stage::Load => None,
            Stage::Snapshot | Stage::Export if exports => None,
            Stage::Snapshot | Stage::Export | Stage::Copy | Stage::Publish | Stage::Verify => {
                Some("the load is through")
            }
        }
    }

    /// The run was never begun: it waits for the propagation, or will not begin any more.
    fn work_never_begins(&self) -> Option<&'static str> {
        let Some(trigger) = self.settings() else {
            return Some("the dataset is no longer in the configuration");
        };
        let disabled_at = self.hold.step_at(HoldStep::Disabled)?;
        let limit = span(trigger.propagation) + Duration::minutes(WORK_BEGINS_WITHIN_MINUTES);
        (self.now - disabled_at > limit).then_some("the work was not done in time")
    }

    /// Why the rule is to be enabled now, if it is.
    fn release_is_due(&self) -> Option<&'static str> {
        if self.now >= self.hold.until {
            let stopped = self.run.is_none_or(|run| {
                !run.is_active() || run.stage > Stage::Load || run.stopping.is_some()
            });
            let waited = self.now - self.hold.until > Duration::seconds(STOP_FIRST_SECONDS);
            return (stopped || waited).then_some("the hold may not last longer");
        }
        (self.now >= self.settled_at()?)
            .then_some("what needed it is done, and its events have settled")
    }

    /// When what the hold was for is done and its events have settled.
    fn settled_at(&self) -> Option<DateTime<Utc>> {
        let done_at = self.hold.step_at(HoldStep::WorkDone)?;
        let wrote = match (&self.hold.why, self.upload) {
            (HoldWhy::Run { .. }, _) => self.run.is_some(),
            (HoldWhy::Upload { .. }, Some(upload)) => upload.writing_at.is_some(),
            (HoldWhy::Upload { .. }, None) => true,
        };
        Some(if wrote { done_at + self.settle() } else { done_at })
    }

    /// When the rule is to be enabled at the latest, by what is known now.
    pub(super) fn release_due_at(&self) -> Option<DateTime<Utc>> {
        if !self.hold.keeps_rule_disabled() {
            return None;
        }
        let disabled_at = self.hold.step_at(HoldStep::Disabled);
        let armed_at = self.hold.step_at(HoldStep::Armed);
        let unseen = armed_at.filter(|_| disabled_at.is_none());
        let propagation = self.settings().map_or(Duration::zero(), |it| span(it.propagation));
        let idle = disabled_at.filter(|_| !self.is_done(HoldStep::WorkDone));
        let idle = idle.filter(|_| self.run.is_none() && self.upload.is_none());
        let over = !self.is_done(HoldStep::WorkDone) && self.work_is_over().is_some();
        let limits = [
            Some(self.hold.until),
            self.settled_at(),
            unseen.map(|at| at + Duration::minutes(BEGINS_WITHIN_MINUTES)),
            idle.map(|at| at + propagation + Duration::minutes(WORK_BEGINS_WITHIN_MINUTES)),
            disabled_at.filter(|_| over),
        ];
        limits.into_iter().flatten().min()
    }

    /// The rule was seen enabled again.
    fn after_release(&self) -> Option<Step> {
        if let Some(step) = self.disarm() {
            return Some(step);
        }
        if matches!(self.watch.trigger.dead_man, Some(Seen::Blind(_))) {
            return None;
        }
        let detail = self.closing_words();
        if self.dataset.is_none() || self.settings().is_none() {
            let detail = format!("{detail}; the dataset is gone, no sweep");
            return Some(self.close(detail, Vec::new()));
        }
        match sweep::found(self.hold, self.watch, self.dataset?, self.now) {
            sweep::Sweep::NotYet => None,
            sweep::Sweep::Blind => {
                let detail = format!("{detail}; what landed meanwhile could not be looked for");
                Some(self.close(detail, Vec::new()))
            }
            sweep::Sweep::Done(swept) => Some(self.close(detail, swept)),
        }
    }

    /// By whom the rule was enabled.
    fn closing_words(&self) -> String {
        let enabled_at = self.hold.step_at(HoldStep::Enabled).unwrap_or(self.now);
        let fired = self.is_done(HoldStep::Armed)
            && self.hold.dead_man.as_ref().is_some_and(|switch| enabled_at >= switch.fires_at);
        let ours = self.hold.step_at(HoldStep::WorkDone).is_some() || enabled_at >= self.hold.until;
        let again = self.rule_state() == Some(&RuleState::Disabled);
        let who = match (self.is_done(HoldStep::Disabled), fired, ours) {
            (_, true, _) if again => {
                "the dead man's switch had fired; the rule is disabled again, and not by gapmend"
            }
            (_, true, _) => "the rule is enabled; the dead man's switch had fired by then",
            (false, false, _) => "the rule was never seen disabled",
            (true, false, true) => "the rule was enabled by gapmend",
            (true, false, false) => "the rule was enabled by somebody else",
        };
        who.to_owned()
    }

    // ---- small things ----------------------------------------------------------------

    fn is_done(&self, step: HoldStep) -> bool {
        self.hold.step_at(step).is_some()
    }

    fn is_young(&self, since: DateTime<Utc>) -> bool {
        self.now - since <= Duration::minutes(BEGINS_WITHIN_MINUTES)
    }

    fn rule_state(&self) -> Option<&RuleState> {
        self.watch.rule.as_ref().and_then(Seen::known).map(|rule| &rule.state)
    }

    fn settings(&self) -> Option<&TriggerSettings> {
        self.dataset.and_then(|dataset| dataset.trigger.as_ref())
    }

    fn settle(&self) -> Duration {
        let unknown = Duration::minutes(SETTLE_UNKNOWN_MINUTES);
        self.settings().map_or(unknown, |trigger| span(trigger.settle))
    }

    fn switch_is_there(&self) -> bool {
        matches!(self.watch.trigger.dead_man, Some(Seen::Known(Some(_))))
    }

    fn disable(&self) -> Step {
        Step::DisableRule {
            hold: self.hold.id.clone(),
            rule: self.hold.rule.clone(),
            event_bus: self.hold.event_bus.clone(),
        }
    }

    fn enable(&self, why: &str) -> Step {
        Step::EnableRule {
            hold: self.hold.id.clone(),
            rule: self.hold.rule.clone(),
            event_bus: self.hold.event_bus.clone(),
            why: why.to_owned(),
        }
    }

    fn moved(&self, step: HoldStep, detail: impl Into<String>) -> Step {
        Step::MoveHold { hold: self.hold.id.clone(), step, detail: detail.into() }
    }

    fn disarm(&self) -> Option<Step> {
        let recorded = self.hold.dead_man.as_ref().filter(|_| self.switch_is_there())?;
        Some(Step::DisarmDeadMan { group: recorded.group.clone(), name: recorded.name.clone() })
    }

    fn close(&self, detail: impl Into<String>, swept: Vec<sweep::Swept>) -> Step {
        let wrote_at = match self.upload {
            Some(upload) => upload.writing_at,
            None => self.hold.step_at(HoldStep::Disabled),
        };
        Step::CloseHold {
            hold: self.hold.id.clone(),
            dataset: self.hold.dataset.clone(),
            detail: detail.into(),
            swept,
            fired: sweep::fired(self.hold, wrote_at, self.watch),
        }
    }
}
