//! Finding the missing dates and healing them, one at a time.

use chrono::TimeDelta;
use gapmend::daemon::Errand;
use gapmend::domain::{DateStatus, FailureReason, RunOutcome, Stage};
use gapmend::ledger::{Asked, Request};
use gapmend::plan::Rest;
use gapmend::platform::Clock;
use gapmend::sim::{FaultKind, FaultWhen, Moment, Profile, Times, WorkflowStart};

use super::bed::{Bed, date, world};

#[tokio::test]
async fn a_gap_is_healed_with_exactly_one_copy() {
    let bed = Bed::new(world().gap(date("2026-06-15")), "");
    assert_eq!(bed.status("2026-06-15").await, DateStatus::Missing);
    let healed = bed.heal().await;
    assert!(healed.is_whole(), "{healed:#?}");
    assert_eq!(healed.runs.len(), 1);
    bed.assert_one_copy("2026-06-15");
    bed.assert_quiet_and_sound().await;
}

#[tokio::test]
async fn heal_ends_at_once_when_nothing_is_left() {
    let bed = Bed::new(world(), "");
    let began = bed.clock.now();
    assert!(bed.heal().await.is_whole());
    assert!(bed.clock.now() - began < chrono::TimeDelta::seconds(5), "nobody waits for more");
}

#[tokio::test]
async fn gaps_are_healed_newest_first_and_as_many_as_were_asked_for() {
    let gaps = ["2026-06-10", "2026-06-12", "2026-06-15", "2026-06-18"];
    let world = gaps.iter().fold(world(), |world, gap| world.gap(date(gap)));
    let bed = Bed::new(world, "");
    let healed = bed.heal_with(Errand { max_runs: Some(3), ..Errand::default() }).await;
    let order: Vec<String> = healed.runs.iter().map(|run| run.date.to_string()).collect();
    assert_eq!(order, ["2026-06-18", "2026-06-15", "2026-06-12"]);
    assert!(!healed.is_whole());
    assert!(matches!(healed.rests[0].rest, Rest::NightSpent { runs: 3, .. }), "{:?}", healed.rests);
    bed.assert_quiet_and_sound().await;
}

#[tokio::test]
async fn a_date_that_fails_once_is_tried_again_after_its_back_off() {
    let failing = Profile {
        exits_1: Times::First(1),
        log_lines: vec!["ERROR 1064 (42000) at line 7".to_owned()],
        ..Profile::default()
    };
    let bed = Bed::new(world().gap(date("2026-06-15")).profile(date("2026-06-15"), failing), "");
    let healed = bed.heal().await;
    let outcomes: Vec<_> =
        healed.runs.iter().map(|run| run.end.as_ref().unwrap().outcome).collect();
    assert_eq!(outcomes, [RunOutcome::Failed, RunOutcome::Succeeded], "{healed:#?}");
    let first = healed.runs[0].end.as_ref().unwrap();
    assert!(first.detail.contains("ERROR 1064"), "{}", first.detail);
    assert!(healed.is_whole());
    bed.assert_one_copy("2026-06-15");
    bed.assert_quiet_and_sound().await;
}

#[tokio::test]
async fn between_the_end_of_a_stage_and_the_next_step_lies_one_poll_at_most() {
    let bed = Bed::new(world().gap(date("2026-06-15")).gap(date("2026-06-12")), "");
    let healed = bed.heal().await;
    assert!(healed.is_whole(), "{healed:#?}");
    let settings = &bed.settings.datasets["liberator"];
    let of_load = settings.load.poll;
    let of_export = settings.export.as_ref().unwrap().poll;
    let of_publish = settings.publish.as_ref().unwrap().poll;
    for run in &healed.runs {
        let noticed = |stage| run.stages.iter().find(|s| s.stage == stage).unwrap().ended_at;
        let world = bed.sim.lock();
        let arn = run.load.as_ref().unwrap().task_arn.clone().unwrap();
        let stopped = world.tasks().iter().find(|task| task.arn == arn).unwrap().stopped_at;
        let id = world.names.backdated_id(run.date);
        let exported = world.export_tasks(Some(&id), None).unwrap()[0].ended_at;
        let id = run.workflow_run.clone().unwrap();
        let name = world.names.backdated_workflow.clone();
        let published = world.workflow_run(&name, &id).unwrap().completed_at;
        drop(world);
        for (what, happened, noticed, poll) in [
            ("load", stopped, noticed(Stage::Load), of_load),
            ("export", exported, noticed(Stage::Export), of_export),
            ("publish", published, noticed(Stage::Publish), of_publish),
            ("verify", Some(noticed(Stage::Publish)), run.end.as_ref().unwrap().at, of_load),
        ] {
            let late = (noticed - happened.unwrap()).to_std().unwrap();
            assert!(late <= poll, "{}: {what} was noticed after {late:?}", run.id);
        }
    }
    let between = healed.runs[1].started_at - healed.runs[0].end.as_ref().unwrap().at;
    assert!(between.to_std().unwrap() <= of_load, "the next run began after {between}");
}

