//! What landed in a hold and fired nothing: what is swept, what is driven, what is too late.

use HoldStep::{Enabled, WorkDone};
use chrono::{DateTime, Duration, Utc};

use super::night::{
    BACKDATED, World, at, blindness, dump, export, gap, live_task, snapshot, task, task_request,
    today,
};
use super::tended::{HELD, KEY, held, instant};
use crate::domain::{
    Blindness, Dump, ErrorClass, Export, ExportStatus, RuleState, Seen, Stage, Task, TaskState,
};
use crate::ledger::{Event, HoldStep, HoldWhy};
use crate::observe::RunView;
use crate::plan::{self, Step, rescue_until};

/// The rule was disabled at twelve, and enabled again at two; nothing landed yet.
fn released() -> World {
    let mut world = held(&[HELD, &[(WorkDone, "13:45:00"), (Enabled, "14:00:00")]].concat());
    world.watch.trigger.dead_man = Some(Seen::Known(None));
    world.watch.trigger.landed = Some(Seen::Known(Vec::new()));
    world.watch.trigger.live_tasks = Some(Seen::Known(Vec::new()));
    world
}

fn todays(last_modified: DateTime<Utc>) -> Dump {
    Dump { last_modified, ..dump(today()) }
}

/// Today's dump lands.
fn lands(world: &mut World, when: DateTime<Utc>) {
    world.watch.trigger.landed = Some(Seen::Known(vec![(today(), todays(when))]));
}

fn tend(world: &mut World, now: DateTime<Utc>) -> Option<Step> {
    world.now = now;
    world.watch.at = now;
    let World { ledger, watch, dataset, now, .. } = &*world;
    plan::tend(ledger, watch, "liberator", Some(dataset), *now)
}

/// What is swept when the hold closes, and whether it is too late to drive; `None` while it
/// stays open.
fn swept(world: &mut World, now: DateTime<Utc>) -> Option<Vec<bool>> {
    let step = tend(world, now)?;
    let Step::CloseHold { swept, .. } = step else { panic!("{step:?}") };
    Some(swept.iter().map(|dump| dump.missed).collect())
}

#[test]
fn what_landed_in_the_hold_or_at_its_edges_is_swept() {
    let found = |landed: &str| {
        let mut world = released();
        lands(&mut world, instant(landed));
        swept(&mut world, instant("15:00:00")).unwrap().len()
    };
    assert_eq!(found("13:00:00"), 1);
    assert_eq!(found("11:30:00"), 1, "its event may have come half an hour late");
    assert_eq!(found("11:29:59"), 0);
    assert_eq!(found("14:05:00"), 1, "the rule may have felt it later");
    assert_eq!(found("14:05:01"), 0);
}

#[test]
fn the_switch_ended_the_hold_when_it_fired_before_we_came() {
    let found = |landed: &str| {
        let mut world = held(&[HELD, &[(Enabled, "20:00:00")]].concat());
        world.watch.trigger.dead_man = Some(Seen::Known(None));
        world.watch.trigger.live_tasks = Some(Seen::Known(Vec::new()));
        lands(&mut world, instant(landed));
        swept(&mut world, instant("20:30:00")).unwrap().len()
    };
    assert_eq!(found("18:05:00"), 1);
    assert_eq!(found("18:05:01"), 0, "it fired the rule by itself");
}

#[test]
fn a_dump_whose_event_may_still_come_is_waited_for() {
    let mut world = released();
    lands(&mut world, instant("13:50:00"));
    assert_eq!(swept(&mut world, instant("14:19:59")), None);
    assert_eq!(swept(&mut world, instant("14:20:00")), Some(vec![false]), "twice settle");
}

#[test]
fn a_dump_of_another_day_is_not_live_and_yesterdays_is_missed() {
    let mut world = released();
    let old = Dump { last_modified: instant("13:00:00"), ..dump(gap()) };
    world.watch.trigger.landed = Some(Seen::Known(vec![(gap(), old)]));
    assert_eq!(swept(&mut world, instant("15:00:00")), Some(vec![]));
    lands(&mut world, instant("13:00:00"));
    assert_eq!(swept(&mut world, at("2026-07-01T00:00:00Z")), Some(vec![true]));
}

