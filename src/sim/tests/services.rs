//! The services' own manners: tokens, listings, conditional writes, faults.

use bytes::Bytes;

use super::*;
use crate::sim::{
    Body, DesiredStatus, DumpKind, FaultKind, FaultWhen, Moment, Profile, TaskFilter, TaskStatus,
    Times, WriteIf, zip,
};

#[test]
fn the_same_token_and_parameters_start_one_task_and_others_are_a_conflict() {
    let sim = with_gap().build();
    let mut world = sim.lock();
    let request = backdated(&world, gap(), "token");
    let first = world.run_task(&request).unwrap().tasks[0].arn.clone();
    let second = world.run_task(&request).unwrap().tasks[0].arn.clone();
    assert_eq!(first, second);
    let other = backdated(&world, date("2026-11-11"), "token");
    let conflict = world.run_task(&other).unwrap_err();
    assert_eq!((conflict.code, conflict.resource_ids), ("ConflictException", vec![first]));
    pass_hours(&mut world, 24);
    assert_eq!(world.run_task(&request).unwrap().tasks.len(), 1);
    assert_eq!(world.tasks().iter().filter(|task| !task.live).count(), 2, "a day later it is new");
}

#[test]
fn a_task_is_missing_at_first_then_lives_and_is_forgotten_an_hour_after_its_end() {
    let sim = with_gap().no_supplier().build();
    let mut world = sim.lock();
    let arn = start(&mut world, gap());
    let cluster = world.names.cluster.clone();
    let status = |world: &World| {
        let (tasks, failures) = world.describe_tasks(&cluster, std::slice::from_ref(&arn)).unwrap();
        assert_eq!(tasks.is_empty(), failures.iter().any(|failure| failure.reason == "MISSING"));
        tasks.first().map(|task| task.last_status)
    };
    assert_eq!(status(&world), None);
    let mut lives = Vec::new();
    for _ in 0..3000 {
        pass_seconds(&mut world, 5);
        let now = status(&world);
        if lives.last() != Some(&now) {
            lives.push(now);
        }
    }
    assert_eq!(
        lives,
        [
            Some(TaskStatus::Provisioning),
            Some(TaskStatus::Pending),
            Some(TaskStatus::Running),
            Some(TaskStatus::Deprovisioning),
            Some(TaskStatus::Stopped),
            None,
        ]
    );
}

#[test]
fn a_listing_shows_running_tasks_unless_asked_and_one_being_stopped_is_not_among_them() {
    let sim = with_gap().build();
    let mut world = sim.lock();
    let arn = start(&mut world, gap());
    pass_minutes(&mut world, 5);
    let cluster = world.names.cluster.clone();
    let running = TaskFilter { family: Some(world.names.family.clone()), ..TaskFilter::default() };
    let stopped =
        TaskFilter { desired_status: Some(DesiredStatus::Stopped), ..TaskFilter::default() };
    assert_eq!(world.list_tasks(&cluster, &running).unwrap(), std::slice::from_ref(&arn));
    assert!(world.list_tasks(&cluster, &stopped).unwrap().is_empty());
    let answer = world.stop_task(&cluster, &arn, "enough").unwrap();
    assert_eq!(answer.last_status, TaskStatus::Running, "it is still alive for a while");
    assert!(world.list_tasks(&cluster, &running).unwrap().is_empty());
    assert_eq!(world.list_tasks(&cluster, &stopped).unwrap(), [arn]);
    let both = TaskFilter { started_by: Some("x".into()), ..running };
    assert_eq!(world.list_tasks(&cluster, &both).unwrap_err().code, "InvalidParameterException");
    let error = world.list_tasks("elsewhere", &stopped).unwrap_err();
    assert_eq!(error.code, "ClusterNotFoundException");
}

