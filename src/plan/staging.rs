//! Staging: a dump under another name is copied to the name that the task reads, with the
//! trigger held, and all of that before its run begins. Any write to the bucket fires the
//! rule (H12), so the hold lasts until the copy's event has settled.

use super::hold;
use super::rest::Rest;
use super::start::Situation;
use super::{Begin, Candidate, Step, upload};
use crate::config::OtherName;
use crate::domain::Stage;
use crate::ledger::{HoldStep, HoldWhy};
use crate::observe::LandingView;

/// What must be done about the dump's name before the load: nothing, a hold, the copy, or
/// waiting for the hold to end.
pub(super) fn before_load(
    situation: &Situation<'_>,
    landing: &LandingView,
    head: &Candidate,
    begin: Begin,
) -> Result<Option<Step>, Rest> {
    let dataset = situation.dataset;
    let key = format!("{}{}", dataset.landing.prefix, dataset.load.dump_key.render(head.date));
    let why = HoldWhy::Upload { date: head.date, key: key.clone() };
    let hold = situation.ledger.hold_of(&dataset.name);
    if head.dump.key == key {
        let copied =
            hold.filter(|hold| hold.why == why && hold.step_at(HoldStep::WorkDone).is_none());
        return Ok(copied.map(|hold| Step::MoveHold {
            hold: hold.id.clone(),
            step: HoldStep::WorkDone,
            detail: "the copy is there".to_owned(),
        }));
    }
    if dataset.load.other_name == OtherName::Refuse {
        return Err(Rest::HoldRefused { why: "load.other_name is \"refuse\"".to_owned() });
    }
    match hold {
        None => {
            upload::intend(situation, landing, why).map(|plan| Some(Step::Hold(Box::new(plan))))
        }
        Some(hold) if hold.why == why => {
            hold::witness_for_write(situation, hold)?;
            Ok(Some(Step::StageDump {
                hold: hold.id.clone(),
                rule: (hold.rule.clone(), hold.event_bus.clone()),
                bucket: dataset.landing.bucket.clone(),
                from: head.dump.key.clone(),
                to: key,
                begin: Box::new(Begin { stage: Stage::StageDump, ..begin }),
            }))
        }
        Some(hold) => Err(hold::resting(hold)),
    }
}
