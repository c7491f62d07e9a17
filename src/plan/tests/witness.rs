//! What may be done under a hold, and when: a load, and a write of ours.

use chrono::{DateTime, NaiveDate, Utc};

use super::night::{World, at, blindness, dump, gap, today};
use super::tended::{HELD, KEY, held, instant, uploading};
use crate::config::{HoldPolicy, Mode, OtherName};
use crate::domain::{Dump, RuleState, Seen};
use crate::ledger::{HoldStep, HoldWhy, Repeat, UploadOutcome};
use crate::plan::{Rest, Step, serve_upload, would_hold};

/// The step of a plan at that time, in one word.
fn planned(world: &mut World, time: &str) -> String {
    world.now = instant(time);
    world.watch.at = world.now;
    match world.plan().step {
        Ok(Step::Begin(_)) => "begins".to_owned(),
        Ok(Step::Hold(_)) => "holds".to_owned(),
        Ok(Step::StageDump { .. }) => "copies".to_owned(),
        Ok(Step::MoveHold { step, .. }) => format!("{step:?}"),
        Ok(step) => panic!("{step:?}"),
        Err(rest) => rest.label().to_owned(),
    }
}

#[test]
fn a_load_begins_under_its_own_hold_once_that_is_felt() {
    // Disabled at 12:01:02, and felt two minutes later.
    assert_eq!(planned(&mut held(HELD), "12:03:01"), "holding");
    assert_eq!(planned(&mut held(HELD), "12:03:02"), "begins");
    let mut world = held(&HELD[..2]);
    assert_eq!(planned(&mut world, "12:03:02"), "holding", "it was never seen disabled");
    let mut enabled = held(HELD);
    enabled.rule().state = RuleState::Enabled;
    assert_eq!(planned(&mut enabled, "12:03:02"), "holding");
    let mut unsurveyed = held(HELD);
    unsurveyed.watch.traffic = None;
    assert_eq!(planned(&mut unsurveyed, "12:03:01"), "holding", "it is too early to look closer");
    let mut given_up = held(&[HELD, &[(HoldStep::WorkDone, "12:02:00")]].concat());
    assert_eq!(planned(&mut given_up, "12:03:02"), "holding");
    let mut others = held(HELD);
    let why = HoldWhy::Run { run: "liberator/2026-06-14/1".to_owned() };
    others.ledger.holds.get_mut("h").unwrap().why = why;
    assert_eq!(planned(&mut others, "12:03:02"), "holding", "another run's hold");
}

#[test]
fn a_load_without_a_hold_begins_one_or_needs_none() {
    let without = |spoil: fn(&mut World)| {
        let mut world = held(HELD);
        world.ledger.holds.clear();
        world.rule().state = RuleState::Enabled;
        world.may_hold();
        spoil(&mut world);
        planned(&mut world, "12:03:02")
    };
    assert_eq!(without(|_| {}), "holds");
    let never = |world: &mut World| {
        world.dataset.trigger.as_mut().unwrap().hold = HoldPolicy::Never;
    };
    assert_eq!(without(never), "begins");
    let ignored = |world: &mut World| {
        world.rule().state = RuleState::Disabled;
        world.dataset.trigger.as_mut().unwrap().ignore_disabled = true;
    };
    assert_eq!(without(ignored), "begins", "somebody else keeps the live run away already");
    let enabled = |world: &mut World| {
        world.dataset.trigger.as_mut().unwrap().ignore_disabled = true;
    };
    assert_eq!(without(enabled), "holds");
}

#[test]
fn a_hold_whose_run_will_not_begin_is_given_up() {
    let mut observing = held(HELD);
    observing.dataset.mode = Mode::Observe;
    assert_eq!(planned(&mut observing, "12:03:02"), "WorkDone");
    let mut with_a_past = held(HELD);
    with_a_past.fail(instant("01:00:00"), "2026-06-11".parse().unwrap(), Repeat::FromTheTop);
    with_a_past.dataset.mode = Mode::Observe;
    assert_eq!(planned(&mut with_a_past, "12:03:02"), "WorkDone", "that was another run");
    let mut armed = held(&HELD[..2]);
    armed.dataset.mode = Mode::Observe;
    assert_eq!(planned(&mut armed, "12:03:02"), "holding", "its disabling comes first");
    let mut blind = held(HELD);
    blind.blind = true;
    assert_eq!(planned(&mut blind, "12:03:02"), "blind", "it may begin yet");
    let done = &[HELD, &[(HoldStep::WorkDone, "12:02:00")]].concat();
    let mut given_up = held(done);
    given_up.dataset.mode = Mode::Observe;
    assert_eq!(planned(&mut given_up, "12:03:02"), "holding");
}

fn served(world: &World, now: DateTime<Utc>) -> String {
    let World { ledger, watch, dataset, landing, .. } = world;
    let landing = Seen::Known(landing.clone());
    match serve_upload(ledger, watch, Some(&landing), dataset, false, now) {
        None => "nothing".to_owned(),
        Some(Ok(Step::WriteUpload { .. })) => "writes".to_owned(),
        Some(Ok(Step::Hold(_))) => "holds".to_owned(),
        Some(Ok(Step::EndUpload { outcome: UploadOutcome::Failed, detail, .. })) => detail,
        Some(Ok(step)) => panic!("{step:?}"),
        Some(Err(rest)) => rest.label().to_owned(),
    }
}

