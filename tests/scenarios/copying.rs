//! Between export and raw: dates whose files lie in the copy, copies that are not whole, and
//! snapshots that only wait for their export.

use std::time::Duration;

use chrono::TimeDelta;
use gapmend::daemon::Errand;
use gapmend::domain::{DateStatus, FailureReason, RunOutcome, Stage};
use gapmend::ledger::Run;
use gapmend::platform::Clock;
use gapmend::sim::{Profile, Times};

use super::bed::{Bed, date, world};

const GAP: &str = "2026-06-15";
const OTHER_GAP: &str = "2026-06-12";

fn gap_with(profile: Profile) -> Bed {
    Bed::new(world().gap(date(GAP)).profile(date(GAP), profile), "")
}

fn only_run(bed: &Bed, runs: &[Run]) -> Run {
    assert_eq!(runs.len(), 1, "{runs:#?}");
    assert_eq!(bed.calls_of("ecs:RunTask"), usize::from(runs[0].load.is_some()));
    runs[0].clone()
}

fn reason_of(run: &Run) -> Option<FailureReason> {
    run.end.as_ref().unwrap().reason
}

#[tokio::test]
async fn a_date_that_the_nightly_left_in_the_copy_is_published_without_a_load() {
    let bed = Bed::new(world().unpublished(date(GAP)), "");
    let verdict = bed.verdict(GAP).await;
    assert_eq!(verdict.status, DateStatus::Unpublished, "{}", verdict.reason);
    assert!(verdict.reason.contains("14 files of 7 tables"), "{}", verdict.reason);
    assert!(verdict.reason.contains("sql-to-parquet-26-06-15-231500"), "{}", verdict.reason);
    let began = bed.clock.now();
    let healed = bed.heal().await;
    assert!(healed.is_whole(), "{healed:#?}");
    let run = only_run(&bed, &healed.runs);
    let stages: Vec<Stage> = run.stages.iter().map(|record| record.stage).collect();
    assert_eq!(stages, [Stage::Preflight, Stage::Publish, Stage::Verify], "{run:#?}");
    assert!(bed.clock.now() - began < TimeDelta::hours(2), "nothing was loaded");
    bed.assert_one_copy(GAP);
    bed.assert_quiet_and_sound().await;
}

#[tokio::test]
async fn what_lies_in_the_copy_is_published_before_a_load_moves_the_bookmark_past_it() {
    let bed = Bed::new(world().unpublished(date(OTHER_GAP)).gap(date(GAP)), "");
    let healed = bed.heal().await;
    assert!(healed.is_whole(), "{healed:#?}");
    let order: Vec<String> = healed.runs.iter().map(|run| run.date.to_string()).collect();
    assert_eq!(order, [OTHER_GAP, GAP]);
    bed.assert_one_copy(GAP);
    bed.assert_one_copy(OTHER_GAP);
    bed.assert_quiet_and_sound().await;
}

#[tokio::test]
async fn files_that_the_bookmark_has_passed_are_tried_once_and_wait_for_a_person() {
    let bed = Bed::new(world().unpublished(date(GAP)).bookmark_passed(), "");
    let healed = bed.heal().await;
    let run = only_run(&bed, &healed.runs);
    assert_eq!(reason_of(&run), Some(FailureReason::OutputMissing), "{run:#?}");
    let verdict = bed.verdict(GAP).await;
    assert_eq!(verdict.status, DateStatus::Unpublished);
    assert!(verdict.reason.contains("bookmark"), "{}", verdict.reason);
    assert!(verdict.next.contains("Purging a date"), "{}", verdict.next);
    assert!(bed.heal().await.runs.is_empty(), "once");
    assert_eq!(bed.calls_of("ecs:RunTask"), 0);
    bed.assert_quiet_and_sound().await;
}

#[tokio::test]
async fn files_of_two_exports_or_of_half_a_one_are_for_a_person() {
    for (world, fault) in [
        (world().unpublished_twice(date(GAP)), "not of export"),
        (world().unpublished_half(date(GAP)), "lacks 1 of the 14 files"),
    ] {
        let bed = Bed::new(world, "");
        let only = Errand { only: Some([date(GAP)].into()), ..Errand::default() };
        assert!(bed.heal_with(only).await.runs.is_empty(), "not even by name");
        let verdict = bed.verdict(GAP).await;
        assert_eq!(verdict.status, DateStatus::Unpublished);
        assert!(verdict.reason.contains(fault), "{}", verdict.reason);
        assert!(verdict.reason.contains("import_date=20260615/"), "{}", verdict.reason);
        assert_eq!(bed.calls_of("ecs:RunTask") + bed.calls_of("glue:StartWorkflowRun"), 0);
        bed.assert_quiet_and_sound().await;
    }
}

