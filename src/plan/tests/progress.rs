//! What a run in progress needs when an answer is lost, or the world cannot be seen.

use chrono::{DateTime, Duration, Utc};

use super::night::{World, at, blindness, gap, live_task, task};
use crate::config::Mode;
use crate::domain::{
    NodeKind, NodeRun, RunOutcome, Seen, Stage, TaskState, WorkflowNode, WorkflowRun,
    WorkflowStatus,
};
use crate::ledger::{Event, Repeat, Request};
use crate::observe::RunView;
use crate::plan::{Rest, Step};

fn began() -> DateTime<Utc> {
    at("2026-06-30T12:00:00Z")
}

/// A run whose load was asked for at noon, looked at so long after.
fn unanswered(after: Duration) -> World {
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

fn ended(step: &Result<Step, Rest>) -> Option<RunOutcome> {
    match step {
        Ok(Step::EndRun(end)) => Some(end.outcome),
        Ok(_) | Err(_) => None,
    }
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

fn workflow_run(id: &str, job: Option<&str>) -> WorkflowRun {
    let run = |state: &str| vec![NodeRun { state: state.to_owned(), error: None }];
    let node = |name: &str, kind, runs| WorkflowNode { name: name.to_owned(), kind, runs };
    let crawl = if job.is_some() { "SUCCEEDED" } else { "FAILED" };
    WorkflowRun {
        id: id.to_owned(),
        status: WorkflowStatus::Completed,
        started_at: Some(began()),
        ended_at: Some(began()),
        properties: std::collections::BTreeMap::new(),
        statistics: None,
        nodes: vec![
            node("crawler", NodeKind::Crawler, run(crawl)),
            node("job", NodeKind::Job, job.map(run).unwrap_or_default()),
        ],
        error: None,
    }
}

/// A run at publish that sees these workflow runs, and has noted the first that counts.
fn publishing(workflow_runs: Vec<WorkflowRun>) -> World {
    let mut world = World::with_gap();
    world.begin(began(), gap(), Stage::Publish);
    world.now = began() + Duration::minutes(61);
    world.watch.run = Some(Seen::Known(RunView { workflow_runs, ..RunView::default() }));
    if let Ok(Step::NoteWorkflow { run, workflow_run, ours }) = world.plan().step {
        world.note(world.now, vec![Event::PublishFound { run, workflow_run, ours }]);
    }
    world
}

#[test]
fn of_two_workflow_runs_of_a_date_the_one_that_wrote_counts() {
    let empty = || workflow_run("wr_empty", None);
    let half = publishing(vec![workflow_run("wr_half", Some("FAILED")), empty()]);
    assert_eq!(ended(&half.plan().step), Some(RunOutcome::Failed), "{:?}", half.plan().step);
    let good = publishing(vec![workflow_run("wr_good", Some("SUCCEEDED")), empty()]);
    let step = good.plan().step;
    assert!(matches!(step, Ok(Step::EndStage { next: Stage::Verify, .. })), "{step:?}");
    let step = publishing(vec![empty()]).plan().step;
    assert!(matches!(step, Ok(Step::StartWorkflow { .. })), "nothing was written: {step:?}");
}

/// Nothing of ours can undo what the pipeline wrote twice (H10), but it is told.
#[test]
fn of_two_workflow_runs_that_wrote_both_are_written_down() {
    let wrote = |id: &str| workflow_run(id, Some("SUCCEEDED"));
    let mut world = publishing(vec![wrote("wr_a"), wrote("wr_b")]);
    for _ in 0..2 {
        if let Ok(Step::NoteWorkflow { run, workflow_run, ours }) = world.plan().step {
            world.note(world.now, vec![Event::PublishFound { run, workflow_run, ours }]);
        }
    }
    let step = world.plan().step;
    assert!(matches!(step, Ok(Step::EndStage { next: Stage::Verify, .. })), "{step:?}");
    let run = world.ledger.active_run().unwrap();
    assert_eq!(run.workflow_runs_beside().count(), 1, "{run:?}");
}

#[test]
fn a_date_that_is_taken_up_again_does_not_fail_by_what_failed_before() {
    let mut world = publishing(vec![workflow_run("wr_half", Some("FAILED"))]);
    world.end(world.now, RunOutcome::Failed, Repeat::Unsafe);
    world.begin(world.now, gap(), Stage::Publish);
    world.now += Duration::minutes(61);
    let step = world.plan().step;
    assert!(matches!(step, Ok(Step::StartWorkflow { .. })), "{step:?}");
}

#[test]
fn throttled_starts_of_the_workflow_are_waited_out() {
    let mut world = publishing(Vec::new());
    let mut starts = 0;
    let until = world.now + Duration::minutes(30);
    while world.now < until {
        match world.plan().step {
            Ok(Step::StartWorkflow { run, workflow, properties }) => {
                starts += 1;
                world.note(world.now, vec![Event::PublishIntended { run, workflow, properties }]);
            }
            Err(Rest::InProgress { .. }) => {}
            other => panic!("{other:?}"),
        }
        world.now += Duration::seconds(15);
    }
    assert!((4..=7).contains(&starts), "{starts}");
}

#[test]
fn mode_observe_starts_no_workflow_either() {
    let mut world = publishing(Vec::new());
    world.dataset.mode = Mode::Observe;
    assert!(matches!(world.plan().step, Err(Rest::InProgress { .. })));
}