#[test]
fn requests_that_ecs_would_refuse_are_refused() {
    let sim = with_gap().build();
    let mut world = sim.lock();
    let good = backdated(&world, gap(), "t");
    let mut bad = vec![good.clone(); 5];
    bad[0].network = None;
    bad[1].started_by = Some("2026:11".into());
    bad[2].client_token = Some("x".repeat(65));
    bad[3].overrides[0].name = "other".into();
    bad[4].network.as_mut().unwrap().subnets.clear();
    for request in &bad {
        let error = world.run_task(request).unwrap_err();
        assert_eq!(error.code, "InvalidParameterException", "{request:?}");
    }
    let unknown = RunTask { task_definition: "other:1".into(), ..good };
    assert_eq!(world.run_task(&unknown).unwrap_err().code, "ClientException");
    assert!(world.tasks().is_empty());
}

#[test]
fn a_capacity_refusal_is_an_answer_with_failures() {
    let refused = Profile { capacity_refused: Times::First(1), ..Profile::default() };
    let sim = with_gap().profile(gap(), refused).build();
    let mut world = sim.lock();
    let request = backdated(&world, gap(), "t");
    let answer = world.run_task(&request).unwrap();
    assert!(answer.tasks.is_empty() && answer.failures[0].reason.contains("Capacity"));
    assert_eq!(world.run_task(&request).unwrap().tasks.len(), 1);
}

#[test]
fn writes_that_must_create_fail_when_the_key_is_there() {
    let sim = WorldBuilder::at(morning()).build();
    let mut world = sim.lock();
    let bucket = world.names.ledger_bucket.clone();
    let etag = world.put_object(&bucket, "a", "words", true).unwrap();
    assert_eq!(etag.len(), 32);
    assert_eq!(world.put_object(&bucket, "a", "other", true).unwrap_err().status, 412);
    assert_eq!(world.copy_object(&bucket, "a", &bucket, "a", true).unwrap_err().status, 412);
    world.copy_object(&bucket, "a", &bucket, "b", true).unwrap();
    let error = world.object(&bucket, "b", Some("other")).unwrap_err();
    assert_eq!((error.code, error.status), ("PreconditionFailed", 412));
    assert!(world.object(&bucket, "b", Some(&format!("\"{etag}\""))).is_ok());
    assert_eq!(world.object(&bucket, "c", None).unwrap_err().code, "NoSuchKey");
    assert_eq!(world.object("elsewhere", "c", None).unwrap_err().code, "NoSuchBucket");
}

#[test]
fn listings_are_in_the_order_of_bytes() {
    let sim = WorldBuilder::at(morning()).build();
    let mut world = sim.lock();
    let bucket = world.names.ledger_bucket.clone();
    for key in ["p/ä", "p/Z", "p/a", "p/10", "p/9", "q/1", "p/😀", "p/\u{ffff}"] {
        world.put_object(&bucket, key, "", false).unwrap();
    }
    let keys = |prefix: &str, after: Option<&str>, most: usize| -> Vec<String> {
        let objects = world.list_objects(&bucket, prefix, after, most).unwrap();
        objects.into_iter().map(|object| object.key).collect()
    };
    assert_eq!(keys("p/", None, 99), ["p/10", "p/9", "p/Z", "p/a", "p/ä", "p/\u{ffff}", "p/😀"]);
    assert_eq!(keys("p/", Some("p/Z"), 2), ["p/a", "p/ä"]);
    assert_eq!(keys("p/", Some("a"), 1), ["p/10"]);
    assert!(keys("p/", Some("z"), 99).is_empty());
}