/// The scan looks at the copy of a few dates only; a start always asks.
#[tokio::test]
async fn a_long_queue_meets_a_full_copy_right_before_its_start() {
    let gaps = ["2026-06-10", "2026-06-11", "2026-06-12", "2026-06-13", "2026-06-14"];
    let world = gaps.iter().fold(world(), |world, day| world.unpublished_twice(date(day)));
    let bed = Bed::with_dataset(world, "", |dataset| dataset.backfill.max_runs_per_night = 1);
    assert!(bed.heal().await.runs.is_empty());
    assert_eq!(bed.calls_of("ecs:RunTask"), 0);
    let unseen = bed.census().await;
    let status = |day: &str| unseen.verdict(date(day)).unwrap().status;
    assert_eq!(status("2026-06-14"), DateStatus::Unpublished);
    assert_eq!(status("2026-06-10"), DateStatus::Missing, "beyond the named limit");
}

#[tokio::test]
async fn a_left_over_under_the_export_s_id_keeps_the_date_from_being_loaded() {
    let bed = gap_with(Profile::default());
    let (bucket, id) = {
        let world = bed.sim.lock();
        (world.names.export_bucket.clone(), world.names.backdated_id(date(GAP)))
    };
    let key = format!("{id}-old/liberator/liberator.pcn/1/part-00000-0.gz.parquet");
    bed.sim.lock().put_object(&bucket, &key, "PAR1", true).unwrap();
    assert!(bed.heal().await.runs.is_empty());
    let verdict = bed.verdict(GAP).await;
    assert_eq!(verdict.status, DateStatus::Unpublished);
    assert!(verdict.reason.contains(&key), "{}", verdict.reason);
    bed.assert_quiet_and_sound().await;
}

#[tokio::test]
async fn a_table_that_lost_a_file_on_the_way_is_never_called_whole() {
    let bed = gap_with(Profile { copy_loses_files: 1, ..Profile::default() });
    let healed = bed.heal().await;
    let run = only_run(&bed, &healed.runs);
    assert_eq!(reason_of(&run), Some(FailureReason::CopyIncomplete), "{run:#?}");
    let detail = &run.end.as_ref().unwrap().detail;
    assert!(detail.contains("lacks 1 of the 14 files"), "{detail}");
    bed.clock.sleep(Duration::from_hours(4)).await;
    bed.assert_one_copy(GAP);
    assert_eq!(bed.sim.lock().halves().len(), 1, "the catalog shows every table");
    let verdict = bed.verdict(GAP).await;
    assert_eq!(verdict.status, DateStatus::Partial, "{}", verdict.reason);
    assert!(verdict.next.contains("Purging a date"), "{}", verdict.next);
    bed.assert_quiet_and_sound().await;
    // A person copies the one file and runs the job, which reads nothing else.
    {
        let mut world = bed.sim.lock();
        let missing = missing_file(&world);
        let (key, body) = missing;
        let bucket = world.names.landing_zone_bucket.clone();
        world.person_writes(&bucket, &key, body);
        let name = world.names.backdated_workflow.clone();
        let properties = [("import_date".to_owned(), "20260615".to_owned())].into();
        world.start_workflow_run(&name, &properties).unwrap();
    }
    assert_eq!(bed.status(GAP).await, DateStatus::Partial, "not yet");
    bed.clock.sleep(Duration::from_hours(4)).await;
    assert!(bed.sim.lock().is_whole(date(GAP)));
    assert_eq!(bed.status(GAP).await, DateStatus::Available, "the copy proves it");
    bed.assert_quiet_and_sound().await;
}