#[tokio::test]
async fn a_date_that_always_fails_is_quarantined() {
    let failing = Profile { exits_1: Times::Always, ..Profile::default() };
    let bed = Bed::new(
        world().gap(date("2026-06-15")).profile(date("2026-06-15"), failing),
        "[datasets.liberator.backfill]\nstop_after = 10\nmax_runs_per_night = 10\n",
    );
    let healed = bed.heal().await;
    assert_eq!(healed.runs.len(), 3);
    assert!(!healed.is_whole());
    assert_eq!(bed.status("2026-06-15").await, DateStatus::Quarantined);
    bed.assert_quiet_and_sound().await;
}

/// The refusal was asked for again until the deadline, hours later, and told by nobody.
#[tokio::test]
async fn a_workflow_that_may_not_be_started_fails_at_once_and_is_taken_up_when_it_may() {
    let day = "2026-06-15";
    let unstarted = Profile { workflow_start: WorkflowStart::Never, ..Profile::default() };
    let bed = Bed::new(world().gap(date(day)).profile(date(day), unstarted), "");
    let denied = (FaultWhen::Call(1), FaultKind::Denied, Moment::Before);
    bed.sim.lock().faults.add("glue:StartWorkflowRun", denied.0, denied.1, denied.2);
    let healed = bed.heal().await;
    let end = healed.runs[0].end.as_ref().unwrap();
    assert_eq!(end.outcome, RunOutcome::Failed, "{healed:#?}");
    assert_eq!(end.reason, Some(FailureReason::Denied));
    assert_eq!(healed.runs[0].stage, Stage::Publish);
    let verdict = bed.verdict(day).await;
    assert_eq!(verdict.status, DateStatus::Unpublished);
    assert!(verdict.reason.contains("StartWorkflowRun"), "{}", verdict.reason);
    assert!(verdict.next.contains("gapmend retry 2026-06-15"), "{}", verdict.next);
    let asked = Asked { by: "tester".to_owned(), reason: None, ticket: None };
    let retry = Request::Retry { date: date(day) };
    bed.ledger().await.append_request("liberator", retry, asked).await.unwrap();
    assert!(bed.heal().await.is_whole());
    assert_eq!(bed.sim.lock().tasks().len(), 1, "its export is taken up");
    bed.assert_one_copy(day);
    bed.assert_quiet_and_sound().await;
}

/// By a clock that is ahead every start is overdue: the workflow was begun beside the
/// pipeline's own, and every table had the date twice.
#[tokio::test]
async fn by_a_clock_that_is_off_nothing_is_started() {
    let day = "2026-06-15";
    let unstarted = Profile { workflow_start: WorkflowStart::Never, ..Profile::default() };
    let bed = Bed::new(world().gap(date(day)).profile(date(day), unstarted), "");
    bed.sim.lock().clock_skew = TimeDelta::seconds(-200);
    assert!(bed.heal().await.runs.is_empty());
    bed.sim.lock().clock_skew = TimeDelta::zero();
    let mut engine = bed.acting_engine().await;
    while bed.calls_of("ecs:RunTask") == 0 {
        bed.pass_and_sleep(&mut engine).await;
    }
    bed.sim.lock().clock_skew = TimeDelta::seconds(-200);
    let later = |hours| bed.clock.now() + TimeDelta::hours(hours);
    bed.serve_until(&mut engine, later(6)).await;
    assert_eq!(bed.calls_of("glue:StartWorkflowRun"), 0);
    bed.sim.lock().clock_skew = TimeDelta::zero();
    bed.serve_until(&mut engine, later(4)).await;
    bed.assert_one_copy(day);
    bed.assert_quiet_and_sound().await;
}
