//! What follows a load: a workflow that anybody may start, and jobs that append.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use gapmend::domain::{DateStatus, RunOutcome, Stage};
use gapmend::platform::Clock;
use gapmend::sim::{JobFailure, Profile, Times, WorkflowStart};

use super::GAP;
use crate::bed::{Bed, date, world};

const OTHER_GAP: &str = "2026-06-12";

/// A world in which only this is wrong with the gap.
fn gap_with(profile: Profile) -> Bed {
    Bed::new(world().gap(date(GAP)).profile(date(GAP), profile), "")
}

/// The workflow runs of the backdated workflow: when each began and ended.
fn backdated_runs(bed: &Bed) -> Vec<gapmend::sim::WorkflowRunRecord> {
    let world = bed.sim.lock();
    let mut runs = world.workflow_runs(&world.names.backdated_workflow).unwrap();
    runs.sort_by_key(|run| run.started_at);
    runs
}

#[tokio::test]
async fn h4_a_workflow_run_of_another_date_is_not_taken_for_ours() {
    let late = WorkflowStart::Late(Duration::from_mins(40));
    let bed = gap_with(Profile { workflow_start: late, ..Profile::default() });
    let mut engine = bed.acting_engine().await;
    let copies = |run: &gapmend::ledger::Run| run.stage == Stage::Copy;
    while !engine.ledger().state().active_run().is_some_and(copies) {
        bed.pass_and_sleep(&mut engine).await;
    }
    {
        let mut world = bed.sim.lock();
        let (name, other) = (world.names.backdated_workflow.clone(), "20200610".to_owned());
        let properties = BTreeMap::from([("import_date".to_owned(), other)]);
        world.start_workflow_run(&name, &properties).unwrap();
    }
    bed.serve_until(&mut engine, bed.clock.now() + TimeDelta::hours(5)).await;
    let run = engine.ledger().state().runs[0].clone();
    assert_eq!(run.end.unwrap().outcome, RunOutcome::Succeeded);
    let runs = backdated_runs(&bed);
    let ours = runs.iter().find(|it| Some(&it.id) == run.workflow_run.as_ref()).unwrap();
    assert_eq!(ours.properties["import_date"], "20260615");
    bed.assert_one_copy(GAP);
    bed.assert_quiet_and_sound().await;
}

#[tokio::test]
async fn h5_one_workflow_run_at_a_time_although_its_limit_is_wiped() {
    let bed = Bed::new(world().gap(date(GAP)).gap(date(OTHER_GAP)), "");
    let name = bed.sim.lock().names.backdated_workflow.clone();
    bed.sim.lock().workflow_mut(&name).unwrap().max_concurrent_runs = Some(1);
    assert!(bed.heal().await.is_whole());
    assert_eq!(bed.sim.lock().workflow(&name).unwrap().max_concurrent_runs, None, "wiped");
    let runs = backdated_runs(&bed);
    let runs: Vec<_> = runs.iter().filter(|run| run.started_at > crate::bed::noon()).collect();
    assert_eq!(runs.len(), 2);
    assert!(runs[0].completed_at.unwrap() <= runs[1].started_at);
    bed.assert_quiet_and_sound().await;
}

#[tokio::test]
async fn h6_a_workflow_whose_crawl_failed_is_started_once_more() {
    let bed = gap_with(Profile { crawl_fails: Times::First(1), ..Profile::default() });
    assert!(bed.heal().await.is_whole());
    assert_eq!(bed.calls_of("glue:StartWorkflowRun"), 1);
    bed.assert_one_copy(GAP);
    bed.assert_quiet_and_sound().await;
}

#[tokio::test]
async fn h7_a_date_that_the_nightly_reads_still_is_left_to_it() {
    let young = "2026-06-25";
    let bed = Bed::new(world().gap(date(young)), "");
    assert_eq!(bed.status(young).await, DateStatus::TooYoung);
    assert!(bed.heal().await.runs.is_empty());
    assert_eq!(bed.calls_of("ecs:RunTask"), 0);
    bed.assert_quiet_and_sound().await;
}

#[tokio::test]
async fn h8_half_a_date_is_never_run_again() {
    let failure = JobFailure { zone: 0, tables_written: 2, times: Times::First(1) };
    let bed = gap_with(Profile { job_fails: Some(failure), ..Profile::default() });
    assert!(!bed.heal().await.is_whole());
    bed.clock.sleep(Duration::from_hours(24)).await;
    bed.heal().await;
    assert_eq!(bed.calls_of("ecs:RunTask"), 1);
    assert_eq!(bed.calls_of("glue:StartWorkflowRun"), 0);
    let copies = bed.sim.lock().copies(date(GAP));
    assert!(copies.values().all(|count| *count <= 1), "{copies:?}");
    bed.assert_changes_nothing().await;
}

#[tokio::test]
async fn h9_a_date_is_published_before_the_next_is_loaded() {
    let bed = Bed::new(world().gap(date(GAP)).gap(date(OTHER_GAP)), "");
    let healed = bed.heal().await;
    assert!(healed.is_whole());
    let first = healed.runs[0].workflow_run.clone();
    let published =
        backdated_runs(&bed).into_iter().find(|run| Some(&run.id) == first.as_ref()).unwrap();
    let loads = bed.sim.lock().tasks().iter().map(|task| task.created_at).collect::<Vec<_>>();
    assert!(loads[loads.len() - 1] >= published.completed_at.unwrap());
    bed.assert_one_copy(OTHER_GAP);
    bed.assert_quiet_and_sound().await;
}

#[tokio::test]
async fn h10_of_two_workflow_runs_of_a_date_the_one_that_worked_counts() {
    let twice = WorkflowStart::Twice;
    let bed = gap_with(Profile { workflow_start: twice, ..Profile::default() });
    let healed = bed.heal().await;
    assert!(healed.is_whole(), "{healed:#?}");
    assert_eq!(bed.calls_of("glue:StartWorkflowRun"), 0);
    let runs = backdated_runs(&bed);
    let of_date = runs.iter().filter(|run| run.properties["import_date"] == "20260615").count();
    assert_eq!(of_date, 2);
    bed.assert_one_copy(GAP);
    bed.assert_quiet_and_sound().await;
}

/// A person loaded the date this morning, and the copier never started the workflow.
#[tokio::test]
async fn h11_an_export_that_exists_is_taken_up_and_never_made_again() {
    let bed = gap_with(Profile { workflow_start: WorkflowStart::Never, ..Profile::default() });
    bed.sim.lock().person_runs_task(Some(date(GAP)));
    bed.clock.sleep(Duration::from_hours(4)).await;
    assert!(bed.heal().await.is_whole());
    assert_eq!(bed.calls_of("ecs:RunTask"), 0);
    bed.assert_one_copy(GAP);
    bed.assert_quiet_and_sound().await;
}
