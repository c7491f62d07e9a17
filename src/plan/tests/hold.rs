//! When the trigger may be held, and what proves an old hold ours.

use chrono::{DateTime, Duration, Utc};

use super::night::{World, at, today};
use crate::config::{DeadManSettings, HoldPolicy, TriggerSettings};
use crate::domain::{RuleState, Seen};
use crate::plan::{Rest, Step, hold};
use crate::platform::DeadMan;

const RULE: &str = "liberator-to-rds-snapshot-event";

fn trigger(world: &mut World) -> &mut TriggerSettings {
    world.dataset.trigger.as_mut().unwrap()
}

/// A night with a gap, whose run would hold the rule for five hours at most.
fn holding() -> World {
    let mut world = World::with_gap();
    let settings = trigger(&mut world);
    settings.hold = HoldPolicy::Run;
    settings.max_hold = std::time::Duration::from_hours(5);
    settings.propagation = std::time::Duration::from_mins(2);
    settings.settle = std::time::Duration::from_mins(15);
    settings.dead_man = Some(DeadManSettings::Schedule {
        group: "gapmend".to_owned(),
        role_arn: "arn:aws:iam::111122223333:role/dead-man".to_owned(),
        after: std::time::Duration::from_hours(6),
    });
    world.dataset.load.expected = std::time::Duration::from_hours(2);
    world.watch.trigger.clock_skew = Some(Seen::Known(Some(Duration::zero())));
    world
}

/// Until when the hold that is planned at that time would last, and when its switch would fire;
/// or why there is none.
fn planned(world: &mut World, when: &str) -> Result<(DateTime<Utc>, DateTime<Utc>), Rest> {
    world.now = at(when);
    world.watch.at = world.now;
    let step = world.plan().step?;
    let Step::Hold(plan) = step else { panic!("{step:?}") };
    Ok((plan.until, plan.dead_man.unwrap().fires_at))
}

#[test]
fn a_hold_ends_half_an_hour_before_the_live_dump_whatever_its_length() {
    let mut world = holding();
    let early = planned(&mut world, "2026-06-30T12:00:00Z").unwrap();
    assert_eq!(early, (at("2026-06-30T17:00:00Z"), at("2026-06-30T18:00:00Z")));
    let late = planned(&mut world, "2026-06-30T18:00:00Z").unwrap();
    assert_eq!(late, (at("2026-06-30T22:05:00Z"), at("2026-06-30T22:05:00Z")));
}

/// A load of two hours, twenty minutes for its snapshot, two to be felt, fifteen to settle.
#[test]
fn a_hold_that_would_not_be_over_by_then_is_not_begun() {
    let mut world = holding();
    assert!(planned(&mut world, "2026-06-30T19:28:00Z").is_ok(), "two hours and 37 minutes");
    let arrival = at("2026-06-30T22:35:00Z");
    let refused = planned(&mut world, "2026-06-30T19:28:01Z").unwrap_err();
    assert_eq!(refused, Rest::LiveDumpDue { arrival });
}

#[test]
fn a_clock_that_is_off_by_more_than_a_minute_holds_nothing() {
    for (seconds, holds) in [(60, true), (-60, true), (61, false), (-61, false)] {
        let mut world = holding();
        let skew = Duration::seconds(seconds);
        world.watch.trigger.clock_skew = Some(Seen::Known(Some(skew)));
        let planned = planned(&mut world, "2026-06-30T12:00:00Z");
        assert_eq!(planned.is_ok(), holds, "{seconds}: {planned:?}");
    }
}

#[test]
fn a_switch_proves_a_hold_of_its_own_rule_while_that_is_disabled() {
    let proves = |rule: &str, event_bus: &str, state: RuleState| {
        let mut world = World::whole();
        trigger(&mut world).event_bus = "default".to_owned();
        world.rule().state = state;
        world.watch.trigger.dead_man = Some(Seen::Known(Some(DeadMan {
            name: DeadMan::name_for("liberator"),
            group: "gapmend".to_owned(),
            rule: rule.to_owned(),
            event_bus: event_bus.to_owned(),
            fires_at: today().and_hms_opt(18, 0, 0).unwrap().and_utc(),
            role_arn: "role".to_owned(),
        })));
        let World { ledger, watch, dataset, now, .. } = &world;
        let step = hold::tend(ledger, watch, "liberator", Some(dataset), *now);
        matches!(step, Some(Step::ReleaseProven { .. }))
    };
    assert!(proves(RULE, "default", RuleState::Disabled));
    assert!(!proves(RULE, "default", RuleState::Enabled));
    assert!(!proves("another", "default", RuleState::Disabled));
    assert!(!proves(RULE, "another", RuleState::Disabled));
}
