//! The load: a lost answer, a task that is not known, a stop, and what a load leaves.

use chrono::{DateTime, Duration, Utc};

use super::super::night::{BACKDATED, World, at, blindness, gap, hold, live_task, snapshot, task};
use super::{began, ended};
use crate::config::Mode;
use crate::domain::{FailureReason, RunOutcome, Seen, Stage, TaskState};
use crate::ledger::{Event, HoldStep, HoldWhy, Repeat, Request, StopWhy};
use crate::observe::RunView;
use crate::plan::{Rest, Step};

/// A run whose load was asked for at noon, looked at so long after.
pub(super) fn unanswered(after: Duration) -> World {
    let mut world = World::with_gap();
    world.begin(began(), gap(), Stage::Load);
    world.now = began() + after;
    world.watch.run = Some(Seen::Known(RunView::default()));
    world
}

fn running(after: Duration) -> World {
    let mut world = unanswered(after);
    let run = world.ledger.active_run().unwrap().id.clone();
    world.note(began(), vec![Event::LoadSubmitted { run, task_arn: "arn/ours".to_owned() }]);
    world
}

#[test]
fn a_lost_answer_is_asked_for_again_at_once() {
    let step = unanswered(Duration::seconds(15)).plan().step;
    assert!(matches!(step, Ok(Step::Resubmit { .. })), "{step:?}");
}

#[test]
fn a_load_that_may_exist_is_not_given_up_before_it_would_have_shown_itself() {
    let closings: [fn(&mut World); 4] = [
        |world| world.watch.tasks = Seen::Known(vec![live_task()]),
        |world| world.request(world.now, Request::Cancel),
        |world| world.dataset.mode = Mode::Observe,
        |world| {
            let until = at("2026-07-03T00:00:00Z");
            world.request(world.now, Request::Pause { until });
        },
    ];
    for close in closings {
        let mut world = unanswered(Duration::seconds(30));
        close(&mut world);
        let step = world.plan().step;
        assert!(matches!(step, Err(Rest::InProgress { .. })), "{step:?}");
        world.now = began() + Duration::minutes(6);
        let step = world.plan().step;
        assert!(matches!(ended(&step), Some(RunOutcome::Void | RunOutcome::Cancelled)), "{step:?}");
    }
}

#[test]
fn a_lost_answer_is_not_repeated_blindly() {
    let mut world = unanswered(Duration::seconds(30));
    world.watch.tasks = Seen::Blind(vec![blindness()]);
    let step = world.plan().step;
    assert!(matches!(step, Err(Rest::Blind(_))), "{step:?}");
}

#[test]
fn an_intent_of_an_hour_ago_is_planned_afresh() {
    let step = unanswered(Duration::minutes(61)).plan().step;
    assert_eq!(ended(&step), Some(RunOutcome::Cancelled), "{step:?}");
}

#[test]
fn an_intent_counts_for_an_hour_and_not_for_a_date_that_appeared() {
    let step = unanswered(Duration::minutes(60)).plan().step;
    assert!(matches!(step, Ok(Step::Resubmit { .. })), "{step:?}");
    let mut half = unanswered(Duration::minutes(5));
    half.stored.values_mut().next().unwrap().insert(gap());
    assert_eq!(ended(&half.plan().step), Some(RunOutcome::Void), "{:?}", half.plan().step);
    half.now -= Duration::seconds(1);
    let step = half.plan().step;
    assert!(matches!(step, Err(Rest::InProgress { .. })), "its task may show itself: {step:?}");
}

#[test]
fn our_task_yields_although_the_run_could_not_be_seen() {
    let mut world = running(Duration::minutes(10));
    let ours = task("arn/ours", "gapmend/liberator/2026-06-15/1", TaskState::Running);
    world.watch.tasks = Seen::Known(vec![ours, live_task()]);
    world.watch.run = Some(Seen::Blind(vec![blindness()]));
    let step = world.plan().step;
    assert!(matches!(step, Ok(Step::StopTask { .. })), "{step:?}");
}

#[test]
fn a_task_that_is_listed_is_not_lost() {
    let mut world = running(Duration::minutes(10));
    let ours = task("arn/ours", "gapmend/liberator/2026-06-15/1", TaskState::Running);
    world.watch.tasks = Seen::Known(vec![ours]);
    let step = world.plan().step;
    assert!(matches!(step, Err(Rest::InProgress { .. })), "{step:?}");
    world.watch.tasks = Seen::Known(Vec::new());
    assert_eq!(ended(&world.plan().step), Some(RunOutcome::Failed));
}

