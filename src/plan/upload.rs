//! An upload: a dump that a person asked to be put into the landing bucket.
//!
//! Its parts were sent by the command; they fire nothing. What is decided here is the one
//! write that does: under which hold it is made, or why it is not made (yet).
//!
//! ```text
//!   ready ─► hold ─► (propagation) ─► write ─► over; the hold ends as every hold does
//! ```
//!
//! What this never does: write without a hold of its own that is felt, or try for ever.

use chrono::{DateTime, Duration, Utc};

use super::hold::{self, HoldPlan};
use super::rest::Rest;
use super::start::Situation;
use super::{Night, Step};
use crate::config::{DatasetSettings, Mode};
use crate::domain::{ErrorClass, Seen};
use crate::ledger::{HoldWhy, State, Upload, UploadOutcome};
use crate::observe::{LandingView, Observation, Watch};

/// Parts that are not all there after so long are given up: a day uploads any dump.
const PARTS_WITHIN_HOURS: i64 = 24;
/// An upload that could not be written in so long is given up: its reasons may be over.
const WRITTEN_WITHIN_HOURS: i64 = 24;
/// So many holds for one upload at most: something keeps it from being written.
const HOLDS_AT_MOST: u32 = 3;

/// What the dataset's open upload needs next; `None` when nothing is due from here.
///
/// `landing` is a look at the dumps, when a hold is about to begin. `sender_is_gone` says that
/// the process that sends the parts has certainly died.
#[must_use]
pub fn serve(
    ledger: &State,
    watch: &Watch,
    landing: Option<&Seen<LandingView>>,
    dataset: &DatasetSettings,
    sender_is_gone: bool,
    now: DateTime<Utc>,
) -> Option<Result<Step, Rest>> {
    let upload = ledger.open_upload(&dataset.name)?;
    let end = |outcome, detail: String| {
        Some(Ok(Step::EndUpload { upload: Box::new(upload.clone()), outcome, detail }))
    };
    let Some((ready_at, _)) = upload.ready.as_ref().filter(|_| !upload.live) else {
        let late = now - upload.intended_at > Duration::hours(PARTS_WITHIN_HOURS);
        let why = "whoever sent its parts is gone, or took more than a day";
        return if late || sender_is_gone {
            end(UploadOutcome::Cancelled, why.to_owned())
        } else {
            None
        };
    };
    if dataset.mode == Mode::Observe {
        return end(UploadOutcome::Failed, "mode is observe: nothing is changed".to_owned());
    }
    let seen = Observation { scan: Seen::Blind(Vec::new()), watch: watch.clone(), confirmed: None };
    let night = Night { began_at: now, ends_at: now, max_runs: None, only: None };
    let situation = Situation { ledger, seen: &seen, dataset, night: &night, now };
    let rule_causes = watch.rule.as_ref().map_or(&[][..], Seen::blindness);
    if rule_causes.iter().any(|cause| cause.class == ErrorClass::NotFound) {
        return end(UploadOutcome::Failed, "the trigger's rule does not exist".to_owned());
    }
    let broken = upload.hold.as_ref().is_some_and(|hold| hold.broken);
    let next = match ledger.hold_of(&dataset.name) {
        None if broken => {
            let why = "somebody else enabled the rule while it was held; it is not disabled again for this upload: upload the dump again when they are done";
            return end(UploadOutcome::Failed, why.to_owned());
        }
        None if upload.holds >= HOLDS_AT_MOST => {
            return end(UploadOutcome::Failed, format!("not written under {HOLDS_AT_MOST} holds"));
        }
        None if now - *ready_at > Duration::hours(WRITTEN_WITHIN_HOURS) => {
            return end(UploadOutcome::Failed, "it could not be written within a day".to_owned());
        }
        None => begin(&situation, landing, upload),
        Some(hold) if hold.why == why(upload) => {
            hold::witness_for_write(&situation, hold).map(|()| Step::WriteUpload {
                hold: hold.id.clone(),
                rule: (hold.rule.clone(), hold.event_bus.clone()),
                upload: Box::new(upload.clone()),
            })
        }
        Some(hold) => Err(hold::resting(hold)),
    };
    match next {
        Err(Rest::HoldRefused { why }) if ledger.hold_of(&dataset.name).is_none() => {
            end(UploadOutcome::Failed, format!("the trigger may not be held: {why}"))
        }
        next => Some(next),
    }
}

/// Whether a hold for an upload could begin now, before anything is sent.
///
/// # Errors
/// Why not: [`Rest::HoldRefused`] stays so, anything else passes.
pub fn would_hold(
    ledger: &State,
    watch: &Watch,
    landing: &LandingView,
    dataset: &DatasetSettings,
    now: DateTime<Utc>,
) -> Result<(), Rest> {
    let seen = Observation { scan: Seen::Blind(Vec::new()), watch: watch.clone(), confirmed: None };
    let night = Night { began_at: now, ends_at: now, max_runs: None, only: None };
    let situation = Situation { ledger, seen: &seen, dataset, night: &night, now };
    if let Some(hold) = ledger.hold_of(&dataset.name) {
        return Err(hold::resting(hold));
    }
    let why = HoldWhy::Upload { date: now.date_naive(), key: String::new() };
    intend(&situation, landing, why).map(|_| ())
}

fn why(upload: &Upload) -> HoldWhy {
    HoldWhy::Upload { date: upload.date, key: upload.key.clone() }
}

fn begin(
    situation: &Situation<'_>,
    landing: Option<&Seen<LandingView>>,
    upload: &Upload,
) -> Result<Step, Rest> {
    match landing {
        Some(Seen::Known(landing)) => {
            intend(situation, landing, why(upload)).map(|plan| Step::Hold(Box::new(plan)))
        }
        Some(Seen::Blind(causes)) => Err(Rest::Blind(causes.clone())),
        None => Err(Rest::Blind(Vec::new())),
    }
}

/// A hold for a write of ours, which needs a trigger.
pub(super) fn intend(
    situation: &Situation<'_>,
    landing: &LandingView,
    why: HoldWhy,
) -> Result<HoldPlan, Rest> {
    // What the rule fires, and what came of what landed in the hold, must be seen afterwards.
    if let Seen::Blind(causes) = &situation.seen.watch.tasks {
        return Err(Rest::Blind(causes.clone()));
    }
    match &situation.dataset.trigger {
        Some(trigger) => hold::intend(situation, landing, trigger, why),
        None => Err(Rest::HoldRefused { why: "no trigger is configured to be held".to_owned() }),
    }
}
