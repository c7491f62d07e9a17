//! Tests of the copy: waited for, compared, and never published unless it is whole.

use chrono::Duration;

use super::super::night::{World, dataset, export, gap};
use super::{at_stage, began, ended};
use crate::config::DatasetSettings;
use crate::domain::{
    CopyState, DateStatus, ExportStatus, FailureReason, FileId, RunOutcome, Seen, Stage, Whose,
    WorkflowRun, WorkflowStatus,
};
use crate::ledger::Repeat;
use crate::observe::RunView;
use crate::plan::{self, Rest, Step};

fn whole() -> CopyState {
    let whose = Whose::OneExport { id: "night".to_owned() };
    CopyState { files: 4, tables: 2, bytes: 40, whose, ..CopyState::default() }
}

fn half() -> CopyState {
    let lost = FileId { table: "db.pcn".to_owned(), name: "part-1".to_owned() };
    let whose =
        Whose::Incomplete { id: "night".to_owned(), expected: 4, missing: 1, examples: vec![lost] };
    CopyState { files: 3, whose, ..whole() }
}

fn mixed() -> CopyState {
    let whose = Whose::Mixed { ids: vec!["night".to_owned(), "again".to_owned()], strangers: 4 };
    CopyState { files: 8, whose, ..whole() }
}

fn begun() -> WorkflowRun {
    WorkflowRun {
        id: "wr_1".to_owned(),
        status: WorkflowStatus::Running,
        started_at: Some(began()),
        ended_at: None,
        properties: std::collections::BTreeMap::default(),
        nodes: Vec::new(),
        statistics: None,
        error: None,
    }
}

/// A run at that stage, with a copy section.
fn run_at(stage: Stage, copy: CopyState, workflow: Option<WorkflowRun>) -> World {
    let ended_at = Some(began());
    let view = RunView {
        export: Some(crate::domain::Export { ended_at, ..export(ExportStatus::Complete) }),
        copy: Some(copy),
        workflow_runs: workflow.into_iter().collect(),
        ..RunView::default()
    };
    let mut world = at_stage(stage, view);
    world.dataset = DatasetSettings { copy: dataset().copy.clone(), ..world.dataset };
    world
}

#[test]
fn a_copy_is_waited_for_file_by_file_and_not_past_its_deadline() {
    let at = |minutes: i64, copy: CopyState| {
        let mut world = run_at(Stage::Copy, copy, None);
        world.now = began() + Duration::minutes(minutes);
        world.plan().step
    };
    assert!(matches!(at(1, whole()), Ok(Step::EndStage { next: Stage::Publish, .. })));
    let Err(Rest::InProgress { detail, .. }) = at(1, half()) else { panic!("it goes on") };
    assert_eq!(detail, "3 of 4 files are in the copy");
    assert!(matches!(at(60, half()), Err(Rest::InProgress { .. })));
    let Ok(Step::EndRun(end)) = at(61, half()) else { panic!("it waits on") };
    assert_eq!((end.reason, end.repeat), (Some(FailureReason::CopyIncomplete), Repeat::Unsafe));
    assert!(end.detail.contains("db.pcn/part-1"), "{}", end.detail);
    assert!(end.detail.contains("{\"detail\":{\"SourceIdentifier\":\"sql-to-"), "{}", end.detail);
    assert!(matches!(at(1, mixed()), Ok(Step::EndRun(end)) if end.repeat == Repeat::Unsafe));
}

#[test]
fn a_workflow_that_began_over_half_a_copy_is_written_down_before_the_run_fails() {
    let mut world = run_at(Stage::Copy, half(), Some(begun()));
    assert!(matches!(world.plan().step, Ok(Step::NoteWorkflow { .. })));
    let run = world.ledger.runs.iter_mut().last().unwrap();
    run.workflow_run = Some("wr_1".to_owned());
    run.workflow_runs_seen = vec!["wr_1".to_owned()];
    let step = world.plan().step;
    assert_eq!(ended(&step), Some(RunOutcome::Failed));
    let Ok(Step::EndRun(end)) = step else { panic!() };
    assert!(end.detail.contains("wr_1 over a copy that lacks 1 of the 4 files"), "{}", end.detail);
}

#[test]
fn nothing_but_one_whole_export_is_published_by_us() {
    let late = |copy: CopyState| {
        let mut world = run_at(Stage::Publish, copy, None);
        world.now = began() + Duration::hours(2);
        world.plan().step
    };
    assert!(matches!(late(whole()), Ok(Step::StartWorkflow { .. })));
    for copy in [half(), mixed(), CopyState::default()] {
        let step = late(copy.clone());
        assert_eq!(ended(&step), Some(RunOutcome::Failed), "{copy:?}: {step:?}");
    }
}

/// A date that nobody ingested, with that in its copy.
fn bare_with(copy: CopyState) -> World {
    let mut world = World::whole();
    world.dataset = DatasetSettings { copy: dataset().copy.clone(), ..world.dataset };
    world.lose(gap());
    world.copies.insert(gap(), copy);
    world
}

#[test]
fn a_date_whose_files_lie_in_the_copy_is_never_loaded() {
    for copy in [half(), mixed(), CopyState { whose: Whose::Unknown, ..whole() }] {
        let plan = bare_with(copy).plan();
        let verdict = plan.census.as_ref().unwrap().verdict(gap()).unwrap();
        assert_eq!(verdict.status, DateStatus::Unpublished, "{}", verdict.reason);
        assert!(verdict.next.contains("Purging a date"), "{}", verdict.next);
        assert!(plan.queue.is_empty());
    }
    let left_over = CopyState { left_over: Some("k".to_owned()), ..CopyState::default() };
    assert!(bare_with(left_over).plan().queue.is_empty());
    let clear = bare_with(CopyState::default()).plan();
    assert!(matches!(clear.step, Ok(Step::Begin(_))), "{:?}", clear.step);
}

#[test]
fn a_whole_copy_is_taken_up_at_publish_before_anything_is_loaded() {
    let mut world = bare_with(whole());
    let other = gap() + Duration::days(1);
    world.lose(other);
    world.copies.insert(other, CopyState::default());
    let plan = world.plan();
    let dates: Vec<_> = plan.queue.iter().map(|candidate| candidate.date).collect();
    assert_eq!(dates, [gap(), other], "the bookmark would pass it");
    let Ok(Step::TakeUp(begin)) = plan.step else { panic!("{:?}", plan.step) };
    assert_eq!((begin.stage, begin.candidate.date), (Stage::Publish, gap()));
}

#[test]
fn what_the_scan_did_not_know_of_the_copy_stops_the_start() {
    for copy in [half(), mixed(), whole()] {
        let world = bare_with(copy);
        let mut seen = world.observation();
        let Seen::Known(scan) = &mut seen.scan else { panic!() };
        scan.copies.clear();
        seen.confirmed = Some(Seen::Known(world.look_at(gap())));
        let step = plan::plan(&world.ledger, &seen, &world.dataset, &world.night, world.now).step;
        assert!(!matches!(step, Ok(Step::Begin(_) | Step::TakeUp(_))), "{step:?}");
    }
}
