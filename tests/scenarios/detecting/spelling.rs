//! A date that crawlers and people left under another spelling is never `missing`.

use gapmend::domain::{DateStatus, Flag, PassOutcome};
use gapmend::sim::World;

use super::super::bed::{Bed, date, world};
use super::TABLES;

const DAY: &str = "2026-06-15";

/// The database and the folder of a table.
fn place(world: &World, table: &str) -> (String, String) {
    let zone = world.names.raw.iter().find(|zone| zone.tables.iter().any(|name| name == table));
    let database = zone.unwrap().database.clone();
    let location = world.table(&database, table).unwrap().location.clone().unwrap();
    (database, location)
}

/// Puts an object of ten bytes at an address.
fn put(world: &mut World, address: &str) {
    let rest = address.split_once("://").unwrap().1;
    let (bucket, key) = rest.split_once('/').unwrap();
    world.put_object(bucket, key, b"parquet".to_vec(), false).unwrap();
}

/// A partition of these values in hive folders below its table, with one object.
fn leave(world: &mut World, table: &str, values: [&str; 4], catalogued: bool) {
    let (database, location) = place(world, table);
    let keys = ["import_year", "import_month", "import_day", "import_date"];
    let folders = keys.iter().zip(values).map(|(key, value)| format!("{key}={value}/"));
    let folders = folders.collect::<Vec<_>>().concat();
    put(world, &format!("{location}{folders}part-0.parquet"));
    if catalogued {
        world.add_partition(&database, table, &values, Some(&format!("{location}{folders}")));
    }
}

/// A bed whose 15 June was left by hand in every table, under these values.
fn left_as(values: [&str; 4], catalogued: bool) -> Bed {
    let bed = Bed::new(world().gap(date(DAY)), "");
    for table in TABLES {
        leave(&mut bed.sim.lock(), table, values, catalogued);
    }
    bed
}

async fn check(values: [&str; 4], catalogued: bool, status: DateStatus) {
    let bed = left_as(values, catalogued);
    let verdict = bed.verdict(DAY).await;
    assert_eq!(verdict.status, status, "{values:?}: {}", verdict.reason);
    let found = values.last().unwrap();
    assert!(verdict.reason.contains(found), "{values:?}: {}", verdict.reason);
    assert!(bed.heal().await.runs.is_empty(), "{values:?}");
    assert_eq!(bed.calls_of("ecs:RunTask"), 0, "{values:?}");
    bed.assert_quiet_and_sound().await;
}

#[tokio::test]
async fn a_date_spelled_otherwise_counts_as_that_date_when_its_meaning_is_certain() {
    for values in [
        ["2026", "6", "15", "2026-06-15"],
        ["2026", "06", "15", "2026/06/15"],
        ["2026", "06", "15", " 20260615"],
        ["2026", "06", "15", "2026-06-15 00:00:00"],
        ["2026", "06", "15", "15/06/2026"],
        ["2026", "06", "15", "15 Jun 2026"],
        ["2026", "06", "15", "06-15"],
        ["2026", "06", "15", "260615"],
    ] {
        check(values, true, DateStatus::Available).await;
    }
}

#[tokio::test]
async fn one_whose_folders_alone_are_there_is_unregistered_and_names_the_folder() {
    for values in [
        ["2026", "6", "15", "2026-06-15"],
        ["2026", "06", "15", "2026-06-15 00%3A00%3A00"],
        ["2026", "006", "15", "2026-6-15"],
    ] {
        check(values, false, DateStatus::Unregistered).await;
    }
}

#[tokio::test]
async fn one_that_can_be_read_in_several_ways_is_partial_for_a_person() {
    for (values, catalogued) in [
        (["2026", "uk", "15", "03/05/2026"], true),
        (["2026", "uk", "1", "03-05-2026"], true),
        (["x", "y", "z", "260503"], true),
        (["2026", "03", "05", "20260503"], true),
        (["x", "y", "z", "0503"], true),
        (["2026", "5", "3", "__HIVE_DEFAULT_PARTITION__"], true),
        (["x", "y", "z", "2026-05-03 07:12:00"], true),
        (["x", "y", "z", "03/05/2026"], false),
    ] {
        // 3 May and 5 March: a window that reaches back to both.
        let gap = date("2026-05-03");
        let bed = Bed::with_dataset(world().days(150).gap(gap), "", |dataset| {
            dataset.window.lookback_days = 120;
        });
        let folders_hold = catalogued || !values[3].contains('/');
        for table in TABLES {
            if folders_hold {
                leave(&mut bed.sim.lock(), table, values, catalogued);
            } else {
                let values = [values[0], values[1], values[2], "03%2F05%2F2026"];
                leave(&mut bed.sim.lock(), table, values, false);
            }
        }
        let verdict = bed.verdict("2026-05-03").await;
        assert_eq!(verdict.status, DateStatus::Partial, "{values:?}: {}", verdict.reason);
        assert!(verdict.reason.contains("may be this date"), "{values:?}: {}", verdict.reason);
        assert!(bed.heal().await.runs.is_empty(), "{values:?}");
        let other = bed.verdict("2026-03-05").await;
        assert_eq!(other.status, DateStatus::Available, "{values:?}: {}", other.reason);
        assert_eq!(bed.calls_of("ecs:RunTask"), 0, "{values:?}");
    }
}

