//! The snapshot and its export.

use chrono::Duration;

use super::super::night::{BACKDATED, export, snapshot};
use super::{at_stage, began, ended};
use crate::domain::{ExportStatus, FailureReason, RunOutcome, Stage};
use crate::ledger::Repeat;
use crate::observe::RunView;
use crate::plan::{Rest, Step};

#[test]
fn a_snapshot_is_waited_for_until_it_is_there_or_failed() {
    let seen = |status: &str| {
        let snapshot = Some(snapshot(BACKDATED, status, began()));
        let view = RunView { snapshot, ..RunView::default() };
        at_stage(Stage::Snapshot, view).plan().step
    };
    assert!(matches!(seen("creating"), Err(Rest::InProgress { .. })));
    assert!(matches!(seen("available"), Err(Rest::InProgress { .. })), "for its export");
    assert_eq!(ended(&seen("failed")), Some(RunOutcome::Failed));
}

#[test]
fn a_snapshot_that_only_waits_for_its_export_is_for_a_person_and_never_loaded_again() {
    let after = |seconds: i64, exported: bool| {
        let view = RunView {
            snapshot: Some(snapshot(BACKDATED, "available", began())),
            export: exported.then(|| export(ExportStatus::Starting)),
            ..RunView::default()
        };
        let mut world = at_stage(Stage::Snapshot, view);
        world.dataset.export.as_mut().unwrap().deadline = std::time::Duration::from_hours(2);
        world.now = began() + Duration::hours(2) + Duration::seconds(seconds);
        world.plan().step
    };
    assert!(matches!(after(0, false), Err(Rest::InProgress { .. })));
    assert!(matches!(after(0, true), Ok(Step::EndStage { next: Stage::Export, .. })));
    let Ok(Step::EndRun(end)) = after(1, false) else { panic!("it goes on") };
    assert_eq!((end.reason, end.repeat), (Some(FailureReason::NotExported), Repeat::Unsafe));
    assert!(end.detail.contains("\"SourceIdentifier\":\"sql-to-parquet-"), "{}", end.detail);
    assert!(end.detail.contains("\"SourceArn\":\"arn"), "{}", end.detail);
}

#[test]
fn an_export_is_waited_for_until_its_deadline_and_its_id_is_spent_then() {
    let after = |seconds: i64| {
        let export = Some(export(ExportStatus::InProgress));
        let view = RunView { export, ..RunView::default() };
        let mut world = at_stage(Stage::Export, view);
        world.dataset.export.as_mut().unwrap().deadline = std::time::Duration::from_hours(2);
        world.now = began() + Duration::hours(2) + Duration::seconds(seconds);
        world.plan().step
    };
    assert!(matches!(after(0), Err(Rest::InProgress { .. })));
    let Ok(Step::EndRun(end)) = after(1) else { panic!("it goes on") };
    assert_eq!((end.reason, end.repeat), (Some(FailureReason::Deadline), Repeat::Unsafe));
}