#[test]
fn a_task_that_ecs_does_not_know_yet_is_waited_for_five_minutes() {
    let step = running(Duration::seconds(299)).plan().step;
    assert!(matches!(step, Err(Rest::InProgress { .. })), "{step:?}");
    let Ok(Step::EndRun(end)) = running(Duration::seconds(300)).plan().step else {
        panic!("it goes on")
    };
    assert_eq!((end.reason, end.repeat), (Some(FailureReason::Lost), Repeat::FromTheTop));
}

/// A run whose task was told to stop at ten past, and is seen in this state.
fn told_to_stop(state: TaskState) -> World {
    let mut world = running(Duration::minutes(10));
    let run = world.ledger.active_run().unwrap().id.clone();
    let ours = task("arn/ours", &format!("gapmend/{run}"), state);
    world.watch.run = Some(Seen::Known(RunView { task: Some(ours.clone()), ..RunView::default() }));
    world.watch.tasks = Seen::Known(vec![ours]);
    let (task_arn, why, detail) = ("arn/ours".to_owned(), StopWhy::Yield, "yields".to_owned());
    world.note(world.now, vec![Event::StopIntended { run, task_arn, why, detail }]);
    world
}

#[test]
fn a_stop_that_did_not_take_is_asked_for_again_whichever_way_the_clock_went() {
    let again = |state: TaskState, seconds: i64| {
        let mut world = told_to_stop(state);
        world.now += Duration::seconds(seconds);
        match world.plan().step {
            Ok(Step::StopTask { .. }) => true,
            Err(Rest::InProgress { .. }) => false,
            other => panic!("{other:?}"),
        }
    };
    assert!(!again(TaskState::Running, 4) && again(TaskState::Running, 5));
    assert!(!again(TaskState::Running, -4) && again(TaskState::Running, -5));
    assert!(!again(TaskState::Stopping, 60), "it took");
    let step = told_to_stop(TaskState::Stopped).plan().step;
    assert_eq!(ended(&step), Some(RunOutcome::Void), "{step:?}");
}

#[test]
fn a_load_is_stopped_at_the_end_of_its_own_hold() {
    let stops = |own: bool, seconds: i64| {
        let mut world = told_to_stop(TaskState::Running);
        let stopping = world.ledger.runs.last_mut().unwrap();
        stopping.stopping = None;
        let run = if own { stopping.id.clone() } else { "another".to_owned() };
        let until = world.now;
        let steps = [HoldStep::Armed, HoldStep::Disabled].map(|step| (step, began()));
        let hold = hold("liberator", HoldWhy::Run { run }, [began(), until], steps);
        world.ledger.holds.insert(hold.id.clone(), hold);
        world.now += Duration::seconds(seconds);
        matches!(world.plan().step, Ok(Step::StopTask { why: StopWhy::HoldTooLong, .. }))
    };
    assert!(!stops(true, -1) && stops(true, 0));
    assert!(!stops(false, 0), "it is not this run's");
}

#[test]
fn what_a_load_left_is_adopted_if_it_is_younger_than_the_run() {
    let left = |created_at: DateTime<Utc>| {
        let mut world = told_to_stop(TaskState::Stopped);
        world.view().snapshot = Some(snapshot(BACKDATED, "creating", created_at));
        matches!(world.plan().step, Ok(Step::EndStage { next: Stage::Snapshot, .. }))
    };
    assert!(left(began()) && !left(began() - Duration::seconds(1)));
}

#[test]
fn the_end_of_a_failed_loads_log_is_told() {
    let mut world = told_to_stop(TaskState::Stopped);
    world.ledger.runs.last_mut().unwrap().stopping = None;
    world.view().task.as_mut().unwrap().exit_code = Some(1);
    let detail = |world: &World| {
        let Ok(Step::EndRun(end)) = world.plan().step else { panic!("it goes on") };
        end.detail
    };
    assert!(!detail(&world).contains("its log ends"));
    world.view().log_tail = ["a", "b", "c", "d"].map(str::to_owned).into();
    assert!(detail(&world).ends_with("; its log ends: b | c | d"), "{}", detail(&world));
}
