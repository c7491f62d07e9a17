//! From the load to the raw zones.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::domain::TableId;
use crate::sim::{
    DumpKind, JobFailure, Names, Profile, RunStatus, TaskStatus, Times, WorkflowStart,
};

const NOWHERE: [usize; 7] = [0; 7];
const ONCE: [usize; 7] = [1; 7];

/// A world in which only this is wrong with the gap, and its backdated run has had a day.
fn after_a_run(profile: Profile) -> crate::sim::Sim {
    let sim = with_gap().no_supplier().profile(gap(), profile).build();
    let mut world = sim.lock();
    start(&mut world, gap());
    pass_hours(&mut world, 24);
    drop(world);
    sim
}

#[test]
fn a_whole_backdated_ingestion_yields_exactly_one_copy() {
    let sim = with_gap().build();
    let mut world = sim.lock();
    assert_eq!(copies(&world, gap()), NOWHERE);
    let task = start(&mut world, gap());
    pass_hours(&mut world, 8);
    assert_eq!(exit_code(&world, &task), Some(0));
    assert_eq!(logs(&world, &task).last().unwrap(), "Done");
    assert_eq!(copies(&world, gap()), ONCE);
    assert!(world.is_whole(gap()));
    let table = &world.names.raw[0];
    let expression = "import_date = '20261110'";
    let rows = world.partitions(&table.database, "liberator_pcn", Some(expression)).unwrap();
    assert_eq!(rows.len(), 1);
    let location = rows[0].location.as_deref().unwrap().to_owned();
    let prefix = location.strip_prefix("s3://dataplatform-prod-raw-zone/").unwrap();
    assert_eq!(world.list_objects(&world.names.raw_bucket, prefix, None, 10).unwrap().len(), 1);
    assert!(world.incidents().is_empty(), "{:?}", world.incidents());
}

#[test]
fn a_live_night_yields_exactly_one_copy_of_its_day() {
    let sim = WorldBuilder::at(morning()).build();
    let mut world = sim.lock();
    pass_hours(&mut world, 24);
    assert!(world.is_whole(date("2026-11-22")));
    assert_eq!(world.fired_live_dumps().len(), 1);
    assert_eq!(world.wrong_data(), []);
}

#[test]
fn a_month_of_nights_goes_well_by_itself() {
    let sim = WorldBuilder::at(morning()).days(3).build();
    let mut world = sim.lock();
    pass_hours(&mut world, 24 * 30);
    for day in date("2026-11-20").iter_days().take(30) {
        assert!(world.is_whole(day), "{day}: {:?}", world.copies(day));
    }
    assert_eq!(world.wrong_data(), []);
    assert!(world.incidents().is_empty(), "{:?}", world.incidents());
}

#[test]
fn a_second_run_of_a_date_whose_export_exists_does_nothing() {
    let sim = after_a_run(Profile::default());
    let mut world = sim.lock();
    assert_eq!(copies(&world, gap()), ONCE);
    let again = start(&mut world, gap());
    pass_hours(&mut world, 24);
    assert_eq!(exit_code(&world, &again), Some(0));
    assert_eq!(copies(&world, gap()), ONCE);
    assert!(world.incidents().iter().any(|each| each.what.contains("ExportTaskAlreadyExists")));
}

#[test]
fn a_failed_export_spends_its_id_too() {
    let sim = after_a_run(Profile { export_fails: Times::First(1), ..Profile::default() });
    let mut world = sim.lock();
    let id = world.names.backdated_id(gap());
    assert_eq!(world.export_tasks(Some(&id), None).unwrap()[0].status, "FAILED");
    start(&mut world, gap());
    pass_hours(&mut world, 24);
    assert_eq!(copies(&world, gap()), NOWHERE);
}

#[test]
fn two_loads_at_once_mix_their_rows_in_what_lands() {
    let sim = with_gap().gap(date("2026-11-11")).no_supplier().build();
    let mut world = sim.lock();
    start(&mut world, gap());
    pass_minutes(&mut world, 60);
    start(&mut world, date("2026-11-11"));
    pass_minutes(&mut world, 10);
    assert_eq!(world.overlaps().len(), 1);
    assert_eq!(world.database_rows(), [gap(), date("2026-11-11")]);
    pass_hours(&mut world, 24);
    let wrong: Vec<_> = world.wrong_data().into_iter().map(|(_, date, _)| date).collect();
    assert!(wrong.contains(&gap()) && wrong.contains(&date("2026-11-11")));
}

