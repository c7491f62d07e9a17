//! Where a partition's data lies, and tables that are not found by partitions.

use gapmend::domain::{DateStatus, PassOutcome};
use gapmend::sim::World;

use super::super::bed::{Bed, date, keys_of, world};
use super::TABLES;

const DAY: &str = "2026-06-15";

fn database_of(world: &World, table: &str) -> String {
    let zone = world.names.raw.iter().find(|zone| zone.tables.iter().any(|name| name == table));
    zone.unwrap().database.clone()
}

fn values() -> Vec<String> {
    ["2026", "06", "15", "20260615"].map(str::to_owned).into()
}

/// Moves the day's objects of a table to an address, and the partition's location with them.
fn move_to(world: &mut World, table: &str, location: &str, object: &str) {
    let bucket = world.names.raw_bucket.clone();
    for key in keys_of(world, table, DAY) {
        world.delete_object(&bucket, &key).unwrap();
    }
    let (bucket, key) = object.split_once('/').unwrap();
    world.put_object(bucket, key, b"parquet".to_vec(), false).unwrap();
    let database = database_of(world, table);
    let values = values();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    world.add_partition(&database, table, &values, Some(location));
}

#[tokio::test]
async fn a_partition_counts_where_its_own_location_says() {
    let raw = "dataplatform-prod-raw-zone";
    let export = "dataplatform-prod-landing-zone";
    for (location, object) in [
        (format!("s3://{raw}/moved/hub/20260615/"), format!("{raw}/moved/hub/20260615/part-0")),
        (format!("s3://{export}/hub/a"), format!("{export}/hub/a/part-0")),
        (format!("s3a://{raw}/moved/x/"), format!("{raw}/moved/x/part-0")),
        (format!("s3n://{raw}/moved/x"), format!("{raw}/moved/x/part-0")),
        (format!("s3://{raw}/moved/one.parquet"), format!("{raw}/moved/one.parquet")),
        (
            format!("s3://{raw}/parking/liberator/hub/import_date=20260615_v2/"),
            format!("{raw}/parking/liberator/hub/import_date=20260615_v2/part-0"),
        ),
    ] {
        let bed = Bed::new(world(), "");
        move_to(&mut bed.sim.lock(), TABLES[0], &location, &object);
        let verdict = bed.verdict(DAY).await;
        assert_eq!(verdict.status, DateStatus::Available, "{location}: {}", verdict.reason);
    }
}

#[tokio::test]
async fn a_location_without_objects_is_empty_wherever_it_is_and_a_neighbour_is_not_taken_for_it() {
    let bed = Bed::new(world(), "");
    let raw = "dataplatform-prod-raw-zone";
    move_to(
        &mut bed.sim.lock(),
        TABLES[0],
        &format!("s3://{raw}/moved/20260615"),
        &format!("{raw}/moved/20260615_old/part-0"),
    );
    let verdict = bed.verdict(DAY).await;
    assert_eq!(verdict.status, DateStatus::Empty, "{}", verdict.reason);
}

#[tokio::test]
async fn a_partition_without_a_place_is_not_hidden() {
    let bed = Bed::new(world(), "");
    {
        let mut world = bed.sim.lock();
        let database = database_of(&world, TABLES[0]);
        let values = values();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        world.add_partition(&database, TABLES[0], &values, None);
    }
    let verdict = bed.verdict(DAY).await;
    assert_eq!(verdict.status, DateStatus::Available, "{}", verdict.reason);
}

/// Every table is found by partition projection: the catalog has no partitions.
fn project(bed: &Bed, tables: &[&str]) {
    let mut world = bed.sim.lock();
    for table in tables {
        let database = database_of(&world, table);
        world.change_table(&database, table, |record| {
            record.parameters.insert("projection.enabled".to_owned(), "true".to_owned());
        });
        for row in world.partitions(&database, table, None).unwrap() {
            world.drop_partition(&database, table, &row.values);
        }
    }
}

