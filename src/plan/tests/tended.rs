//! What an open hold needs next: one row a situation, each edge to the second.

use HoldStep::{Answered, Armed, Disabled, Enabled, WorkDone};
use chrono::NaiveDate;

use super::night::{World, at, blindness, export, gap, hold, rule, today};
use crate::config::HoldPolicy;
use crate::domain::{ExportStatus, RuleState, RunOutcome, Seen, Stage};
use crate::ledger::{
    Asked, Event, Hold, HoldStep, HoldWhy, Process, Repeat, StopWhy, UploadOutcome,
};
use crate::plan::{self, Step};
use crate::platform::DeadMan;

pub(super) type Steps<'a> = &'a [(HoldStep, &'a str)];

/// The key that the gap's dump is uploaded under.
pub(super) const KEY: &str = "parking/liberator_dump_20260615.zip";

/// The rule is held, and was seen disabled.
pub(super) const HELD: Steps<'static> =
    &[(Armed, "12:01:00"), (Answered, "12:01:01"), (Disabled, "12:01:02")];

fn day() -> NaiveDate {
    today()
}

pub(super) fn instant(time: &str) -> chrono::DateTime<chrono::Utc> {
    at(&format!("{}T{time}Z", day()))
}

fn switch() -> DeadMan {
    DeadMan {
        name: DeadMan::name_for("liberator"),
        group: "gapmend".to_owned(),
        rule: rule().name,
        event_bus: "default".to_owned(),
        fires_at: instant("18:00:00"),
        role_arn: "role".to_owned(),
    }
}

/// A hold that was intended at twelve for a run and lasts until five; its switch fires at six.
/// The rule is as its steps leave it, and the switch is there once it is armed.
pub(super) fn held(steps: Steps<'_>) -> World {
    let mut world = World::with_gap();
    let trigger = world.dataset.trigger.as_mut().unwrap();
    trigger.hold = HoldPolicy::Run;
    trigger.propagation = std::time::Duration::from_mins(2);
    trigger.settle = std::time::Duration::from_mins(15);
    let why = HoldWhy::Run { run: format!("liberator/{}/1", gap()) };
    let lasts = [instant("12:00:00"), instant("17:00:00")];
    let steps = steps.iter().map(|(step, time)| (*step, instant(time)));
    let hold = Hold { dead_man: Some(switch()), ..hold("liberator", why, lasts, steps) };
    let done = |step| hold.steps.contains_key(&step);
    let off = done(Disabled) && !done(Enabled);
    world.rule().state = if off { RuleState::Disabled } else { RuleState::Enabled };
    world.watch.trigger.dead_man = Some(Seen::Known(done(Armed).then(switch)));
    world.ledger.holds.insert("h".to_owned(), hold);
    world
}

/// The same for an upload whose parts were there at twelve.
pub(super) fn uploading() -> World {
    let mut world = held(HELD);
    let why = HoldWhy::Upload { date: gap(), key: KEY.to_owned() };
    world.ledger.holds.get_mut("h").unwrap().why = why;
    let intended = Event::UploadIntended {
        upload: "u".to_owned(),
        dataset: "liberator".to_owned(),
        date: gap(),
        bucket: "landing".to_owned(),
        key: KEY.to_owned(),
        size: 1,
        sha256: String::new(),
        replaces: None,
        live: false,
        asked: Asked::schedule(),
        process: Process::this(),
    };
    world.note(instant("11:00:00"), vec![intended]);
    let ready = Event::UploadReady { upload: "u".to_owned(), etags: Vec::new() };
    world.note(instant("12:00:00"), vec![ready]);
    world
}

/// The hold's run begins.
fn begins(world: &mut World, stage: Stage) {
    world.begin(instant("12:03:00"), gap(), stage);
}

/// The step that is due at a time of the day, in words.
fn due(world: &mut World, time: &str) -> String {
    world.now = instant(time);
    world.watch.at = world.now;
    let World { ledger, watch, dataset, now, .. } = &*world;
    words(plan::tend(ledger, watch, "liberator", Some(dataset), *now))
}

/// The same after the dataset left the configuration.
fn due_without_dataset(world: &World, time: &str) -> String {
    words(plan::tend(&world.ledger, &world.watch, "liberator", None, instant(time)))
}

fn words(step: Option<Step>) -> String {
    match step {
        None => "nothing".to_owned(),
        Some(Step::ArmDeadMan { .. }) => "arm".to_owned(),
        Some(Step::DisableRule { .. }) => "disable".to_owned(),
        Some(Step::EnableRule { why, .. }) => format!("enable: {why}"),
        Some(Step::DisarmDeadMan { .. }) => "disarm".to_owned(),
        Some(Step::MoveHold { step, detail, .. }) => format!("{step:?}: {detail}"),
        Some(Step::CloseHold { detail, .. }) => format!("close: {detail}"),
        Some(step) => panic!("{step:?}"),
    }
}

#[test]
fn a_hold_begins_within_five_minutes_or_is_given_up() {
    let never = "close: the rule was never disabled: it was not ours to disable any more";
    let fresh = |spoil: fn(&mut World), time: &str| {
        let mut world = held(&[]);
        spoil(&mut world);
        due(&mut world, time)
    };
    assert_eq!(fresh(|_| {}, "12:05:00"), "arm");
    assert_eq!(fresh(|_| {}, "12:05:01"), never);
    assert_eq!(fresh(|world| world.rule().state = RuleState::Disabled, "12:00:01"), never);
    let unseen = |world: &mut World| world.watch.rule = Some(Seen::Blind(vec![blindness()]));
    assert_eq!(fresh(unseen, "12:05:00"), "nothing");
    assert_eq!(fresh(unseen, "12:05:01"), never);
    let armed = |world: &mut World| {
        world.watch.trigger.dead_man = Some(Seen::Known(Some(switch())));
    };
    assert_eq!(fresh(armed, "12:00:01"), "disable");
    assert_eq!(fresh(armed, "12:05:01"), "disarm");
    let left_over = |world: &mut World| {
        let old = DeadMan { fires_at: instant("11:00:00"), ..switch() };
        world.watch.trigger.dead_man = Some(Seen::Known(Some(old)));
    };
    assert_eq!(fresh(left_over, "12:00:01"), "disarm");
    let blind = |world: &mut World| {
        world.watch.trigger.dead_man = Some(Seen::Blind(vec![blindness()]));
    };
    assert_eq!(fresh(blind, "12:00:01"), "nothing");
    let accepted = |world: &mut World| world.ledger.holds.get_mut("h").unwrap().dead_man = None;
    assert_eq!(fresh(accepted, "12:00:01"), "disable");
    assert_eq!(due_without_dataset(&held(&[]), "12:00:01"), never);
}

#[test]
fn a_disabling_is_repeated_until_it_is_answered_and_for_five_minutes() {
    let armed: Steps<'_> = &[(Armed, "12:01:00")];
    let answered: Steps<'_> = &[(Armed, "12:01:00"), (Answered, "12:01:01")];
    let never_seen = "enable: it was never seen disabled";
    assert_eq!(due(&mut held(armed), "12:06:00"), "disable");
    assert_eq!(due(&mut held(armed), "12:06:01"), never_seen);
    assert_eq!(due(&mut held(answered), "12:06:00"), "nothing");
    assert_eq!(due(&mut held(answered), "12:06:01"), never_seen);
    let mut off = held(armed);
    off.rule().state = RuleState::Disabled;
    assert_eq!(due(&mut off, "12:01:01"), "Disabled: the rule was seen disabled");
    let mut unguarded = held(armed);
    unguarded.watch.trigger.dead_man = Some(Seen::Known(None));
    assert_eq!(due(&mut unguarded, "12:01:01"), never_seen, "nobody else would enable it");
    unguarded.ledger.holds.get_mut("h").unwrap().dead_man = None;
    assert_eq!(due(&mut unguarded, "12:01:01"), "disable", "it was agreed that nobody would");
    let mut short = held(armed);
    short.ledger.holds.get_mut("h").unwrap().until = instant("12:02:00");
    assert_eq!(due(&mut short, "12:01:59"), "disable");
    assert_eq!(due(&mut short, "12:02:00"), never_seen);
    let mut unseen = held(armed);
    unseen.watch.rule = Some(Seen::Blind(vec![blindness()]));
    assert_eq!(due(&mut unseen, "16:59:59"), "nothing");
    assert_eq!(due(&mut unseen, "17:00:00"), "enable: the hold is over");
}

#[test]
fn a_run_that_does_not_begin_gives_its_hold_up() {
    // Two minutes to be felt, and ten more.
    assert_eq!(due(&mut held(HELD), "12:13:02"), "nothing");
    assert_eq!(due(&mut held(HELD), "12:13:03"), "WorkDone: the work was not done in time");
    let mut enabled = held(HELD);
    enabled.rule().state = RuleState::Enabled;
    let why = "enable: somebody else enabled it";
    assert_eq!(due(&mut enabled, "12:01:03"), why);
    let gone = "WorkDone: the dataset is no longer in the configuration";
    assert_eq!(due_without_dataset(&held(HELD), "12:01:03"), gone);
}

#[test]
fn a_load_is_held_for_until_our_export_exists() {
    let in_stage = |stage: Stage| {
        let mut world = held(HELD);
        begins(&mut world, stage);
        due(&mut world, "14:00:00")
    };
    assert_eq!(in_stage(Stage::Load), "nothing");
    assert_eq!(in_stage(Stage::Snapshot), "nothing");
    assert_eq!(in_stage(Stage::Export), "nothing");
    assert_eq!(in_stage(Stage::Publish), "WorkDone: the load is through");
    let mut without_export = held(HELD);
    without_export.dataset.export = None;
    begins(&mut without_export, Stage::Snapshot);
    assert_eq!(due(&mut without_export, "14:00:00"), "WorkDone: the load is through");
    let mut exported = held(HELD);
    begins(&mut exported, Stage::Snapshot);
    exported.watch.trigger.our_export = Some(Seen::Known(None));
    assert_eq!(due(&mut exported, "14:00:00"), "nothing");
    exported.watch.trigger.our_export = Some(Seen::Known(Some(export(ExportStatus::Starting))));
    assert_eq!(due(&mut exported, "14:00:00"), "WorkDone: our export task exists");
    let mut over = held(HELD);
    begins(&mut over, Stage::Load);
    over.end(instant("13:00:00"), RunOutcome::Failed, Repeat::FromTheTop);
    assert_eq!(due(&mut over, "14:00:00"), "WorkDone: the run is over");
}

#[test]
fn a_rule_that_others_enable_in_a_load_is_let_go_and_never_taken_again() {
    let mut world = held(HELD);
    begins(&mut world, Stage::Load);
    world.rule().state = RuleState::Enabled;
    assert_eq!(due(&mut world, "14:00:00"), "enable: somebody else enabled it");
}

#[test]
fn the_rule_is_released_when_what_we_wrote_has_settled() {
    let done = &[HELD, &[(WorkDone, "14:00:00")]].concat();
    let settled = "enable: what needed it is done, and its events have settled";
    let mut ran = held(done);
    begins(&mut ran, Stage::Publish);
    assert_eq!(due(&mut ran, "14:14:59"), "nothing");
    assert_eq!(due(&mut ran, "14:15:00"), settled);
    assert_eq!(due(&mut held(done), "14:00:00"), settled, "nothing of ours was written");
    let mut gone = held(done);
    begins(&mut gone, Stage::Publish);
    assert_eq!(due_without_dataset(&gone, "14:14:59"), "nothing", "fifteen minutes by default");
    assert_eq!(due_without_dataset(&gone, "14:15:00"), settled);
}

#[test]
fn a_hold_outlasts_its_end_only_to_stop_our_own_load_first() {
    let over = "enable: the hold may not last longer";
    let mut loads = held(HELD);
    begins(&mut loads, Stage::Load);
    assert_eq!(due(&mut loads, "16:59:59"), "nothing");
    assert_eq!(due(&mut loads, "17:02:00"), "nothing", "the stop is asked for first");
    assert_eq!(due(&mut loads, "17:02:01"), over, "and not waited for for ever");
    let stop = Event::StopIntended {
        run: format!("liberator/{}/1", gap()),
        task_arn: "arn".to_owned(),
        why: StopWhy::HoldTooLong,
        detail: String::new(),
    };
    loads.note(instant("17:00:00"), vec![stop]);
    assert_eq!(due(&mut loads, "17:00:01"), over);
    let mut loaded = held(HELD);
    begins(&mut loaded, Stage::Snapshot);
    assert_eq!(due(&mut loaded, "16:59:59"), "nothing");
    assert_eq!(due(&mut loaded, "17:00:00"), over);
    let mut unseen = held(HELD);
    begins(&mut unseen, Stage::Snapshot);
    unseen.watch.rule = Some(Seen::Blind(vec![blindness()]));
    assert_eq!(due(&mut unseen, "17:00:00"), over, "whatever the rule is read as");
}

#[test]
fn a_switch_that_is_gone_has_worked_only_if_the_rule_is_enabled() {
    let gone = |state: RuleState, time: &str| {
        let mut world = held(&[HELD, &[(WorkDone, "16:59:00")]].concat());
        world.rule().state = state;
        world.watch.trigger.dead_man = Some(Seen::Known(None));
        due(&mut world, time)
    };
    let released = "Enabled: the dead man's switch has fired";
    assert_eq!(gone(RuleState::Enabled, "18:00:00"), released);
    let ours = "enable: the hold may not last longer";
    assert_eq!(gone(RuleState::Disabled, "18:00:00"), ours, "it was deleted, or may not enable");
    assert_eq!(gone(RuleState::Disabled, "23:00:00"), ours);
}

#[test]
fn a_released_hold_is_disarmed_looked_after_and_closed_with_its_story() {
    let released = |steps: Steps<'_>| {
        let mut world = held(&[HELD, steps].concat());
        assert_eq!(due(&mut world, "14:16:00"), "disarm");
        world.watch.trigger.dead_man = Some(Seen::Known(None));
        world.watch.trigger.landed = Some(Seen::Known(Vec::new()));
        world.watch.trigger.live_tasks = Some(Seen::Known(Vec::new()));
        world
    };
    let ours = &[(WorkDone, "14:00:00"), (Enabled, "14:15:00")];
    assert_eq!(due(&mut released(ours), "14:29:59"), "nothing", "what landed may yet fire");
    let by_us = "close: the rule was enabled by gapmend";
    assert_eq!(due(&mut released(ours), "14:30:00"), by_us);
    let theirs = &[(Enabled, "14:15:00")];
    let by_others = "close: the rule was enabled by somebody else";
    assert_eq!(due(&mut released(theirs), "14:30:00"), by_others);
    assert_eq!(due(&mut released(&[(Enabled, "16:59:59")]), "17:30:00"), by_others);
    assert_eq!(due(&mut released(&[(Enabled, "17:00:00")]), "17:30:00"), by_us, "it was over");
    let mut blind = released(ours);
    blind.watch.trigger.dead_man = Some(Seen::Blind(vec![blindness()]));
    assert_eq!(due(&mut blind, "14:30:00"), "nothing");
    let gone = format!("{by_us}; the dataset is gone, no sweep");
    assert_eq!(due_without_dataset(&released(ours), "14:15:01"), gone);
    let mut untriggered = released(ours);
    untriggered.dataset.trigger = None;
    assert_eq!(due(&mut untriggered, "14:15:01"), gone);
    let fired = "close: the rule is enabled; the dead man's switch had fired by then";
    assert_eq!(due(&mut released(&[(Enabled, "18:00:00")]), "18:30:00"), fired);
    assert_eq!(due(&mut released(&[(Enabled, "17:59:59")]), "18:30:00"), by_us);
    let mut again = released(&[(Enabled, "18:00:00")]);
    again.rule().state = RuleState::Disabled;
    let theirs =
        "close: the dead man's switch had fired; the rule is disabled again, and not by gapmend";
    assert_eq!(due(&mut again, "18:30:00"), theirs);
    let mut never = released(ours);
    never.ledger.holds.get_mut("h").unwrap().steps.remove(&Disabled);
    assert_eq!(due(&mut never, "14:30:00"), "close: the rule was never seen disabled");
}

#[test]
fn a_hold_for_an_upload_settles_once_its_object_was_asked_for() {
    let upload = |ends: bool, writes: bool| {
        let mut world = uploading();
        let named = || "u".to_owned();
        if writes {
            world.note(instant("12:04:00"), vec![Event::UploadWriting { upload: named() }]);
        }
        if ends {
            let (outcome, detail) = (UploadOutcome::Written, String::new());
            let ended = Event::UploadEnded { upload: named(), outcome, detail };
            world.note(instant("12:05:00"), vec![ended]);
        }
        world
    };
    assert_eq!(due(&mut upload(false, true), "12:06:00"), "nothing");
    assert_eq!(due(&mut upload(true, true), "12:06:00"), "WorkDone: the upload is over");
    let settled = "enable: what needed it is done, and its events have settled";
    let release = |writes: bool, time: &str| {
        let mut world = upload(true, writes);
        let done = (WorkDone, instant("12:06:00"));
        world.ledger.holds.get_mut("h").unwrap().steps.extend([done]);
        due(&mut world, time)
    };
    assert_eq!(release(false, "12:06:00"), settled, "nothing was written");
    assert_eq!(release(true, "12:20:59"), "nothing");
    assert_eq!(release(true, "12:21:00"), settled);
    let mut enabled = upload(true, true);
    enabled.rule().state = RuleState::Enabled;
    let done = (WorkDone, instant("12:06:00"));
    enabled.ledger.holds.get_mut("h").unwrap().steps.extend([done]);
    let old = instant("12:06:30");
    enabled.ledger.holds.get_mut("h").unwrap().steps.insert(Disabled, old);
    assert_eq!(due(&mut enabled, "12:07:00"), "nothing", "it may be an old reading");
    assert_eq!(due(&mut enabled, "12:07:31"), "enable: somebody else enabled it");
}