#[test]
fn a_task_stopped_before_the_other_drops_the_database_mixes_nothing() {
    let sim = with_gap().build();
    let mut world = sim.lock();
    let ours = start(&mut world, gap());
    pass_minutes(&mut world, 30);
    world.person_runs_task(Some(date("2026-11-12"))).unwrap();
    pass_minutes(&mut world, 2);
    let cluster = world.names.cluster.clone();
    world.stop_task(&cluster, &ours, "yielding to a live run").unwrap();
    pass_minutes(&mut world, 10);
    assert_eq!(exit_code(&world, &ours), Some(137));
    assert!(world.overlaps().is_empty());
    assert_eq!(world.database_rows(), [date("2026-11-12")]);
}

#[test]
fn a_snapshot_that_is_being_made_kills_the_next_task() {
    let sim = with_gap().gap(date("2026-11-11")).build();
    let mut world = sim.lock();
    start(&mut world, gap());
    pass_minutes(&mut world, 80);
    let id = world.names.backdated_id(gap());
    assert_eq!(world.db_snapshots(None, Some(&id)).unwrap()[0].status, "creating");
    let next = start(&mut world, date("2026-11-11"));
    pass_minutes(&mut world, 10);
    assert_eq!(exit_code(&world, &next), Some(1));
    assert!(logs(&world, &next).iter().any(|line| line.contains("InvalidDBSnapshotState")));
}

#[test]
fn a_task_without_a_dump_deletes_the_snapshots_all_the_same() {
    let sim = WorldBuilder::at(morning()).no_dump(gap()).build();
    let mut world = sim.lock();
    assert_eq!(world.db_snapshots(None, None).unwrap().len(), 2);
    let task = start(&mut world, gap());
    pass_minutes(&mut world, 10);
    assert_eq!(exit_code(&world, &task), Some(1));
    let left = world.db_snapshots(None, None).unwrap();
    assert_eq!(left.len(), 1, "only the one of AWS Backup");
    assert!(left[0].id.starts_with("awsbackup"));
}

#[test]
fn a_snapshot_deleted_before_its_export_began_loses_the_date() {
    let sim = with_gap().gap(date("2026-11-11")).no_supplier().build();
    let mut world = sim.lock();
    start(&mut world, gap());
    let id = world.names.backdated_id(gap());
    let is_available = |world: &World| {
        let found = world.db_snapshots(None, Some(&id));
        found.is_ok_and(|snapshots| snapshots[0].status == "available")
    };
    while !is_available(&world) {
        pass_seconds(&mut world, 5);
    }
    world.timing.export_start = Duration::from_mins(10);
    let mut other = world.target_request().unwrap();
    other.client_token = None;
    // The next task's container begins 80 s from now; the export lambda comes after a minute.
    world.timing.pending = Duration::ZERO;
    world.run_task(&other).unwrap();
    pass_hours(&mut world, 12);
    assert_eq!(copies(&world, gap()), NOWHERE);
    assert!(world.incidents().iter().any(|each| each.what.contains("DBSnapshotNotFound")));
}

#[test]
fn a_workflow_is_completed_although_a_job_failed_and_left_a_part() {
    let failure = JobFailure { zone: 0, tables_written: 2, times: Times::First(1) };
    let sim = after_a_run(Profile { job_fails: Some(failure), ..Profile::default() });
    let mut world = sim.lock();
    let name = world.names.backdated_workflow.clone();
    let run = world.workflow_runs(&name).unwrap().remove(0);
    assert_eq!(run.status, RunStatus::Completed);
    let statistics = run.statistics();
    assert_eq!((statistics.total, statistics.succeeded, statistics.failed), (3, 2, 1));
    assert_eq!(copies(&world, gap()).iter().sum::<usize>(), 4);
    // The bookmark was not saved: the same again appends what was written before (H8).
    world.start_workflow_run(&name, &import_date("20261110")).unwrap();
    pass_hours(&mut world, 4);
    assert_eq!(copies(&world, gap()).iter().filter(|copies| **copies == 2).count(), 2);
}

