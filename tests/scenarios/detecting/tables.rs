//! Which tables are expected to have a date, and what it is called when some do not.

use gapmend::domain::DateStatus;
use gapmend::sim::TableRecord;

use super::super::bed::{Bed, date, noon, world};
use super::TABLES;

#[tokio::test]
async fn half_a_date_is_partial_names_the_tables_and_is_never_started() {
    let bed = Bed::new(world().partial(date("2026-06-15"), &["liberator_pcn"]), "");
    let verdict = bed.verdict("2026-06-15").await;
    assert_eq!(verdict.status, DateStatus::Partial);
    assert_eq!((verdict.tables_present, verdict.tables_expected), (6, 7));
    assert_eq!(verdict.tables_missing.iter().next().unwrap().table, "liberator_pcn");
    assert!(verdict.reason.contains("liberator_pcn"), "{}", verdict.reason);
    assert!(verdict.next.contains("gapmend explain 2026-06-15"), "{}", verdict.next);
    let healed = bed.heal().await;
    assert!(healed.runs.is_empty(), "{healed:#?}");
    bed.assert_quiet_and_sound().await;
}

#[tokio::test]
async fn a_table_is_expected_from_its_own_first_partition_on() {
    let world = world()
        .table_since("liberator_permit", date("2026-06-12"))
        .partial(date("2026-06-20"), &["liberator_permit"]);
    let bed = Bed::new(world, "");
    let census = bed.census().await;
    let of = |day: &str| census.verdict(date(day)).unwrap();
    assert_eq!(of("2026-06-11").status, DateStatus::Available, "{}", of("2026-06-11").reason);
    assert_eq!(of("2026-06-11").tables_expected, 6);
    assert_eq!(of("2026-06-12").tables_expected, 7);
    assert_eq!(of("2026-06-20").status, DateStatus::Partial);
}

#[tokio::test]
async fn a_first_partition_before_the_window_is_seen_past_the_predicate() {
    // The window begins on 5 June; the table has May, and lacks the window's first days.
    let lacking = ["liberator_permit"];
    let world = world().partial(date("2026-06-05"), &lacking).partial(date("2026-06-06"), &lacking);
    let bed = Bed::new(world, "");
    assert_eq!(bed.status("2026-06-05").await, DateStatus::Partial);
    assert_eq!(bed.status("2026-06-06").await, DateStatus::Partial);
}

#[tokio::test]
async fn a_first_partition_between_a_named_date_and_the_window_is_seen_too() {
    let world = world()
        .table_since("liberator_permit", date("2026-06-02"))
        .partial(date("2026-06-03"), &["liberator_permit"]);
    let allow = r#"
[datasets.liberator.backfill.allow]
old = { dates = ["2026-06-01", "2026-06-03"], reason = "asked for" }
"#;
    let census = Bed::new(world, allow).census().await;
    let of = |day: &str| census.verdict(date(day)).unwrap();
    assert_eq!(of("2026-06-01").status, DateStatus::Available, "before its first partition");
    assert_eq!(of("2026-06-03").status, DateStatus::Partial, "{}", of("2026-06-03").reason);
}

#[tokio::test]
async fn a_table_that_lacks_fourteen_dates_in_a_row_is_retired_and_not_before() {
    for (lacking, expected) in [(13, DateStatus::Partial), (14, DateStatus::Available)] {
        let bed = Bed::new(world(), "");
        for back in 0..lacking {
            let day = date("2026-06-29") - chrono::Duration::days(back);
            bed.purge("liberator_hub", &day.to_string());
        }
        let verdict = bed.verdict("2026-06-20").await;
        assert_eq!(verdict.status, expected, "{lacking}: {}", verdict.reason);
        assert_eq!(bed.verdict("2026-06-14").await.tables_expected, 7, "while it lived");
    }
}

#[tokio::test]
async fn an_optional_table_is_never_expected_but_what_it_has_keeps_a_date_from_being_run() {
    let without = &TABLES[..4];
    let world = world()
        .partial(date("2026-06-20"), &["liberator_visitor_voucher"])
        .partial(date("2026-06-15"), &[without, &TABLES[5..]].concat());
    let bed = Bed::with_dataset(world, "", |dataset| {
        let parking = dataset.raw.get_mut("parking").unwrap();
        parking.optional = vec![glob::Pattern::new("liberator_visitor*").unwrap()];
    });
    let census = bed.census().await;
    let of = |day: &str| census.verdict(date(day)).unwrap();
    assert_eq!(of("2026-06-20").status, DateStatus::Available, "{}", of("2026-06-20").reason);
    assert_eq!(of("2026-06-20").tables_expected, 6);
    assert_eq!(of("2026-06-15").status, DateStatus::Partial, "only the optional one has it");
}

#[tokio::test]
async fn a_table_without_the_partition_key_is_ignored_and_listed_once() {
    let bed = Bed::new(world(), "");
    {
        let mut world = bed.sim.lock();
        let database = world.names.raw[0].database.clone();
        world.add_table(TableRecord {
            database,
            name: "liberator_lookup".to_owned(),
            columns: Vec::new(),
            partition_keys: vec![("year".to_owned(), "string".to_owned())],
            location: Some("s3://dataplatform-prod-raw-zone/lookup/".to_owned()),
            table_type: "EXTERNAL_TABLE".to_owned(),
            target: None,
            parameters: std::collections::BTreeMap::new(),
            created_at: noon(),
        });
    }
    let census = bed.census().await;
    assert_eq!(census.verdict(date("2026-06-20")).unwrap().status, DateStatus::Available);
    let ignored: Vec<&str> = census.ignored_tables.iter().map(|id| id.table.as_str()).collect();
    assert_eq!(ignored, ["liberator_lookup"]);
}

#[tokio::test]
async fn catalog_and_objects_that_disagree_are_empty_or_unregistered_and_never_started() {
    let world = world().empty(date("2026-06-14")).unregistered(date("2026-06-15"));
    let bed = Bed::new(world, "");
    let empty = bed.verdict("2026-06-14").await;
    assert_eq!(empty.status, DateStatus::Empty);
    assert!(empty.reason.contains("no object with bytes"), "{}", empty.reason);
    let loose = bed.verdict("2026-06-15").await;
    assert_eq!(loose.status, DateStatus::Unregistered);
    assert!(loose.reason.contains("the catalog does not know"), "{}", loose.reason);
    assert!(bed.heal().await.runs.is_empty());
    bed.assert_quiet_and_sound().await;
}