/// The exported file that the copy lacks: its key there, and its bytes.
fn missing_file(world: &gapmend::sim::World) -> (String, gapmend::sim::Body) {
    let id = world.names.backdated_id(date(GAP));
    let exported = world.list_objects(&world.names.export_bucket, &id, None, usize::MAX).unwrap();
    let copied = world.copied_files(date(GAP));
    let name = |key: &str| key.rsplit('/').next().unwrap().to_owned();
    let names: Vec<String> = copied.iter().map(|key| name(key)).collect();
    let lost = exported
        .into_iter()
        .find(|file| file.key.ends_with(".parquet") && !names.contains(&name(&file.key)))
        .unwrap();
    let table = lost.key.split('/').nth(2).unwrap().to_owned();
    let path = "import_year=2026/import_month=06/import_day=15/import_date=20260615";
    (format!("parking/liberator/{table}/{path}/{}", name(&lost.key)), lost.body)
}

#[tokio::test]
async fn half_a_copy_is_not_published_and_its_end_names_the_call_that_finishes_it() {
    let bed = gap_with(Profile { copier_cut_off: Times::First(1), ..Profile::default() });
    let healed = bed.heal().await;
    let run = only_run(&bed, &healed.runs);
    assert_eq!(reason_of(&run), Some(FailureReason::CopyIncomplete), "{run:#?}");
    assert_eq!(run.stage, Stage::Copy);
    let detail = &run.end.as_ref().unwrap().detail;
    assert!(detail.contains("lacks 7 of the 14 files"), "{detail}");
    assert!(detail.contains("SourceIdentifier"), "{detail}");
    assert_eq!(bed.calls_of("glue:StartWorkflowRun"), 0);
    let verdict = bed.verdict(GAP).await;
    assert_eq!(verdict.status, DateStatus::Unpublished);
    assert!(verdict.next.contains("SourceIdentifier"), "{}", verdict.next);
    bed.assert_quiet_and_sound().await;
    let id = bed.sim.lock().names.backdated_id(date(GAP));
    bed.sim.lock().person_invokes_copier(&id);
    bed.clock.sleep(Duration::from_hours(4)).await;
    assert_eq!(bed.status(GAP).await, DateStatus::Available);
    bed.assert_one_copy(GAP);
    bed.assert_quiet_and_sound().await;
}

#[tokio::test]
async fn a_snapshot_that_waits_for_its_export_is_not_deleted_by_another_load() {
    let never = Profile { export_never_starts: Times::First(1), ..Profile::default() };
    let world = world().gap(date(GAP)).gap(date(OTHER_GAP)).no_supplier();
    let bed = Bed::new(world.profile(date(GAP), never), "");
    let mut engine = bed.acting_engine().await;
    bed.serve_until(&mut engine, bed.clock.now() + TimeDelta::hours(30)).await;
    let runs = engine.ledger().state().runs.clone();
    let run = only_run(&bed, &runs);
    assert_eq!((run.stage, reason_of(&run)), (Stage::Snapshot, Some(FailureReason::NotExported)));
    let verdict = bed.verdict(GAP).await;
    assert_eq!(verdict.status, DateStatus::Quarantined);
    assert!(verdict.reason.contains("SourceArn"), "{}", verdict.reason);
    assert_eq!(bed.status(OTHER_GAP).await, DateStatus::Missing, "it waits");
    let id = bed.sim.lock().names.backdated_id(date(GAP));
    bed.sim.lock().person_asks_for_export(&id);
    bed.serve_until(&mut engine, bed.clock.now() + TimeDelta::hours(24)).await;
    for day in [GAP, OTHER_GAP] {
        bed.assert_one_copy(day);
        assert_eq!(bed.status(day).await, DateStatus::Available);
    }
    assert_eq!(bed.calls_of("ecs:RunTask"), 2);
    engine.ledger_mut().leave().await.unwrap();
    bed.assert_quiet_and_sound().await;
}

#[tokio::test]
async fn a_task_that_ecs_shows_for_hours_after_its_end_does_not_hold_up_its_date() {
    let lingers = Profile { lingers: Duration::from_hours(9), ..Profile::default() };
    let bed = Bed::new(world().gap(date(GAP)).no_supplier().profile(date(GAP), lingers), "");
    let mut engine = bed.acting_engine().await;
    bed.serve_until(&mut engine, bed.clock.now() + TimeDelta::hours(6)).await;
    let run = only_run(&bed, &engine.ledger().state().runs.clone());
    assert_eq!(run.end.as_ref().unwrap().outcome, RunOutcome::Succeeded, "{run:#?}");
    bed.assert_one_copy(GAP);
    engine.ledger_mut().leave().await.unwrap();
    bed.clock.sleep(Duration::from_hours(9)).await;
    bed.assert_quiet_and_sound().await;
}