#[test]
fn what_cannot_be_seen_is_waited_for_a_day_and_what_may_not_be_seen_is_not() {
    let closes = |class: ErrorClass, now: DateTime<Utc>| {
        let mut world = released();
        let cause = Blindness { class, ..blindness() };
        world.watch.trigger.landed = Some(Seen::Blind(vec![cause]));
        swept(&mut world, now)
    };
    let a_day_later = at("2026-07-01T14:00:00Z");
    assert_eq!(closes(ErrorClass::Throttled, a_day_later), None);
    assert_eq!(closes(ErrorClass::Throttled, a_day_later + Duration::seconds(1)), Some(vec![]));
    assert_eq!(closes(ErrorClass::Denied, instant("15:00:00")), Some(vec![]));
}

#[test]
fn a_dump_that_had_its_run_is_not_swept() {
    let began = |at: &str| Task { created_at: Some(instant(at)), ..live_task() };
    let stopped = |world: &mut World, at: &str| {
        let task = Task { state: TaskState::Stopped, ..began(at) };
        world.watch.trigger.live_tasks = Some(Seen::Known(vec![task]));
    };
    let mut world = released();
    lands(&mut world, instant("13:00:00"));
    stopped(&mut world, "13:00:00");
    assert_eq!(swept(&mut world, instant("14:20:00")), Some(vec![]));
    stopped(&mut world, "12:59:59");
    assert_eq!(swept(&mut world, instant("14:20:00")), Some(vec![false]), "an older one");
    // A live run that somebody else started counts as well; a backdated one does not.
    let mut world = released();
    lands(&mut world, instant("13:00:00"));
    let by_hand = Task { started_by: None, ..began("13:30:00") };
    world.watch.tasks = Seen::Known(vec![by_hand.clone()]);
    assert_eq!(swept(&mut world, instant("14:20:00")), Some(vec![]));
    let backdated = Task { date_override: Some("2026-06-15".to_owned()), ..by_hand };
    world.watch.tasks = Seen::Known(vec![backdated]);
    assert_eq!(swept(&mut world, instant("14:20:00")), Some(vec![false]));
}

#[test]
fn a_run_whose_task_is_forgotten_is_known_by_its_snapshot() {
    let found = |id: &str, created_at: &str, now: &str| {
        let mut world = released();
        lands(&mut world, instant("13:30:00"));
        let left = snapshot(id, "available", instant(created_at));
        world.watch.trigger.snapshots = Some(Seen::Known(vec![left]));
        swept(&mut world, instant(now)).unwrap().len()
    };
    let live = "sql-to-parquet-2026-06-30-134500";
    assert_eq!(found(live, "13:45:00", "14:24:59"), 1, "its task would be seen yet");
    assert_eq!(found(live, "13:45:00", "14:25:00"), 0);
    assert_eq!(found(live, "13:30:00", "14:25:00"), 0);
    assert_eq!(found(live, "13:29:59", "14:25:00"), 1, "an older one");
    assert_eq!(found(BACKDATED, "13:45:00", "14:25:00"), 1);
}