#[tokio::test]
async fn a_day_of_three_digits_is_found_in_the_catalog_and_in_its_folder() {
    let bed = Bed::new(world().gap(date("2026-06-10")), "");
    for table in TABLES {
        leave(&mut bed.sim.lock(), table, ["2026", "06", "010", "20260610"], true);
    }
    let verdict = bed.verdict("2026-06-10").await;
    assert_eq!(verdict.status, DateStatus::Available, "{}", verdict.reason);
    let bed = Bed::new(world().gap(date("2026-06-10")), "");
    for table in TABLES {
        leave(&mut bed.sim.lock(), table, ["2026", "06", "010", "20260610"], false);
    }
    let verdict = bed.verdict("2026-06-10").await;
    assert_eq!(verdict.status, DateStatus::Unregistered, "{}", verdict.reason);
}

#[tokio::test]
async fn a_date_under_two_spellings_is_available_and_flagged() {
    let bed = Bed::new(world(), "");
    leave(&mut bed.sim.lock(), TABLES[0], ["2026", "6", "15", "2026-06-15"], true);
    let verdict = bed.verdict(DAY).await;
    assert_eq!(verdict.status, DateStatus::Available, "{}", verdict.reason);
    assert!(verdict.flags.contains(&Flag::Duplicated), "{verdict:?}");
    assert!(verdict.reason.contains("2026-06-15"), "{}", verdict.reason);
}

#[tokio::test]
async fn a_table_whose_every_value_is_spelled_otherwise_is_read() {
    let bed = Bed::new(world().gap(date("2026-06-20")), "");
    {
        let mut world = bed.sim.lock();
        let (database, location) = place(&world, TABLES[0]);
        for row in world.partitions(&database, TABLES[0], None).unwrap() {
            world.drop_partition(&database, TABLES[0], &row.values);
            let [year, month, day, _] = row.values.as_slice() else { panic!() };
            let values = [year.as_str(), month, day, &format!("{year}-{month}-{day}")];
            let folders = row.location.clone().unwrap();
            world.add_partition(&database, TABLES[0], &values, Some(&folders));
        }
        assert!(location.starts_with("s3://"));
    }
    let census = bed.census().await;
    let verdict = census.verdict(date(DAY)).unwrap();
    assert_eq!(verdict.status, DateStatus::Available, "{}", verdict.reason);
    assert!(verdict.reason.contains("2026-06-15"), "{}", verdict.reason);
    assert_eq!(census.verdict(date("2026-06-20")).unwrap().status, DateStatus::Missing);
}

#[tokio::test]
async fn values_that_could_all_be_read_in_two_ways_are_no_knowledge() {
    let bed = Bed::new(world().gap(date("2026-06-20")), "");
    {
        let mut world = bed.sim.lock();
        let (database, _) = place(&world, TABLES[0]);
        for row in world.partitions(&database, TABLES[0], None).unwrap() {
            world.drop_partition(&database, TABLES[0], &row.values);
            let short = format!("{}{}", &row.values[3][2..4], &row.values[3][4..]);
            let values = ["x", "y", "z", short.as_str()];
            world.add_partition(&database, TABLES[0], &values, row.location.as_deref());
        }
    }
    let mut engine = bed.acting_engine().await;
    let pass = engine.pass("liberator").await;
    assert_eq!(pass.outcome, PassOutcome::Error, "{}", pass.detail);
    assert!(pass.detail.contains("several dates"), "{}", pass.detail);
}

#[tokio::test]
async fn typed_keys_are_read_whole_so_that_no_comparison_hides_a_value() {
    for kind in ["int", "date", "timestamp"] {
        let bed = Bed::new(world().gap(date(DAY)), "");
        {
            let mut world = bed.sim.lock();
            for table in TABLES {
                let (database, _) = place(&world, table);
                world.change_table(&database, table, |record| {
                    record.partition_keys[3].1 = kind.to_owned();
                });
                leave(&mut world, table, ["2026", "6", "15", "2026-06-15"], true);
            }
        }
        let verdict = bed.verdict(DAY).await;
        assert_eq!(verdict.status, DateStatus::Available, "{kind}: {}", verdict.reason);
        assert!(bed.heal().await.runs.is_empty(), "{kind}");
    }
}

#[tokio::test]
async fn what_was_left_after_the_scan_is_found_right_before_the_start() {
    let hours = "[datasets.liberator.backfill]\nhours = \"14:00-18:00\"\n";
    for (values, catalogued) in [
        (["2026", "6", "15", "2026-06-15"], true),
        (["2026", "6", "15", "2026-06-15"], false),
        (["x", "y", "z", "06/15/2026"], true),
        (["2026", "6", "15", "__HIVE_DEFAULT_PARTITION__"], true),
        (["2025", "6", "15", "20260615"], true),
    ] {
        let bed = Bed::new(world().gap(date(DAY)), hours);
        let mut engine = bed.acting_engine().await;
        engine.pass("liberator").await;
        leave(&mut bed.sim.lock(), TABLES[2], values, catalogued);
        let at_three = "2026-06-30T13:30:00Z".parse().unwrap();
        bed.serve_until(&mut engine, at_three).await;
        assert_eq!(bed.calls_of("ecs:RunTask"), 0, "{values:?}");
        let verdict = bed.verdict(DAY).await;
        assert_eq!(verdict.status, DateStatus::Partial, "{values:?}: {}", verdict.reason);
    }
}