fn import_date(value: &str) -> BTreeMap<String, String> {
    [("import_date".to_owned(), value.to_owned())].into()
}

#[test]
fn after_a_failed_crawl_the_jobs_never_start_and_the_run_is_completed() {
    let sim = after_a_run(Profile { crawl_fails: Times::First(1), ..Profile::default() });
    let world = sim.lock();
    let run = world.workflow_runs(&world.names.backdated_workflow).unwrap().remove(0);
    assert_eq!(run.status, RunStatus::Completed);
    assert!(run.job_runs.values().all(Vec::is_empty));
    assert_eq!(run.statistics().total, 1);
    assert_eq!(copies(&world, gap()), NOWHERE);
}

#[test]
fn a_workflow_that_never_started_can_be_started_by_hand() {
    let never = WorkflowStart::Never;
    let sim = after_a_run(Profile { workflow_start: never, ..Profile::default() });
    let mut world = sim.lock();
    let name = world.names.backdated_workflow.clone();
    assert!(world.workflow_runs(&name).unwrap().is_empty());
    world.start_workflow_run(&name, &import_date("20261110")).unwrap();
    pass_hours(&mut world, 4);
    assert_eq!(copies(&world, gap()), ONCE);
}

#[test]
fn a_workflow_started_for_a_date_without_landing_files_succeeds_and_writes_nothing() {
    let sim = with_gap().no_supplier().build();
    let mut world = sim.lock();
    let name = world.names.backdated_workflow.clone();
    let id = world.start_workflow_run(&name, &import_date("20261110")).unwrap();
    pass_hours(&mut world, 4);
    let run = world.workflow_run(&name, &id).unwrap();
    assert_eq!((run.status, run.statistics().succeeded), (RunStatus::Completed, 3));
    assert_eq!(copies(&world, gap()), NOWHERE);
}

#[test]
fn a_workflow_started_twice_has_two_runs_of_one_date() {
    let sim = after_a_run(Profile { workflow_start: WorkflowStart::Twice, ..Profile::default() });
    let world = sim.lock();
    let runs = world.workflow_runs(&world.names.backdated_workflow).unwrap();
    assert_eq!(runs.len(), 2);
    assert!(runs.iter().all(|run| run.properties["import_date"] == "20261110"));
    let unlucky = runs.iter().find(|run| run.statistics().failed == 1).unwrap();
    assert!(unlucky.crawls[0].error.as_ref().unwrap().contains("CrawlerRunningException"));
    assert_eq!(copies(&world, gap()), ONCE);
}

#[test]
fn the_next_live_job_appends_a_young_backdated_date_once_more() {
    let young = date("2026-11-20");
    let sim = WorldBuilder::at(morning()).gap(young).build();
    let mut world = sim.lock();
    start(&mut world, young);
    pass_hours(&mut world, 8);
    assert_eq!(copies(&world, young), ONCE);
    pass_hours(&mut world, 24);
    assert_eq!(copies(&world, young), [2; 7]);
    assert_eq!(world.wrong_data().len(), 7);
}

#[test]
fn landing_files_older_than_the_bookmark_are_taken_for_processed() {
    let never = Profile { workflow_start: WorkflowStart::Never, ..Profile::default() };
    let sim = with_gap().gap(date("2026-11-11")).no_supplier().profile(gap(), never).build();
    let mut world = sim.lock();
    start(&mut world, gap());
    pass_hours(&mut world, 6);
    start(&mut world, date("2026-11-11"));
    pass_hours(&mut world, 8);
    let name = world.names.backdated_workflow.clone();
    world.start_workflow_run(&name, &import_date("20261110")).unwrap();
    pass_hours(&mut world, 4);
    assert_eq!(copies(&world, date("2026-11-11")), ONCE);
    assert_eq!(copies(&world, gap()), NOWHERE);
}

