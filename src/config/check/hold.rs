//! Holding the trigger: what must be true of the times, and what must be there.

use std::time::Duration;

use humantime::format_duration;

use crate::config::key_path::KeyPath;
use crate::config::raw;
use crate::config::report::Report;
use crate::config::settings::{DeadManSettings, HoldPolicy, Mode, OtherName, TriggerSettings};

/// `propagation + settle < max_hold < dead_man.after`: our own release comes after the waits
/// and before the dead man's.
pub(super) fn fits_in_time(trigger: &TriggerSettings, at: &KeyPath, report: &mut Report) {
    if trigger.hold == HoldPolicy::Never {
        return;
    }
    match &trigger.dead_man {
        None => {} // Holding is refused at run time: there is nothing to fit.
        Some(DeadManSettings::Accepted) => waits_fit(trigger, at, report),
        Some(DeadManSettings::Schedule { after, .. }) => {
            waits_fit(trigger, at, report);
            if trigger.max_hold >= *after {
                let message = format!(
                    "{} is not after max_hold, {}; the dead man would release a rule still held",
                    format_duration(*after),
                    format_duration(trigger.max_hold),
                );
                report.error(&at.key("dead_man").key("after"), message);
            }
        }
    }
}

fn waits_fit(trigger: &TriggerSettings, at: &KeyPath, report: &mut Report) {
    let waits: Duration = trigger.propagation + trigger.settle;
    if waits >= trigger.max_hold {
        let message = format!(
            "{} is not longer than propagation and settle together, {}",
            format_duration(trigger.max_hold),
            format_duration(waits),
        );
        report.error(&at.key("max_hold"), message);
    }
}

/// Under `hold = "run"` the rule is held through the whole load, and past `max_hold` our own
/// task is stopped: a load that usually takes longer would never come to its end.
pub(super) fn lasts_through_the_load(dataset: &raw::Dataset, at: &KeyPath, report: &mut Report) {
    let Some(trigger) = &dataset.trigger else { return };
    let runs = trigger.hold.as_ref().is_some_and(|hold| hold.0 == HoldPolicy::Run);
    let (Some(max_hold), Some(expected)) = (&trigger.max_hold, &dataset.load.expected) else {
        return;
    };
    let (max_hold, expected) = (max_hold.0.0, expected.0.0);
    if runs && max_hold <= expected {
        let message = format!(
            "{} is not longer than load.expected, {}; with hold = \"run\" the task is stopped \
             before it is through",
            format_duration(max_hold),
            format_duration(expected),
        );
        report.warn(&at.key("trigger").key("max_hold"), message);
    }
}

/// Holding without a dead man is refused at run time; where a hold is certain, already here.
pub(super) fn has_a_dead_man(dataset: &raw::Dataset, at: &KeyPath, report: &mut Report) {
    let Some(trigger) = &dataset.trigger else { return };
    let hold = trigger.hold.as_ref().map(|hold| hold.0);
    let at = at.key("trigger");
    if trigger.dead_man.is_some() || hold.is_none_or(|hold| hold == HoldPolicy::Never) {
        return;
    }
    let stages = dataset.load.other_name.as_ref().is_some_and(|it| it.0 == OtherName::Stage);
    let expected = "a table with `group`, `role_arn` and `after`, or \"none\" to accept the risk";
    if hold == Some(HoldPolicy::Run) {
        report.missing(&at.key("dead_man"), &format!("{expected}: hold is \"run\""));
    } else if stages {
        report.missing(&at.key("dead_man"), &format!("{expected}: load.other_name is \"stage\""));
    } else if dataset.mode.as_ref().is_some_and(|mode| mode.0 != Mode::Observe) {
        let message = "missing, so the rule cannot be held and `upload` is refused";
        report.warn(&at.key("dead_man"), message);
    }
}