#[test]
fn an_upload_in_parts_becomes_one_object_when_completed_in_order() {
    let sim = WorldBuilder::at(morning()).build();
    let mut world = sim.lock();
    let bucket = world.names.ledger_bucket.clone();
    let upload = world.create_multipart_upload(&bucket, "big", None).unwrap();
    let one = world.upload_part(&upload, 1, Bytes::from_static(b"one ")).unwrap();
    let two = world.upload_part(&upload, 2, Bytes::from_static(b"two")).unwrap();
    let swapped = [(2, two.clone()), (1, one.clone())];
    let error = world.complete_multipart_upload(&upload, &swapped, WriteIf::Anything).unwrap_err();
    assert_eq!(error.code, "InvalidPartOrder");
    let parts = [(1, one), (2, two)];
    let etag = world.complete_multipart_upload(&upload, &parts, WriteIf::Absent).unwrap();
    assert!(etag.ends_with("-2"));
    assert_eq!(world.object(&bucket, "big", Some(&etag)).unwrap().body.bytes(), "one two");
    assert_eq!(world.abort_multipart_upload(&upload).unwrap_err().code, "NoSuchUpload");
    assert!(world.uploads(&bucket).is_empty());
}

#[test]
fn ranges_of_a_declared_object_are_right_across_its_seams() {
    let body = Body::declared(Bytes::from_static(b"head"), 4, Bytes::from_static(b"tail"));
    assert_eq!(body.len(), 12);
    assert_eq!(body.bytes(), &b"head\0\0\0\0tail"[..]);
    assert_eq!(body.range(2, 4), &b"ad\0\0"[..]);
    assert_eq!(body.range(5, 5), &b"\0\0\0ta"[..]);
    assert_eq!(body.range(10, 99), &b"il"[..]);
    assert_eq!(body.range(6, 1), &b"\0"[..]);
    assert!(body.range(12, 1).is_empty());
}

#[test]
fn zips_are_read_back_and_bad_ones_are_not_whole() {
    let day = gap();
    let whole = zip::read(&zip::dump_of(day, 4096).into()).unwrap();
    assert_eq!((whole.sql_files, whole.date), (1, Some(day)));
    let declared = zip::declared_dump_of(day, 20_000_000);
    assert!(declared.len() > 20_000_000);
    assert_eq!(zip::read(&declared).unwrap(), whole);
    let two = zip::dump(DumpKind::TwoSql, day, 4096).unwrap();
    assert_eq!(zip::read(&two).unwrap().sql_files, 2);
    assert!(zip::read(&zip::dump(DumpKind::Truncated, day, 4096).unwrap()).is_err());
    assert!(zip::read(&zip::dump(DumpKind::Tiny, day, 4096).unwrap()).is_err());
}

#[test]
fn history_is_laid_out_with_what_is_wrong_in_it() {
    let builder = WorldBuilder::at(morning()).days(10);
    let sim = builder
        .gap(date("2026-11-15"))
        .partial(date("2026-11-16"), &["liberator_pcn"])
        .unregistered(date("2026-11-17"))
        .empty(date("2026-11-18"))
        .no_dump(date("2026-11-19"))
        .both_names(date("2026-11-20"))
        .table_since("liberator_hub", date("2026-11-14"))
        .build();
    let world = sim.lock();
    let database = world.names.raw[0].database.clone();
    let dates = |table: &str| -> Vec<String> {
        let rows = world.partitions(&database, table, None).unwrap();
        rows.into_iter().map(|row| row.values[3].clone()).collect()
    };
    assert_eq!(
        dates("liberator_pcn"),
        ["20261112", "20261113", "20261114", "20261118", "20261120", "20261121"]
    );
    assert_eq!(
        dates("liberator_hub"),
        ["20261114", "20261116", "20261118", "20261120", "20261121"]
    );
    let dumps = world.list_objects(&world.names.dump_bucket, "parking/liberator_dump_2", None, 99);
    let spelled = |key: &str| key.len() == "parking/liberator_dump_20261112.zip".len();
    let dumps = dumps.unwrap();
    assert_eq!(dumps.iter().filter(|dump| spelled(&dump.key)).count(), 9 + 1, "and one impostor");
    assert_eq!(dumps.iter().filter(|dump| !spelled(&dump.key)).count(), 1);
    assert!(world.is_whole(date("2026-11-21")));
    assert_eq!(world.wrong_data(), []);
}

