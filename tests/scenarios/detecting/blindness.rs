//! "Everything is missing" is never believed: what could not be seen is not absent.

use gapmend::daemon::Engine;
use gapmend::domain::PassOutcome;
use gapmend::sim::{FaultKind, FaultWhen, Moment, World};

use super::super::bed::{Bed, date, keys_of, world};
use super::TABLES;

/// A daemon that saw everything once, in a world with one gap that may not be started yet.
async fn after_a_clear_look() -> (Bed, Engine) {
    let hours = "[datasets.liberator.backfill]\nhours = \"14:00-18:00\"\n";
    let bed = Bed::new(world().gap(date("2026-06-15")), hours);
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

fn every_partition(world: &mut World) {
    let zones = world.names.raw.clone();
    for zone in &zones {
        for table in &zone.tables {
            for back in 0..40 {
                let day = date("2026-06-30") - chrono::Duration::days(back);
                world.unregister(&zone.database, table, day);
            }
        }
    }
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
    check_blind("partitions hidden", every_partition, "a collapse is not believed").await;
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
