//! When is looked again: soon where something is at stake, at the next slot where nothing is.

use chrono::{DateTime, Duration, Utc};

use super::night::{World, blindness, gap, task};
use super::tended::{HELD, held, instant};
use crate::config::Mode;
use crate::domain::{Seen, Stage, TaskState};
use crate::ledger::{Event, StopWhy};
use crate::plan::{Rest, after_no_answer};

fn now() -> DateTime<Utc> {
    instant("14:00:00")
}

/// The world at two o'clock, looked at every minute.
fn at_two(mut world: World) -> World {
    world.now = now();
    world.watch.at = world.now;
    for poll in [
        &mut world.dataset.load.poll,
        &mut world.dataset.export.as_mut().unwrap().poll,
        &mut world.dataset.publish.as_mut().unwrap().poll,
    ] {
        *poll = std::time::Duration::from_mins(1);
    }
    world
}

fn sleeps(world: &World) -> i64 {
    (world.plan().wake_at - world.now).num_seconds()
}

/// A load of ours that was told to stop so many seconds ago, if it was.
fn loading(told_ago: Option<i64>) -> World {
    let mut world = at_two(World::with_gap());
    let run = world.begin(instant("13:00:00"), gap(), Stage::Load);
    let task_arn = "arn/ours".to_owned();
    let submitted = Event::LoadSubmitted { run: run.clone(), task_arn: task_arn.clone() };
    world.note(instant("13:00:01"), vec![submitted]);
    world.watch.run = Some(Seen::Blind(vec![blindness()]));
    if let Some(seconds) = told_ago {
        let (why, detail) = (StopWhy::Yield, String::new());
        let stop = Event::StopIntended { run, task_arn, why, detail };
        world.note(now() - Duration::seconds(seconds), vec![stop]);
    }
    world
}

#[test]
fn a_blind_look_is_repeated_in_five_minutes_and_with_a_run_at_its_poll() {
    let mut world = at_two(World::with_gap());
    world.blind = true;
    assert_eq!(sleeps(&world), 300);
    world.night.ends_at = now() + Duration::seconds(10);
    assert_eq!(sleeps(&world), 60, "the next slot is near, and no reason to hurry");
    assert!(matches!(loading(None).plan().step, Err(Rest::Blind(_))));
    assert_eq!(sleeps(&loading(None)), 60);
}

#[test]
fn a_stop_is_asked_for_again_after_five_seconds() {
    assert_eq!(sleeps(&loading(Some(1))), 4);
    assert_eq!(sleeps(&loading(Some(5))), 5, "what it came to cannot be seen yet");
    assert_eq!(sleeps(&loading(Some(30))), 5);
    let mut stopping = loading(Some(30));
    let ours = task("arn/ours", "gapmend/liberator/2026-06-15/1", TaskState::Stopping);
    stopping.watch.tasks = Seen::Known(vec![ours.clone()]);
    let view = crate::observe::RunView { task: Some(ours), ..Default::default() };
    stopping.watch.run = Some(Seen::Known(view));
    assert!(stopping.plan().step.is_err());
    assert_eq!(sleeps(&stopping), 60, "it took");
}

#[test]
fn a_service_that_does_not_answer_is_asked_again_at_the_poll_and_sooner_for_a_stop() {
    let again = |world: &World| {
        (after_no_answer(&world.ledger, &world.dataset, now()) - now()).num_seconds()
    };
    assert_eq!(again(&at_two(World::with_gap())), 60);
    assert_eq!(again(&loading(None)), 60);
    assert_eq!(again(&loading(Some(2))), 3);
    assert_eq!(again(&loading(Some(30))), 0);
}

#[test]
fn a_hold_or_a_live_run_to_be_driven_is_looked_at_in_every_poll() {
    let mut world = at_two(World::with_gap());
    world.dataset.mode = Mode::Observe;
    assert_eq!(world.plan().wake_at, world.night.ends_at, "nothing is at stake");
    let mut holds = at_two(held(HELD));
    holds.dataset.mode = Mode::Observe;
    holds.begin(instant("12:03:00"), gap(), Stage::Publish);
    assert!(sleeps(&holds) <= 60);
    world.sweep(now(), false);
    assert_eq!(sleeps(&world), 60);
}