#[test]
fn an_upload_tells_whom_its_own_write_fired() {
    let uploaded = || {
        let mut world = released();
        let hold = world.ledger.holds.get_mut("h").unwrap();
        hold.why = HoldWhy::Upload { date: gap(), key: KEY.to_owned() };
        world
    };
    let fired = |created_at: &str, explained_by: Option<&str>| {
        let mut world = uploaded();
        let began = Task { created_at: Some(instant(created_at)), ..live_task() };
        world.watch.trigger.live_tasks = Some(Seen::Known(vec![began]));
        if let Some(landed) = explained_by {
            lands(&mut world, instant(landed));
        }
        match tend(&mut world, instant("15:00:00")) {
            Some(Step::CloseHold { fired, .. }) => fired.len(),
            step => panic!("{step:?}"),
        }
    };
    // Without an upload of ours it is the disabling, at 12:01:02, from which is counted.
    assert_eq!(fired("12:01:02", None), 1);
    assert_eq!(fired("12:01:01", None), 0, "before our write");
    assert_eq!(fired("13:00:00", Some("13:00:00")), 0, "somebody else's dump explains it");
    assert_eq!(fired("13:00:00", Some("12:30:00")), 0, "whose event was half an hour late");
    assert_eq!(fired("13:00:00", Some("12:29:59")), 1);
    assert_eq!(fired("13:00:00", Some("13:00:01")), 1, "it landed later");
    let mut world = uploaded();
    let ours = Dump { key: KEY.to_owned(), last_modified: instant("12:59:00"), ..dump(gap()) };
    world.watch.trigger.landed = Some(Seen::Known(vec![(gap(), ours)]));
    let began = Task { created_at: Some(instant("13:00:00")), ..live_task() };
    world.watch.trigger.live_tasks = Some(Seen::Known(vec![began]));
    let step = tend(&mut world, instant("15:00:00"));
    let Some(Step::CloseHold { fired, .. }) = step else { panic!("{step:?}") };
    assert_eq!(fired.len(), 1, "our own object is no excuse");
}

/// Today's dump was swept and is to be driven.
fn undriven() -> World {
    let mut world = World::whole();
    world.sweep(instant("13:00:00"), false);
    world
}

#[test]
fn a_swept_dump_is_driven_on_its_day_when_nothing_is_in_the_way() {
    let now = instant("14:00:00");
    let drives = |world: &mut World, now: DateTime<Utc>| match tend(world, now) {
        Some(Step::DriveLive { task, .. }) => Some(task),
        None => None,
        step => panic!("{step:?}"),
    };
    let task_of = drives(&mut undriven(), now).unwrap();
    assert!(task_of.environment.is_empty(), "as the rule's target would");
    assert_eq!(task_of.started_by, "gapmend/live/2026-06-30");
    assert!(task_of.client_token.len() <= 64 && task_of.client_token.starts_with("gapmend-live-"));
    let late = tend(&mut undriven(), at("2026-07-01T00:00:00Z"));
    assert!(matches!(late, Some(Step::MissLiveDump { .. })), "{late:?}");

    let mut busy = undriven();
    busy.watch.tasks = Seen::Known(vec![live_task()]);
    assert_eq!(drives(&mut busy, now), None);
    let over = task("arn/over", "somebody", TaskState::Stopped);
    busy.watch.tasks = Seen::Known(vec![over]);
    assert!(drives(&mut busy, now).is_some());
    busy.watch.tasks = Seen::Blind(vec![blindness()]);
    assert_eq!(drives(&mut busy, now), None);

    let mut odd = undriven();
    odd.rule().targets[0].task_count = Some(2);
    assert_eq!(drives(&mut odd, now), None);

    let mut asked = undriven();
    let (dataset, date) = ("liberator".to_owned(), today());
    let intent = Event::LiveDriveIntended { dataset, date, task: task_request("live") };
    asked.note(instant("13:01:00"), vec![intent]);
    asked.watch.tasks = Seen::Known(vec![live_task()]);
    assert_eq!(drives(&mut asked, now), Some(task_request("live")), "the same request again");
}

#[test]
fn a_live_run_is_not_driven_between_our_load_and_its_export() {
    let drives = |stage: Stage, exported: bool| {
        let mut world = undriven();
        world.begin(instant("12:00:00"), gap(), stage);
        let export = exported.then(|| export(ExportStatus::InProgress));
        world.watch.run = Some(Seen::Known(RunView { export, ..RunView::default() }));
        tend(&mut world, instant("14:00:00")).is_some()
    };
    assert!(!drives(Stage::Load, false) && !drives(Stage::Load, true));
    assert!(!drives(Stage::Snapshot, false) && drives(Stage::Snapshot, true));
    assert!(!drives(Stage::Export, false) && drives(Stage::Export, true));
    assert!(drives(Stage::Publish, false));
}