#[test]
fn two_copiers_at_once_start_both_runs_for_the_later_date() {
    let sim = with_gap().gap(date("2026-11-11")).no_supplier().build();
    let mut world = sim.lock();
    let late = Duration::from_hours(4);
    let script = Profile { workflow_start: WorkflowStart::Late(late), ..Profile::default() };
    world.profiles.insert(gap(), script);
    start(&mut world, gap());
    pass_hours(&mut world, 2);
    start(&mut world, date("2026-11-11"));
    pass_hours(&mut world, 20);
    let runs = world.workflow_runs(&world.names.backdated_workflow).unwrap();
    assert!(runs.iter().all(|run| run.properties["import_date"] == "20261111"), "H4");
    assert_eq!(copies(&world, gap()), NOWHERE);
}

#[test]
fn left_overs_of_an_older_export_are_copied_too() {
    let sim = with_gap().no_supplier().build();
    let mut world = sim.lock();
    let id = world.names.backdated_id(gap());
    let key = format!("{id}-old/liberator/liberator.pcn/1/part-00000-0.gz.parquet");
    let bucket = world.names.export_bucket.clone();
    world.put_object(&bucket, &key, "PAR1\n2026-11-10\nPAR1", true).unwrap();
    start(&mut world, gap());
    pass_hours(&mut world, 8);
    let database = world.names.raw[0].database.clone();
    let copies = world.copies(gap());
    let of = |table: &str| copies[&TableId { database: database.clone(), table: table.to_owned() }];
    assert_eq!((of("liberator_pcn"), of("liberator_hub")), (2, 1));
}

#[test]
fn an_export_that_skips_a_table_completes_with_a_warning() {
    let skips = ["liberator_pcn".to_owned()].into();
    let sim = after_a_run(Profile { export_skips: skips, ..Profile::default() });
    let world = sim.lock();
    let id = world.names.backdated_id(gap());
    let export = world.export_tasks(Some(&id), None).unwrap().remove(0);
    assert_eq!(export.status, "COMPLETE");
    assert!(export.warning.unwrap().contains("liberator_pcn"));
    assert_eq!(copies(&world, gap()).iter().sum::<usize>(), 6);
}

#[test]
fn the_copier_loses_a_table_and_everything_says_success() {
    let loses = ["liberator_fpn_notice".to_owned()].into();
    let sim = after_a_run(Profile { copy_loses: loses, ..Profile::default() });
    let world = sim.lock();
    let run = world.workflow_runs(&world.names.backdated_workflow).unwrap().remove(0);
    assert_eq!(run.statistics().succeeded, 3);
    let fpn = &world.names.raw[1].database;
    assert!(world.generations(fpn, "liberator_fpn_notice", gap()).is_empty());
    assert_eq!(world.generations(fpn, "liberator_fpn_payment", gap()).len(), 1);
}

#[test]
fn bad_dumps_end_the_task_before_a_snapshot_exists() {
    for kind in [DumpKind::Truncated, DumpKind::TwoSql, DumpKind::Tiny] {
        let sim = WorldBuilder::at(morning()).dump(gap(), kind).no_supplier().build();
        let mut world = sim.lock();
        let task = start(&mut world, gap());
        pass_hours(&mut world, 24);
        assert!(exit_code(&world, &task).is_some_and(|code| code != 0), "{kind:?}");
        let id = world.names.backdated_id(gap());
        assert_eq!(world.db_snapshots(None, Some(&id)).unwrap_err().code, "DBSnapshotNotFound");
    }
}

#[test]
fn another_dates_dump_lands_silently_under_the_wrong_date() {
    let kind = DumpKind::CopyOf(date("2026-11-09"));
    let sim = WorldBuilder::at(morning()).dump(gap(), kind).no_supplier().build();
    let mut world = sim.lock();
    let bucket = world.names.dump_bucket.clone();
    let etag_of = |world: &World, day| {
        world.object(&bucket, &world.names.dump_key_of(day), None).unwrap().etag.clone()
    };
    assert_eq!(etag_of(&world, gap()), etag_of(&world, date("2026-11-09")));
    start(&mut world, gap());
    pass_hours(&mut world, 24);
    assert_eq!(copies(&world, gap()), ONCE);
    assert!(!world.is_whole(gap()));
    assert_eq!(world.wrong_data().len(), 7);
}

