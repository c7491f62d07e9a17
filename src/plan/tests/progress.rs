//! What a run in progress needs, whatever its stage, and in each of them.

mod copy;
mod export;
mod load;
mod publish;
mod verify;

use chrono::{DateTime, Duration, Utc};

use self::load::unanswered;
use self::publish::workflow_run;
use super::night::{World, at, blindness, gap};
use crate::domain::{RunOutcome, Seen, Stage, WorkflowRun, WorkflowStatus};
use crate::ledger::{Event, Repeat, Request};
use crate::observe::RunView;
use crate::plan::{self, Rest, Step};

fn began() -> DateTime<Utc> {
    at("2026-06-30T12:00:00Z")
}

/// A run at this stage since noon, which sees this.
fn at_stage(stage: Stage, view: RunView) -> World {
    let mut world = World::with_gap();
    world.begin(began(), gap(), stage);
    world.now = began() + Duration::minutes(1);
    world.watch.run = Some(Seen::Known(view));
    world
}

/// These tables have the date, whole.
fn has(world: &mut World, tables: &[&'static str]) {
    for table in tables {
        world.catalogued.get_mut(table).unwrap().insert(gap());
        world.stored.get_mut(table).unwrap().insert(gap());
    }
}

fn ended(step: &Result<Step, Rest>) -> Option<RunOutcome> {
    match step {
        Ok(Step::EndRun(end)) => Some(end.outcome),
        Ok(_) | Err(_) => None,
    }
}

#[test]
fn a_run_that_cannot_be_seen_ends_one_day_after_its_deadline() {
    let mut world = World::with_gap();
    world.begin(began(), gap(), Stage::Export);
    world.watch.run = Some(Seen::Blind(vec![blindness()]));
    world.now = began() + Duration::hours(20);
    assert!(matches!(world.plan().step, Err(Rest::Blind(_))));
    world.now = began() + Duration::hours(29);
    let Ok(Step::EndRun(end)) = world.plan().step else { panic!("it goes on") };
    assert_eq!((end.outcome, end.repeat), (RunOutcome::Failed, Repeat::Unsafe));
}

#[test]
fn a_cancelled_run_ends_in_any_stage_and_its_date_waits() {
    for stage in [Stage::Snapshot, Stage::Export, Stage::Publish, Stage::Verify] {
        let mut world = at_stage(stage, RunView::default());
        world.request(world.now, Request::Cancel);
        let Ok(Step::EndRun(end)) = world.plan().step else { panic!("{stage:?} goes on") };
        assert_eq!((end.outcome, end.repeat), (RunOutcome::Cancelled, Repeat::Unsafe), "{stage:?}");
    }
}

#[test]
fn a_look_at_another_date_proves_nothing() {
    let looks = |world: &World| {
        let mut seen = world.observation();
        seen.confirmed = Some(Seen::Known(world.look_at(gap() + Duration::days(1))));
        let World { ledger, dataset, night, now, .. } = world;
        plan::plan(ledger, &seen, dataset, night, *now).step
    };
    for world in [unanswered(Duration::minutes(6)), at_stage(Stage::Verify, RunView::default())] {
        let step = looks(&world);
        assert!(matches!(step, Ok(Step::Confirm { date }) if date == gap()), "{step:?}");
    }
}

#[test]
fn a_stage_has_its_time_to_the_second() {
    let goes_on = |stage: Stage, spoil: fn(&mut World), seconds: i64| {
        let mut world = World::with_gap();
        world.begin(began(), gap(), stage);
        let deadline = std::time::Duration::from_hours(2);
        world.dataset.export.as_mut().unwrap().deadline = deadline;
        world.dataset.publish.as_mut().unwrap().deadline = deadline;
        world.watch.run = Some(Seen::Known(RunView::default()));
        spoil(&mut world);
        world.now = began() + Duration::hours(2) + Duration::seconds(seconds);
        let step = world.plan().step;
        assert!(ended(&step).is_none_or(|it| it == RunOutcome::Failed), "{step:?}");
        ended(&step).is_none()
    };
    let running = |world: &mut World| {
        let run = WorkflowRun {
            status: WorkflowStatus::Running,
            ended_at: None,
            ..workflow_run("wr", None)
        };
        let event = Event::PublishFound {
            run: world.ledger.active_run().unwrap().id.clone(),
            workflow_run: "wr".to_owned(),
            ours: false,
        };
        world.note(began(), vec![event]);
        let view = RunView { workflow_runs: vec![run], ..RunView::default() };
        world.watch.run = Some(Seen::Known(view));
    };
    for (stage, spoil) in [
        (Stage::Snapshot, (|_| {}) as fn(&mut World)),
        (Stage::Export, |_| {}),
        (Stage::Publish, running),
    ] {
        assert!(goes_on(stage, spoil, 0), "{stage:?}");
        assert!(!goes_on(stage, spoil, 1), "{stage:?}");
    }
}