#[test]
fn an_object_is_made_under_its_own_hold_while_its_event_can_settle_in_it() {
    assert_eq!(served(&uploading(), instant("12:03:01")), "holding");
    assert_eq!(served(&uploading(), instant("12:03:02")), "writes");
    // The hold lasts until five, and an event settles in fifteen minutes.
    assert_eq!(served(&uploading(), instant("16:45:00")), "writes");
    assert_eq!(served(&uploading(), instant("16:45:01")), "hold_refused");
    let mut others = uploading();
    let why = HoldWhy::Run { run: "liberator/2026-06-14/1".to_owned() };
    others.ledger.holds.get_mut("h").unwrap().why = why;
    assert_eq!(served(&others, instant("12:03:02")), "holding");
    let mut observing = uploading();
    observing.dataset.mode = Mode::Observe;
    let refused = "mode is observe: nothing is changed";
    assert_eq!(served(&observing, instant("12:03:02")), refused);
}

#[test]
fn an_upload_is_not_tried_for_ever() {
    let between_holds_of = |holds: u32, state: RuleState, now: DateTime<Utc>| {
        let mut world = uploading();
        world.ledger.uploads[0].holds = holds;
        world.ledger.holds.clear();
        world.rule().state = state;
        world.may_hold();
        served(&world, now)
    };
    let between_holds =
        |holds: u32, now: DateTime<Utc>| between_holds_of(holds, RuleState::Enabled, now);
    let off = between_holds_of(0, RuleState::Disabled, instant("14:00:00"));
    assert!(off.starts_with("the trigger may not be held: "), "{off}");
    assert_eq!(between_holds(2, instant("14:00:00")), "holds");
    assert_eq!(between_holds(3, instant("14:00:00")), "not written under 3 holds");
    let a_day_later = at("2026-07-01T12:00:00Z");
    assert_eq!(between_holds(0, a_day_later), "holds");
    let late = "it could not be written within a day";
    assert_eq!(between_holds(0, a_day_later + chrono::Duration::seconds(1)), late);
}

#[test]
fn parts_that_nobody_completes_are_given_up() {
    let unready = |date: NaiveDate, time: &str, gone: bool| {
        let mut world = uploading();
        world.ledger.holds.clear();
        world.ledger.uploads[0].ready = None;
        let now = at(&format!("{date}T{time}Z"));
        let World { ledger, watch, dataset, .. } = &world;
        match serve_upload(ledger, watch, None, dataset, gone, now) {
            None => false,
            Some(Ok(Step::EndUpload { outcome: UploadOutcome::Cancelled, .. })) => true,
            Some(step) => panic!("{step:?}"),
        }
    };
    let tomorrow = "2026-07-01".parse().unwrap();
    assert!(!unready(tomorrow, "11:00:00", false));
    assert!(unready(tomorrow, "11:00:01", false));
    assert!(unready(today(), "11:00:01", true), "its sender died");
}

#[test]
fn whether_an_upload_could_hold_is_told_before_anything_is_sent() {
    let could = |spoil: fn(&mut World)| {
        let mut world = World::whole();
        world.dataset.trigger.as_mut().unwrap().hold = HoldPolicy::Upload;
        world.may_hold();
        spoil(&mut world);
        let World { ledger, watch, landing, dataset, now, .. } = &world;
        would_hold(ledger, watch, landing, dataset, *now).map_err(|rest: Rest| rest.label())
    };
    assert_eq!(could(|_| {}), Ok(()));
    assert_eq!(could(|world| world.rule().state = RuleState::Disabled), Err("hold_refused"));
    assert_eq!(could(|world| world.dataset.trigger = None), Err("hold_refused"));
    let unseen = |world: &mut World| world.watch.tasks = Seen::Blind(vec![blindness()]);
    assert_eq!(could(unseen), Err("blind"));
    let held = |world: &mut World| world.ledger.holds = held(HELD).ledger.holds;
    assert_eq!(could(held), Err("holding"));
}

/// Any write to the bucket fires the rule (H12), so a copy needs a hold of its own.
#[test]
fn a_dump_under_another_name_is_copied_under_its_own_hold_only() {
    let under = |date: NaiveDate, key: &str| {
        let mut world = held(HELD);
        world.dataset.load.other_name = OtherName::Stage;
        let other = Dump { key: "parking/another_name.zip".to_owned(), ..dump(gap()) };
        world.dumps().insert(gap(), vec![other].into());
        let why = HoldWhy::Upload { date, key: key.to_owned() };
        world.ledger.holds.get_mut("h").unwrap().why = why;
        planned(&mut world, "12:03:02")
    };
    assert_eq!(under(gap(), KEY), "copies");
    let next = gap() + chrono::Duration::days(1);
    assert_eq!(under(next, KEY), "holding");
    assert_eq!(under(gap(), "parking/third_name.zip"), "holding");
}
