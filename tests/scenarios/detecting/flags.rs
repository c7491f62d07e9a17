//! Flags: shown and counted beside the status, and never acted on.

use std::time::Duration;

use chrono::{DateTime, Utc};
use gapmend::domain::{DateStatus, Flag};
use gapmend::platform::Clock;

use super::super::bed::{Bed, date, keys_of, world};
use super::TABLES;

const DAY: &str = "2026-06-15";

fn next_morning() -> DateTime<Utc> {
    "2026-07-01T05:00:00Z".parse().unwrap()
}

async fn flags(bed: &Bed) -> Vec<Flag> {
    bed.verdict(DAY).await.flags.into_iter().collect()
}

#[tokio::test]
async fn a_date_that_was_available_and_is_gone_has_regressed_and_stays_so() {
    let bed = Bed::observing(world().no_supplier());
    let mut engine = bed.acting_engine().await;
    engine.pass("liberator").await;
    for table in TABLES {
        bed.purge(table, DAY);
    }
    bed.serve_until(&mut engine, next_morning()).await; // the nightly scan sees it gone
    let verdict = bed.verdict(DAY).await;
    assert_eq!(verdict.status, DateStatus::Missing, "{}", verdict.reason);
    assert_eq!(verdict.flags.into_iter().collect::<Vec<_>>(), [Flag::Regressed]);
    let other = bed.verdict("2026-06-16").await;
    assert!(other.flags.is_empty());
}

#[tokio::test]
async fn a_dump_that_is_newer_than_its_data_was_redelivered() {
    let bed = Bed::new(world().no_supplier(), "");
    assert_eq!(flags(&bed).await, []);
    {
        let mut world = bed.sim.lock();
        let (bucket, key) = (world.names.dump_bucket.clone(), world.names.dump_key_of(date(DAY)));
        let body = gapmend::sim::zip::dump_of(date(DAY), 4000);
        world.person_writes(&bucket, &key, body);
    }
    let verdict = bed.verdict(DAY).await;
    assert_eq!(verdict.status, DateStatus::Available);
    assert_eq!(verdict.flags.into_iter().collect::<Vec<_>>(), [Flag::Redelivered]);
    assert!(bed.heal().await.runs.is_empty());
}

#[tokio::test]
async fn objects_from_two_writes_hours_apart_are_duplicated() {
    let bed = Bed::new(world().no_supplier(), "");
    bed.clock.sleep(Duration::from_mins(1)).await;
    {
        let mut world = bed.sim.lock();
        let bucket = world.names.raw_bucket.clone();
        let key = keys_of(&world, "liberator_pcn", DAY)[0].clone();
        let again = key.replace(".parquet", "-again.parquet");
        assert_ne!(key, again);
        world.put_object(&bucket, &again, b"the same rows".to_vec(), false).unwrap();
    }
    let verdict = bed.verdict(DAY).await;
    assert_eq!(verdict.status, DateStatus::Available);
    assert_eq!(verdict.flags.into_iter().collect::<Vec<_>>(), [Flag::Duplicated]);
    assert!(bed.heal().await.runs.is_empty());
}
