//! "Everything is missing" is never believed: what could not be seen is not absent.

use gapmend::daemon::Engine;
use gapmend::domain::{DateFormat, DateStatus, PassOutcome};
use gapmend::platform::Clock;
use gapmend::sim::{FaultKind, FaultWhen, Moment, World};

use super::super::bed::{Bed, date, keys_of, world};
use super::TABLES;

/// A world with one gap that may not be started yet.
fn before_hours() -> Bed {
    let hours = "[datasets.liberator.backfill]\nhours = \"14:00-18:00\"\n";
    Bed::new(world().gap(date("2026-06-15")), hours)
}

/// A daemon that saw everything once.
async fn after_a_clear_look() -> (Bed, Engine) {
    let bed = before_hours();
    let mut engine = bed.acting_engine().await;
    let pass = engine.pass("liberator").await;
    assert_eq!(pass.outcome, PassOutcome::Skipped, "{}", pass.detail);
    (bed, engine)
}

/// After a change of the world the next process sees nothing that it believes.
async fn check_blind(what: &str, change: impl FnOnce(&mut World), words: &str) {
    let (bed, engine) = after_a_clear_look().await;
    drop(engine);
    change(&mut bed.sim.lock());
    let mut engine = bed.acting_engine().await;
    let pass = engine.pass("liberator").await;
    assert_eq!(pass.outcome, PassOutcome::Error, "{what}: {}", pass.detail);
    assert!(pass.detail.contains(words), "{what}: {}", pass.detail);
    assert!(engine.last_plan("liberator").unwrap().census.is_none(), "{what}");
    assert_eq!(bed.calls_of("ecs:RunTask"), 0, "{what}");
}

/// The catalog shows nothing of so many days, in these raw zones.
fn hide_partitions(world: &mut World, zones: std::ops::Range<usize>, days: i64) {
    let zones = world.names.raw[zones].to_vec();
    for zone in zones {
        for table in &zone.tables {
            for back in 0..days {
                let day = date("2026-06-30") - chrono::Duration::days(back);
                world.unregister(&zone.database, table, day);
            }
        }
    }
}

fn every_partition(world: &mut World) {
    hide_partitions(world, 0..2, 40);
}

fn denied(operation: &'static str) -> impl FnOnce(&mut World) {
    move |world| {
        world.faults.add(operation, FaultWhen::Always, FaultKind::Denied, Moment::Before);
    }
}

#[tokio::test]
async fn a_catalog_that_suddenly_shows_far_less_is_not_believed() {
    let hide_two = |world: &mut World| {
        let database = world.names.raw[0].database.clone();
        world.drop_table(&database, TABLES[0]);
        world.drop_table(&database, TABLES[1]);
    };
    check_blind("tables hidden", hide_two, "a collapse is not believed").await;
    let most = |world: &mut World| hide_partitions(world, 0..2, 20);
    check_blind("partitions hidden", most, "a collapse is not believed").await;
    check_blind("all of them", every_partition, "no table of it has any partition").await;
    let hide_zone = |world: &mut World| {
        let zone = world.names.raw[1].clone();
        for table in &zone.tables {
            world.drop_table(&zone.database, table);
        }
    };
    check_blind("a source without tables", hide_zone, "no table matches").await;
}

#[tokio::test]
async fn what_is_denied_is_not_absent() {
    for operation in ["glue:GetTables", "glue:GetPartitions", "s3:ListObjectsV2"] {
        check_blind(operation, denied(operation), "denied").await;
    }
}

#[tokio::test]
async fn one_table_that_was_dropped_is_no_collapse() {
    let (bed, engine) = after_a_clear_look().await;
    drop(engine);
    {
        let mut world = bed.sim.lock();
        let database = world.names.raw[0].database.clone();
        world.drop_table(&database, TABLES[0]);
    }
    let mut engine = bed.acting_engine().await;
    let pass = engine.pass("liberator").await;
    assert_eq!(pass.outcome, PassOutcome::Skipped, "{}", pass.detail);
}

#[tokio::test]
async fn a_candidate_is_looked_at_once_more_by_its_values_and_its_objects() {
    let (bed, mut engine) = after_a_clear_look().await;
    // Meanwhile somebody heals one table by hand; the scan knows nothing of it.
    {
        let mut world = bed.sim.lock();
        let bucket = world.names.raw_bucket.clone();
        let key = keys_of(&world, "liberator_hub", "2026-06-14")[0].clone();
        let key = key.replace("20260614", "20260615").replace("import_day=14", "import_day=15");
        world.put_object(&bucket, &key, b"parquet".to_vec(), false).unwrap();
    }
    bed.sim.lock().forget_calls();
    let at_two = "2026-06-30T13:05:00Z".parse().unwrap();
    bed.serve_until(&mut engine, at_two).await;
    assert_eq!(bed.calls_of("ecs:RunTask"), 0, "{:?}", bed.sim.lock().tasks());
    assert_eq!(bed.calls_of("glue:BatchGetPartition"), TABLES.len());
}

/// What a first look, with nothing to compare with, says of a world.
async fn check_first_look(what: &str, change: impl FnOnce(&mut World), words: &[&str]) {
    let bed = Bed::new(world().gap(date("2026-06-15")), "");
    change(&mut bed.sim.lock());
    let mut engine = bed.acting_engine().await;
    let pass = engine.pass("liberator").await;
    assert_eq!(pass.outcome, PassOutcome::Error, "{what}: {}", pass.detail);
    for words in words {
        assert!(pass.detail.contains(words), "{what}: {}", pass.detail);
    }
    assert!(engine.last_plan("liberator").unwrap().census.is_none(), "{what}");
    assert_eq!(bed.calls_of("ecs:RunTask"), 0, "{what}");
}

