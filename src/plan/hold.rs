//! The hold of the trigger: a finalizer, one step a pass, read from the ledger and the look.
//!
//! ```text
//!   intent ─► switch armed ─► rule disabled ─► (propagation) ─► work ─► work done ─► (settle)
//!                                                                          └─► rule enabled
//!          closed ◄─ swept ◄─ (settle) ◄─ switch disarmed ◄────────────────────────┘
//! ```
//!
//! [`tend`] is asked first in every pass and at every start, before the scan, and needs only
//! the rule, the switch and the ledger. The entry `HoldMoved{Armed}` is the intent to disable;
//! a rule that is found disabled before it is somebody else's doing.
//!
//! What this never does: disable a rule that was found enabled in the middle of a hold, touch
//! one that somebody else disabled, or let a hold outlast its `until`.

use chrono::{DateTime, Duration, Utc};

use super::rest::Rest;
use super::start::Situation;
use super::{Step, gates, sweep};
use crate::config::{DatasetSettings, DeadManSettings, HoldPolicy, TriggerSettings};
use crate::domain::{Rule, RuleState, Seen, Stage};
use crate::ledger::{Hold, HoldStep, HoldWhy, Run, State, Upload};
use crate::observe::{LandingView, Watch};
use crate::platform::DeadMan;

/// From the intent to the disabling, and for a disabling whose answer was lost. Past it the
/// reasons for holding may no longer be true.
const BEGINS_WITHIN_MINUTES: i64 = 5;
/// The work begins within this time after the rule is surely disabled, or the hold is given up.
const WORK_BEGINS_WITHIN_MINUTES: i64 = 10;
/// The stop of our task at the end of `max_hold` is asked for first; the release waits for no
/// more than this.
const STOP_FIRST_SECONDS: i64 = 120;
/// The rule is itself again so long before the live dump's usual arrival.
const BEFORE_ARRIVAL_MINUTES: i64 = 30;
/// A switch that AWS refused is asked for again after this: the rights may be there by then.
const REFUSED_AGAIN_AFTER_MINUTES: i64 = 60;
/// Dead men keep AWS's time: a clock that is further off than this would set a wrong one.
const SKEW_AT_MOST_SECONDS: i64 = 60;
/// From the load's end until the export has its snapshot: making it and the pipeline's reaction.
const SNAPSHOT_TAKES_MINUTES: i64 = 20;
/// The settle of a dataset that is no longer in the configuration: the default.
const SETTLE_UNKNOWN_MINUTES: i64 = 15;

/// A hold that is about to begin.
#[derive(Clone, Debug, PartialEq)]
pub struct HoldPlan {
    /// The dataset.
    pub dataset: String,
    /// The rule.
    pub rule: String,
    /// Its bus.
    pub event_bus: String,
    /// Why.
    pub why: HoldWhy,
    /// Its end at the latest.
    pub until: DateTime<Utc>,
    /// What enables the rule when we do not.
    pub dead_man: Option<DeadMan>,
}

/// The next step of a dataset's hold, of a rule that is proven to be held by us without one, or
/// of a live dump that landed in one; `None` when none is due.
#[must_use]
pub fn tend(
    ledger: &State,
    watch: &Watch,
    name: &str,
    dataset: Option<&DatasetSettings>,
    now: DateTime<Utc>,
) -> Option<Step> {
    let Some(hold) = ledger.hold_of(name) else {
        let dataset = dataset?;
        return proven(watch, dataset)
            .or_else(|| sweep::hurt(ledger, watch, dataset, now))
            .or_else(|| sweep::drive(ledger, watch, dataset, now));
    };
    let run = match &hold.why {
        HoldWhy::Run { run } => ledger.runs.iter().rev().find(|known| known.id == *run),
        HoldWhy::Upload { .. } => None,
    };
    let upload = ledger.upload_of(hold);
    let tended = Tended { hold, run, upload, watch, dataset, now };
    tended
        .next()
        .or_else(|| sweep::hurt(ledger, watch, dataset?, now))
        .or_else(|| sweep::drive(ledger, watch, dataset?, now))
}

/// A switch of our name beside a disabled rule proves an old hold of ours, although the ledger
/// knows of none.
fn proven(watch: &Watch, dataset: &DatasetSettings) -> Option<Step> {
    let trigger = dataset.trigger.as_ref()?;
    let rule = watch.rule.as_ref()?.known()?;
    let switch = watch.trigger.dead_man.as_ref()?.known()?.as_ref()?;
    let ours = switch.rule == trigger.rule && switch.event_bus == trigger.event_bus;
    (ours && rule.state == RuleState::Disabled)
        .then(|| Step::ReleaseProven { switch: switch.clone() })
}

