//! What must hold, checked by looking at the world, at what people did, and at the ledger's
//! entries. None of it asks our code what it thinks.

mod data;
mod end;
mod loads;
mod people;
mod trigger;

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use gapmend::daemon::Report;
use gapmend::sim::{TaskRecord, World};

use super::book::Book;
use super::climate::Climate;

pub(super) use end::{at_rest, converged};
pub(super) use people::CALLS_OF_A_PASS_AT_MOST;

/// All that a checker may look at.
pub(super) struct Evidence<'a> {
    pub(super) world: &'a World,
    pub(super) book: &'a Book,
    pub(super) climate: &'a Climate,
    /// The last reports of the processes that live.
    pub(super) reports: Vec<Arc<Report>>,
}

/// A whole dump of the model has so many bytes.
const USUAL_DUMP_BYTES: usize = 4096;

/// One law: its name, and what complains about it.
type Check = (&'static str, fn(&Evidence<'_>) -> Option<String>);

/// The laws of safety, which hold at every moment.
const SAFETY: [Check; 18] = [
    ("there are never two loads at once", loads::never_two_at_once),
    ("only bare dates are loaded", loads::only_of_bare_dates),
    ("only old dates are loaded", loads::only_of_old_dates),
    ("only good dumps are loaded", loads::only_of_good_dumps),
    ("attempts are bounded", loads::attempts_are_bounded),
    ("no load begins beside another", loads::never_begun_beside_another),
    ("snapshots without an export are spared", loads::unsettled_snapshots_are_spared),
    ("only what people allow is begun", people::only_what_is_allowed_is_begun),
    ("a night's number of runs is kept", people::the_nights_number_is_kept),
    ("an intent comes before its effect", people::intents_come_first),
    ("a slot is scanned once", people::a_slot_is_scanned_once),
    ("memory is what a replay gives", people::memory_is_what_a_replay_gives),
    ("a pass asks little of AWS", people::a_pass_asks_little),
    ("what we healed is there once", data::healed_once),
    ("the rule comes back", trigger::comes_back),
    ("an operator's rule is left alone", trigger::an_operators_is_left_alone),
    ("no live dump is lost by us", trigger::no_live_dump_is_lost),
    ("our own writes fire nothing", trigger::our_writes_fire_nothing),
];

pub(super) fn laws_of_safety() -> impl Iterator<Item = &'static str> {
    SAFETY.iter().map(|(law, _)| *law)
}

/// What one law says.
pub(super) fn complaint_of(law: &str, evidence: &Evidence<'_>) -> Option<String> {
    SAFETY.iter().filter(|(name, _)| *name == law).find_map(|(_, check)| check(evidence))
}

pub(super) fn first_complaint(evidence: &Evidence<'_>) -> Option<String> {
    let complain = |(law, check): &Check| Some(format!("{law}: {}", check(evidence)?));
    SAFETY.iter().find_map(complain)
}

impl Evidence<'_> {
    /// Backdated loads of ours.
    fn our_loads(&self) -> impl Iterator<Item = &TaskRecord> {
        self.world.tasks().into_iter().filter(|task| is_ours(task) && !task.live)
    }

    /// So late may a process hear of what happened then: its own pace, and the services' lag.
    fn hears_within(&self) -> TimeDelta {
        TimeDelta::seconds(self.climate.lag.0 + 10)
    }
}

fn is_ours(task: &TaskRecord) -> bool {
    task.started_by.as_ref().is_some_and(|who| who.starts_with("gapmend/"))
}

fn is_alive_at(task: &TaskRecord, at: DateTime<Utc>) -> bool {
    task.created_at <= at && task.stopped_at.is_none_or(|stopped| stopped > at)
}

/// The date that a task loads.
fn day_of(task: &TaskRecord) -> NaiveDate {
    task.date.unwrap_or_else(|| task.created_at.date_naive())
}