#[tokio::test]
async fn a_first_look_that_finds_no_partition_at_all_is_blind_and_not_a_year_of_gaps() {
    check_first_look("all hidden", every_partition, &["no table of it has any partition"]).await;
    let one_source = |world: &mut World| hide_partitions(world, 1..2, 40);
    check_first_look("a source hidden", one_source, &["raw.env-enforcement"]).await;
    check_first_look("denied", denied("glue:GetPartitions"), &["denied"]).await;
}

#[tokio::test]
async fn a_window_without_any_partition_is_believed_when_there_are_older_ones() {
    // Forty days of history, of which the window's 25 are lost: the pipeline stood still.
    let bed = Bed::new(world().days(40).no_supplier(), "");
    for table in TABLES {
        for back in 0..27 {
            let day = date("2026-06-30") - chrono::Duration::days(back);
            bed.purge(table, &day.to_string());
        }
    }
    let verdict = bed.verdict("2026-06-15").await;
    // The nightly's copy of it is still there.
    assert_eq!(verdict.status, DateStatus::Unpublished, "{}", verdict.reason);
}

#[tokio::test]
async fn a_scan_that_loses_any_one_of_its_calls_is_blind_and_never_half() {
    let lists = ["glue:GetTables", "glue:GetPartitions", "s3:ListObjectsV2"];
    let (whole, _) = after_a_clear_look().await;
    for operation in lists {
        let calls = whole.calls_of(operation) as u64;
        assert!(calls > 0, "{operation}");
        let kinds = [FaultKind::Throttle, FaultKind::Timeout];
        for (call, kind) in (1..=calls).flat_map(|call| kinds.map(|kind| (call, kind))) {
            let bed = before_hours();
            let when = FaultWhen::Call(call);
            bed.sim.lock().faults.add(operation, when, kind, Moment::Before);
            let mut engine = bed.acting_engine().await;
            let pass = engine.pass("liberator").await;
            let what = format!("{kind:?} of {operation}, call {call}: {}", pass.detail);
            if concerns_one_date(&bed, operation, call) {
                assert_eq!(pass.outcome, PassOutcome::Skipped, "{what}");
                continue; // its start looks again, and is blind then
            }
            assert_eq!(pass.outcome, PassOutcome::Error, "{what}");
            assert!(engine.last_plan("liberator").unwrap().census.is_none(), "{what}");
            // It passes, and the next look is whole.
            bed.clock.sleep(std::time::Duration::from_mins(6)).await;
            let pass = engine.pass("liberator").await;
            assert_eq!(pass.outcome, PassOutcome::Skipped, "{what}, then {}", pass.detail);
        }
    }
}

/// Whether the n-th call of that kind was about the copy of a date.
fn concerns_one_date(bed: &Bed, operation: &str, call: u64) -> bool {
    let world = bed.sim.lock();
    let mut calls = world.calls().iter().filter(|it| it.operation == operation);
    let target = calls.nth(usize::try_from(call).unwrap() - 1).map(|it| it.target.clone());
    let buckets = [&world.names.landing_zone_bucket, &world.names.export_bucket];
    target.is_some_and(|target| buckets.iter().any(|bucket| target.starts_with(bucket.as_str())))
}

/// A format that fits no value, or a few by accident, made every date missing, and be loaded a
/// second time.
#[tokio::test]
async fn values_that_are_no_dates_in_the_format_are_blind() {
    for (format, is_blind) in
        [("%Y%d%m", true), ("%d%m%Y", true), ("%Y-%m-%d", false), ("%d.%m.%Y", false)]
    {
        let bed = Bed::with_dataset(world(), "", |dataset| {
            for source in dataset.raw.values_mut() {
                source.partition_format = DateFormat::new(format).unwrap();
            }
        });
        let mut engine = bed.acting_engine().await;
        let pass = engine.pass("liberator").await;
        assert_eq!(bed.calls_of("ecs:RunTask"), 0, "{format}");
        if is_blind {
            assert_eq!(pass.outcome, PassOutcome::Error, "{format}: {}", pass.detail);
            assert!(pass.detail.contains("are no dates like"), "{format}: {}", pass.detail);
        } else {
            // Whatever the format, `20260615` is one day only.
            assert_eq!(pass.outcome, PassOutcome::NothingToDo, "{format}: {}", pass.detail);
        }
    }
}

/// Slots that the ledger says were missed, over all of its scans.
fn missed_slots(bed: &Bed) -> u64 {
    let numbers = |bytes: &Vec<u8>| {
        let entry: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        let events = entry["events"].as_array().unwrap().clone();
        events.iter().map(|event| event["scan"]["missed_slots"].as_u64().unwrap_or(0)).sum::<u64>()
    };
    bed.store.entries().values().map(|bytes| numbers(&bytes.to_vec())).sum()
}

#[tokio::test]
async fn a_missed_slot_is_counted_once_however_often_an_incomplete_scan_is_tried_again() {
    let (bed, engine) = after_a_clear_look().await;
    drop(engine);
    bed.clock.sleep(std::time::Duration::from_hours(72)).await;
    denied("glue:GetTables")(&mut bed.sim.lock());
    let mut engine = bed.acting_engine().await;
    for _ in 0..4 {
        let pass = engine.pass("liberator").await;
        assert_eq!(pass.outcome, PassOutcome::Error, "{}", pass.detail);
        bed.clock.sleep(std::time::Duration::from_mins(6)).await;
    }
    assert_eq!(missed_slots(&bed), 2, "three nights are due, and the last is being tried");
    drop(engine);
    let mut engine = bed.acting_engine().await;
    engine.pass("liberator").await;
    assert_eq!(missed_slots(&bed), 2, "a new process reads in the ledger that they were counted");
}
