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
//! A rule that is found **enabled** after our request (H15):
//!
//! - Not answered yet: the request may never have arrived, so it is made again, for five minutes.
//!   A repetition changes nothing, and no hold has been relied on.
//! - Answered, and never seen disabled: the reading may be older than the request, or somebody
//!   else came right after us. Which of the two cannot be told, so it is waited for, and given up
//!   after the same five minutes. It is not asked for again.
//! - Seen disabled once: somebody else enabled it. Nothing is disabled, nothing more is written,
//!   and the release is asked for all the same, because this reading may be an old one, too: at
//!   once while nothing of ours was written, else when its event has settled.
//!
//! A rule that is found **disabled** after the time of the dead man's switch is still ours, though
//! the switch is gone: it may have been deleted, or its role may not enable. Only a rule that was
//! read as enabled ends a hold.
//!
//! What this never does: disable a rule that was found enabled in the middle of a hold, touch
//! one that somebody else disabled, or let a hold outlast its `until`.

mod begin;
mod tended;
mod witness;

use chrono::{DateTime, Utc};

pub(super) use self::begin::intend;
use self::begin::refusal;
use self::tended::Tended;
pub(super) use self::witness::{before_load, bounds, is_ready, resting, witness_for_write};
use super::{Step, sweep};
use crate::config::DatasetSettings;
use crate::domain::RuleState;
use crate::ledger::{Hold, HoldWhy, State};
use crate::observe::Watch;
use crate::platform::DeadMan;

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
    Tended::of(ledger, hold, watch, dataset, now)
        .next()
        .or_else(|| sweep::hurt(ledger, watch, dataset?, now))
        .or_else(|| sweep::drive(ledger, watch, dataset?, now))
}

/// When the rule of an open hold is to be enabled at the latest, by what is known now; `None`
/// when nothing was done to it, or it was enabled already.
#[must_use]
pub fn release_due_at(
    ledger: &State,
    hold: &Hold,
    dataset: Option<&DatasetSettings>,
) -> Option<DateTime<Utc>> {
    let watch = Watch::of_nothing(hold.begun_at);
    let tended = Tended::of(ledger, hold, &watch, dataset, hold.begun_at);
    tended.release_due_at()
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