#[test]
fn a_task_reads_one_spelling_of_the_name_only() {
    let sim = with_gap().old_name(gap()).build();
    let mut world = sim.lock();
    let task = start(&mut world, gap());
    pass_minutes(&mut world, 10);
    assert_eq!(exit_code(&world, &task), Some(1));
    world.names.dump_key = "liberator_dump_%y%m%d.zip".to_owned();
    start(&mut world, gap());
    pass_hours(&mut world, 8);
    assert!(world.is_whole(gap()));
}

#[test]
fn a_table_that_the_old_dump_lacks_never_appears() {
    let absent = ["liberator_permit".to_owned()].into();
    let sim = after_a_run(Profile { tables_absent: absent, ..Profile::default() });
    let world = sim.lock();
    assert_eq!(copies(&world, gap()).iter().sum::<usize>(), 6);
}

#[test]
fn success_without_partitions_is_possible() {
    let sim = after_a_run(Profile { writes_nothing: Times::First(2), ..Profile::default() });
    let world = sim.lock();
    let run = world.workflow_runs(&world.names.backdated_workflow).unwrap().remove(0);
    assert_eq!(run.statistics().succeeded, 3);
    assert_eq!(copies(&world, gap()), NOWHERE);
}

#[test]
fn tasks_fail_as_their_script_says() {
    let lines = vec!["ERROR 1064 (42000) at line 7".to_owned()];
    let exits = Profile { exits_1: Times::First(1), log_lines: lines, ..Profile::default() };
    let sim = after_a_run(exits);
    let world = sim.lock();
    let task = world.tasks()[0].arn.clone();
    assert_eq!(exit_code(&world, &task), Some(1));
    assert!(logs(&world, &task).concat().contains("ERROR 1064"));

    let sim = after_a_run(Profile { hangs: Times::Always, ..Profile::default() });
    assert_eq!(sim.lock().tasks()[0].last_status, TaskStatus::Running);

    let sim = after_a_run(Profile { never_starts: Times::Always, ..Profile::default() });
    assert_eq!(sim.lock().tasks()[0].last_status, TaskStatus::Provisioning);

    let sim = after_a_run(Profile { fails_to_start: Times::Always, ..Profile::default() });
    let world = sim.lock();
    let task = world.tasks()[0];
    assert_eq!((task.stop_code, task.exit_code), (Some("TaskFailedToStart"), None));
}

#[test]
fn a_task_without_a_security_group_cannot_reach_the_database() {
    let sim = with_gap().build();
    let mut world = sim.lock();
    let mut request = backdated(&world, gap(), "t");
    request.network.as_mut().unwrap().security_groups.clear();
    let task = world.run_task(&request).unwrap().tasks[0].arn.clone();
    pass_minutes(&mut world, 30);
    assert_eq!(exit_code(&world, &task), Some(1));
    assert!(world.loads().is_empty());
}

#[test]
fn an_instance_that_is_busy_refuses_the_snapshot_after_the_whole_load() {
    let sim = with_gap().build();
    let mut world = sim.lock();
    let task = start(&mut world, gap());
    pass_minutes(&mut world, 60);
    world.set_instance_status("backing-up");
    pass_minutes(&mut world, 60);
    assert_eq!(exit_code(&world, &task), Some(1));
    assert!(logs(&world, &task).last().unwrap().contains("InvalidDBInstanceState"));
}

#[test]
fn a_world_of_the_same_seed_and_calls_is_the_same_world() {
    let run = || {
        let sim = with_gap().seed(7).build();
        let mut world = sim.lock();
        start(&mut world, gap());
        pass_hours(&mut world, 48);
        format!("{:?} {:?}", world.tasks(), world.workflow_runs(&Names::default().live_workflow))
    };
    assert_eq!(run(), run());
}

#[test]
fn an_event_that_never_comes_ends_the_date_silently_at_every_stage() {
    let never = Times::Always;
    for profile in [
        Profile { export_never_starts: never, ..Profile::default() },
        Profile { copier_never_runs: never, ..Profile::default() },
        Profile { snapshot_fails: never, ..Profile::default() },
    ] {
        let sim = after_a_run(profile);
        let world = sim.lock();
        assert_eq!(copies(&world, gap()), NOWHERE);
        assert_eq!(world.incidents().len(), 1);
    }
}