#[test]
fn unknown_databases_and_tables_are_errors_and_not_empty() {
    let sim = WorldBuilder::at(morning()).build();
    let world = sim.lock();
    assert_eq!(world.tables("elsewhere").unwrap_err().code, "EntityNotFoundException");
    let database = &world.names.raw[0].database;
    let error = world.partitions(database, "elsewhere", None).unwrap_err();
    assert_eq!(error.code, "EntityNotFoundException");
    assert_eq!(world.tables(database).unwrap().len(), 5);
}

#[test]
fn a_workflow_with_a_limit_refuses_until_the_copier_wipes_it() {
    let sim = with_gap().no_supplier().build();
    let mut world = sim.lock();
    let name = world.names.backdated_workflow.clone();
    world.workflow_mut(&name).unwrap().max_concurrent_runs = Some(1);
    let first = world.start_workflow_run(&name, &std::collections::BTreeMap::new()).unwrap();
    let error = world.start_workflow_run(&name, &std::collections::BTreeMap::new()).unwrap_err();
    assert_eq!(error.code, "ConcurrentRunsExceededException");
    world.stop_workflow_run(&name, &first).unwrap();
    assert_eq!(world.crawler(&world.names.backdated_crawler.clone()).unwrap().state, "READY");
    start(&mut world, gap());
    pass_hours(&mut world, 8);
    assert_eq!(world.workflow(&name).unwrap().max_concurrent_runs, None);
}

#[test]
fn faults_hit_the_calls_that_they_name_and_every_call_is_counted() {
    let sim = WorldBuilder::at(morning()).build();
    let mut world = sim.lock();
    world.faults.add("ecs:*", FaultWhen::Call(2), FaultKind::Throttle, Moment::Before);
    world.faults.add("s3:PutObject", FaultWhen::PerMille(500), FaultKind::Server, Moment::After);
    assert_eq!(world.receive("ecs:RunTask", "x"), None);
    assert_eq!(world.receive("ecs:ListTasks", "x"), None);
    assert_eq!(world.receive("ecs:RunTask", "x").unwrap().kind, FaultKind::Throttle);
    let puts: Vec<_> = (0..200).filter_map(|_| world.receive("s3:PutObject", "k")).collect();
    assert!((60..140).contains(&puts.len()), "{}", puts.len());
    assert_eq!(world.faults.calls("s3:PutObject"), 200);
    assert_eq!(world.calls().len(), 203);
    world.faults.clear();
    assert_eq!(world.receive("s3:PutObject", "k"), None);
}

#[test]
fn an_archived_dump_cannot_be_read_and_its_task_fails() {
    let sim = with_gap().build();
    let mut world = sim.lock();
    let (bucket, key) = (world.names.dump_bucket.clone(), world.names.dump_key_of(gap()));
    world.set_storage_class(&bucket, &key, "GLACIER").unwrap();
    assert_eq!(world.object(&bucket, &key, None).unwrap().storage_class, "GLACIER");
    assert_eq!(world.body(&bucket, &key, None).unwrap_err().code, "InvalidObjectState");
    let task = start(&mut world, gap());
    pass_minutes(&mut world, 10);
    assert_eq!(exit_code(&world, &task), Some(1));
}

#[test]
fn last_night_is_over_and_settled_when_the_world_begins() {
    let sim = WorldBuilder::at(morning()).build();
    let world = sim.lock();
    let run = world.workflow_runs(&world.names.live_workflow).unwrap().remove(0);
    assert_eq!((run.statistics().succeeded, run.is_running()), (3, false));
    assert_eq!(run.properties["import_date"], "20261121");
    assert!(run.completed_at.unwrap() < morning());
    let snapshots = world.db_snapshots(None, None).unwrap();
    assert!(snapshots.iter().all(|snapshot| snapshot.status == "available"));
    let nightly = snapshots.iter().find(|each| each.id.starts_with("sql-to-parquet")).unwrap();
    let exports = world.export_tasks(None, Some(&nightly.arn)).unwrap();
    assert_eq!(exports[0].status, "COMPLETE");
}