#[test]
fn todays_dump_can_be_rescued_until_midnight_when_it_fired_nothing() {
    let until = |world: &World| {
        rescue_until(&world.ledger, &world.watch, &world.dataset, instant("14:00:00"))
    };
    let midnight = Some(at("2026-07-01T00:00:00Z"));
    assert_eq!(until(&undriven()), midnight);
    let tomorrow = at("2026-07-01T14:00:00Z");
    let World { ledger, watch, dataset, .. } = &undriven();
    assert_eq!(rescue_until(ledger, watch, dataset, tomorrow), None, "its day is over");

    let stranded = |state: RuleState, landed: &str, ran: Vec<Task>| {
        let mut world = World::whole();
        world.rule().state = state;
        lands(&mut world, at(landed));
        world.watch.trigger.live_tasks = Some(Seen::Known(ran));
        until(&world)
    };
    let at_noon = "2026-06-30T11:30:00Z";
    assert_eq!(stranded(RuleState::Disabled, at_noon, vec![]), midnight);
    assert_eq!(stranded(RuleState::Enabled, at_noon, vec![]), None);
    assert_eq!(stranded(RuleState::Disabled, "2026-06-29T23:00:00Z", vec![]), None);
    let began = Task { created_at: Some(at(at_noon)), ..live_task() };
    assert_eq!(stranded(RuleState::Disabled, at_noon, vec![began]), None);
}

#[test]
fn a_live_run_that_our_snapshot_made_fail_is_swept_once() {
    let world = |spoil: &dyn Fn(&mut Task)| {
        let mut world = World::whole();
        world.begin(instant("12:00:00"), gap(), Stage::Load);
        let mut failed = Task {
            state: TaskState::Stopped,
            created_at: Some(instant("13:00:00")),
            stopped_at: Some(instant("13:10:00")),
            exit_code: Some(1),
            ..live_task()
        };
        spoil(&mut failed);
        let made = snapshot(BACKDATED, "available", instant("12:50:00"));
        let view = RunView { snapshot: Some(made), ..RunView::default() };
        world.watch.run = Some(Seen::Known(view));
        world.watch.trigger.live_tasks = Some(Seen::Known(vec![failed]));
        lands(&mut world, instant("12:55:00"));
        world
    };
    let hurt = |world: &mut World, now: DateTime<Utc>| match tend(world, now) {
        Some(Step::SweepHurt { dump, .. }) => Some(dump.missed),
        None => None,
        step => panic!("{step:?}"),
    };
    let now = instant("13:11:00");
    assert_eq!(hurt(&mut world(&|_| {}), now), Some(false));
    assert_eq!(hurt(&mut world(&|_| {}), at("2026-07-01T00:00:00Z")), Some(true));
    assert_eq!(hurt(&mut world(&|task| task.exit_code = Some(0)), now), None, "it came through");
    assert_eq!(hurt(&mut world(&|task| task.state = TaskState::Running), now), None);
    let earlier = |time: &'static str| move |task: &mut Task| task.created_at = Some(instant(time));
    assert_eq!(hurt(&mut world(&earlier("12:00:00")), now), Some(false));
    assert_eq!(hurt(&mut world(&earlier("11:59:59")), now), None, "before our load");
    let backdated = |task: &mut Task| task.date_override = Some("2026-06-20".to_owned());
    assert_eq!(hurt(&mut world(&backdated), now), None);
    let exported = |began: &str| {
        let mut world = world(&|_| {});
        let started_at = Some(instant(began));
        let export = Export { started_at, ..export(ExportStatus::InProgress) };
        world.view().export = Some(export);
        world
    };
    assert_eq!(hurt(&mut exported("13:10:00"), now), Some(false));
    assert_eq!(hurt(&mut exported("13:09:59"), now), None, "our snapshot was made by then");
    let mut unmade = world(&|_| {});
    unmade.watch.run = Some(Seen::Known(RunView::default()));
    assert_eq!(hurt(&mut unmade, now), None, "our snapshot is not there yet");
    let mut swept = world(&|_| {});
    swept.sweep(instant("13:10:30"), true);
    assert_eq!(hurt(&mut swept, now), None, "each is driven once at most");
}