struct Tended<'a> {
    hold: &'a Hold,
    run: Option<&'a Run>,
    upload: Option<&'a Upload>,
    watch: &'a Watch,
    dataset: Option<&'a DatasetSettings>,
    now: DateTime<Utc>,
}

impl Tended<'_> {
    fn next(&self) -> Option<Step> {
        if self.is_done(HoldStep::Enabled) {
            self.after_release()
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
                if self.is_young(armed_at) && guarded && self.now < self.hold.until {
                    return Some(self.disable());
                }
                Some(self.enable("it was never seen disabled"))
            }
            None if self.now >= self.hold.until => Some(self.enable("the hold is over")),
            None => None,
        }
    }

    /// The rule is disabled, and it is our doing.
    fn held(&self) -> Option<Step> {
        if !self.is_done(HoldStep::WorkDone)
            && let Some(why) = self.work_is_over()
        {
            return Some(self.moved(HoldStep::WorkDone, why));
        }
        // Whatever the rule is read as, and also when it cannot be: a reading may be old, and
        // enabling an enabled rule changes nothing.
        self.release_is_due().map(|why| self.enable(why))
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
            Stage::Snapshot | Stage::Export | Stage::Publish | Stage::Verify => {
                Some("the load is through")
            }
        }
    }

    /// The run was never begun: it waits for the propagation, or will not begin any more.
    fn work_never_begins(&self) -> Option<&'static str> {
        let Some(trigger) = self.settings() else {
            return Some("the dataset is no longer in the configuration");
        };
        if matches!(self.rule_state(), Some(RuleState::Enabled)) {
            return Some("somebody enabled the rule before the work began");
        }
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
        let done_at = self.hold.step_at(HoldStep::WorkDone)?;
        let wrote = match (&self.hold.why, self.upload) {
            (HoldWhy::Run { .. }, _) => self.run.is_some(),
            (HoldWhy::Upload { .. }, Some(upload)) => upload.writing_at.is_some(),
            (HoldWhy::Upload { .. }, None) => true,
        };
        let wait = if wrote { self.settle() } else { Duration::zero() };
        (self.now - done_at >= wait)
            .then_some("what needed it is done, and its events have settled")
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
                let detail = format!("{detail}; the landing bucket could not be swept");
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
        let who = match (self.is_done(HoldStep::Disabled), fired, ours) {
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

fn span(duration: std::time::Duration) -> Duration {
    Duration::from_std(duration).unwrap_or(Duration::MAX)
}

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

/// What must be done about the trigger before a run's load: nothing, a hold, or waiting for it.
pub(super) fn before_load(
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
pub(super) fn is_ready(situation: &Situation<'_>) -> Result<(), Rest> {
    situation
        .ledger
        .hold_of(&situation.dataset.name)
        .map_or(Ok(()), |hold| witness(situation, hold))
}

/// A run starts under a hold only when the rule is seen disabled, it is our own hold, and the
/// change has had its time to be felt.
pub(super) fn witness(situation: &Situation<'_>, hold: &Hold) -> Result<(), Rest> {
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
pub(super) fn witness_for_write(situation: &Situation<'_>, hold: &Hold) -> Result<(), Rest> {
    witness(situation, hold)?;
    let settle = situation.dataset.trigger.as_ref().map_or(Duration::MAX, |it| span(it.settle));
    if situation.now.checked_add_signed(settle).is_none_or(|settled| settled > hold.until) {
        let why = "what is left of the hold is shorter than trigger.settle".to_owned();
        return Err(Rest::HoldRefused { why });
    }
    Ok(())
}

/// A hold that is open, in words.
pub(super) fn resting(hold: &Hold) -> Rest {
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

/// A new hold, or why it may not be.
pub(super) fn intend(
    situation: &Situation<'_>,
    landing: &LandingView,
    trigger: &TriggerSettings,
    why: HoldWhy,
) -> Result<HoldPlan, Rest> {
    let Situation { ledger, seen, dataset, now, .. } = situation;
    let now = *now;
    let refuse = |why: String| Rest::HoldRefused { why };
    match seen.watch.rule.as_ref() {
        Some(Seen::Known(rule)) => refusal(rule).map_or(Ok(()), |why| Err(refuse(why)))?,
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
    let arrival = gates::next_arrival(landing, dataset, now);
    let latest = arrival.map(|arrival| arrival - Duration::minutes(BEFORE_ARRIVAL_MINUTES));
    if let (Some(arrival), Some(latest)) = (arrival, latest)
        && now + needs > latest
    {
        return Err(Rest::LiveDumpDue { arrival });
    }
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
        Some(Seen::Known(Some(skew))) if skew.abs() <= Duration::seconds(SKEW_AT_MOST_SECONDS) => {
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

/// While a hold is open the plan says so; one whose run will not begin after all is given up.
pub(super) fn bounds(
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
