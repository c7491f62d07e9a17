//! What a look costs: no more calls than the pages that there are.

use super::super::bed::{Bed, date, world};
use super::TABLES;

struct Cost {
    tables: usize,
    partitions: usize,
    listings: usize,
    reads: usize,
}

async fn cost(bed: &Bed) -> Cost {
    bed.sim.lock().forget_calls();
    bed.census().await;
    Cost {
        tables: bed.calls_of("glue:GetTables"),
        partitions: bed.calls_of("glue:GetPartitions"),
        listings: bed.calls_of("s3:ListObjectsV2"),
        reads: bed.calls_of("s3:GetObject"),
    }
}

#[tokio::test]
async fn a_table_costs_one_query_and_one_listing_and_a_missing_date_a_few_reads() {
    let gaps = ["2026-06-05", "2026-06-14", "2026-06-15"];
    let world = gaps.iter().fold(world(), |world, gap| world.gap(date(gap)));
    let cost = cost(&Bed::observing(world.objects_per_partition(4))).await;
    assert_eq!(cost.tables, 2, "one a database");
    assert_eq!(cost.partitions, TABLES.len(), "the window's first date is a gap of all tables");
    let copies = 1 + gaps.len() * (TABLES.len() + 2);
    assert_eq!(cost.listings, 1 + TABLES.len() + copies, "dumps, each table, copy and exports");
    // Two for each dump: its own, its neighbours' on either side, those of exactly its size.
    let most = gaps.len() * (1 + 2 + 2) * 2;
    assert!((gaps.len()..=most).contains(&cost.reads), "{} reads", cost.reads);
}

#[tokio::test]
async fn objects_that_are_not_checked_are_not_listed() {
    let bed = Bed::with_dataset(world(), "", |dataset| dataset.window.check_objects = false);
    let cost = cost(&bed).await;
    assert_eq!((cost.tables, cost.partitions, cost.listings), (2, TABLES.len(), 1));
}

#[tokio::test]
async fn only_a_table_that_begins_after_others_is_asked_for_its_first_partition() {
    let world = world().table_since("liberator_permit", date("2026-06-12"));
    assert_eq!(cost(&Bed::new(world, "")).await.partitions, TABLES.len() + 1);
}

#[tokio::test]
async fn an_old_date_by_name_does_not_cost_the_years_between() {
    let allow = r#"
[datasets.liberator.backfill.allow]
old = { dates = ["2024-02-01..2024-02-03"], reason = "asked for" }
"#;
    let world = world().days(900).objects_per_partition(5);
    let cost = cost(&Bed::new(world, allow)).await;
    assert_eq!(cost.partitions, TABLES.len());
    // A bound within the year would hide folders that are spelled otherwise.
    assert_eq!(cost.listings, 1 + (1 + 2) * TABLES.len(), "the window, and 1830 objects of 2024");
}