#[tokio::test]
async fn of_a_table_by_partition_projection_the_objects_decide() {
    for tables in [&TABLES[..1], &TABLES[..]] {
        let bed = Bed::new(world().gap(date(DAY)), "");
        project(&bed, tables);
        let census = bed.census().await;
        let whole = census.verdict(date("2026-06-16")).unwrap();
        assert_eq!(whole.status, DateStatus::Available, "{}", whole.reason);
        assert_eq!(whole.tables_expected, 7);
        let gap = census.verdict(date(DAY)).unwrap();
        assert_eq!(gap.status, DateStatus::Missing, "{}", gap.reason);
    }
}

#[tokio::test]
async fn a_date_that_only_a_projected_table_lacks_is_partial_also_at_the_windows_beginning() {
    let bed = Bed::new(world(), "");
    project(&bed, &TABLES[..1]);
    for day in ["2026-06-05", "2026-06-06"] {
        let mut world = bed.sim.lock();
        let bucket = world.names.raw_bucket.clone();
        for key in keys_of(&world, TABLES[0], day) {
            world.delete_object(&bucket, &key).unwrap();
        }
    }
    let verdict = bed.verdict("2026-06-05").await;
    assert_eq!(verdict.status, DateStatus::Partial, "{}", verdict.reason);
}

#[tokio::test]
async fn a_date_of_projected_tables_is_healed() {
    let bed = Bed::new(world().no_supplier().gap(date(DAY)), "");
    project(&bed, &TABLES);
    let healed = bed.heal().await;
    assert_eq!(healed.runs.len(), 1, "{healed:?}");
    assert_eq!(bed.status(DAY).await, DateStatus::Available);
    bed.assert_one_copy(DAY);
}

#[tokio::test]
async fn a_key_that_no_table_has_is_told_with_the_keys_that_they_have() {
    let bed = Bed::with_dataset(world(), "", |dataset| {
        dataset.raw.get_mut("parking").unwrap().partition_key = "import_data".to_owned();
    });
    let mut engine = bed.acting_engine().await;
    let pass = engine.pass("liberator").await;
    assert_eq!(pass.outcome, PassOutcome::Error, "{}", pass.detail);
    let words = "5 tables match, none has the key `import_data`; they have import_year, import_month, import_day, import_date";
    assert!(pass.detail.contains(words), "{}", pass.detail);
}

#[tokio::test]
async fn views_links_and_open_formats_beside_the_tables_are_named() {
    let bed = Bed::new(world(), "");
    {
        let mut world = bed.sim.lock();
        let database = world.names.raw[0].database.clone();
        let template = world.table(&database, TABLES[0]).unwrap().clone();
        let mut add = |name: &str, change: &dyn Fn(&mut gapmend::sim::TableRecord)| {
            let mut table = template.clone();
            table.name = name.to_owned();
            change(&mut table);
            world.add_table(table);
        };
        add("liberator_a_view", &|table| table.table_type = "VIRTUAL_VIEW".to_owned());
        add("liberator_a_link", &|table| table.target = Some(("x".to_owned(), "y".to_owned())));
        for (name, key, value) in [
            ("liberator_ice", "table_type", "ICEBERG"),
            ("liberator_delta", "spark.sql.sources.provider", "delta"),
        ] {
            add(name, &|table| {
                table.parameters.insert(key.to_owned(), value.to_owned());
            });
        }
        add("liberator_flat", &|table| table.partition_keys.clear());
    }
    let census = bed.census().await;
    assert_eq!(census.verdict(date(DAY)).unwrap().status, DateStatus::Available);
    let why: Vec<String> =
        census.ignored_why.iter().map(|it| format!("{}: {}", it.id.table, it.why)).collect();
    for words in [
        "liberator_a_view: it is a view",
        "liberator_a_link: it is a resource link",
        "liberator_ice: it is an Iceberg table",
        "liberator_delta: it is a Delta table",
        "liberator_flat: it has no partition keys",
    ] {
        assert!(why.iter().any(|line| line.contains(words)), "{words}: {why:?}");
    }
}
