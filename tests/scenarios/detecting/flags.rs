//! Flags: shown and counted beside the status, and never acted on.

use std::time::Duration;

use chrono::{DateTime, Utc};
use gapmend::daemon::Errand;
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
    // Raw was purged, and the nightly's copy was not: a load would double it.
    assert_eq!(verdict.status, DateStatus::Unpublished, "{}", verdict.reason);
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

/// Every object that the tables have of the day is written now, under its own name or beside it.
fn write_again(bed: &Bed, tables: &[&str], suffix: &str) {
    let mut world = bed.sim.lock();
    let bucket = world.names.raw_bucket.clone();
    for table in tables {
        for key in keys_of(&world, table, DAY) {
            let body = world.body(&bucket, &key, None).unwrap().clone();
            world.person_writes(&bucket, &key.replace(".parquet", suffix), body);
        }
    }
}

/// The copy job of a date, run again minutes after it wrote the date's first rows.
#[tokio::test]
async fn two_writes_minutes_apart_that_hold_twice_the_bytes_are_duplicated() {
    for (minutes, again, expected) in [
        (2, &TABLES[..1], vec![Flag::Duplicated, Flag::OddVolume]),
        (20, &TABLES[..], vec![Flag::Duplicated, Flag::OddVolume]),
        (0, &TABLES[..], vec![Flag::OddVolume]),
    ] {
        let bed = Bed::new(world().no_supplier(), "");
        write_again(&bed, &TABLES, ".parquet");
        assert_eq!(flags(&bed).await, [], "a partition that was written anew once");
        bed.clock.sleep(Duration::from_mins(minutes)).await;
        write_again(&bed, again, "-again.parquet");
        let verdict = bed.verdict(DAY).await;
        assert_eq!(verdict.status, DateStatus::Available);
        assert_eq!(verdict.flags.into_iter().collect::<Vec<_>>(), expected, "{minutes} min");
        for other in ["2026-06-14", "2026-06-16", "2026-06-08", "2026-06-22"] {
            assert!(bed.verdict(other).await.flags.is_empty(), "{other}");
        }
    }
}

#[tokio::test]
async fn a_table_that_lost_half_its_bytes_is_odd_unless_there_is_no_band() {
    let bed = Bed::new(world().no_supplier().objects_per_partition(4), "");
    {
        let mut world = bed.sim.lock();
        let bucket = world.names.raw_bucket.clone();
        let keys = keys_of(&world, "liberator_pcn", DAY);
        for key in &keys[..2] {
            world.delete_object(&bucket, key).unwrap();
        }
    }
    assert_eq!(flags(&bed).await, [Flag::OddVolume]);
    let census = bed.census().await;
    let odd: Vec<String> = census.volumes.odd_on(date(DAY)).map(|odd| odd.to_string()).collect();
    assert_eq!(odd.len(), 1);
    assert!(odd[0].starts_with("liberator_pcn "), "{odd:?}");
    assert!(census.dates.iter().filter(|verdict| !verdict.flags.is_empty()).count() == 1);
    let without_band = Bed::with_dataset(world(), "", |dataset| {
        for source in dataset.raw.values_mut() {
            source.volume_band_percent = None;
        }
    });
    assert_eq!(flags(&Bed { settings: without_band.settings, ..bed }).await, []);
}

#[tokio::test]
async fn a_heal_says_how_much_it_wrote_beside_the_neighbours() {
    let gap = "2026-06-15";
    let bed = Bed::new(world().no_supplier().gap(date(gap)), "");
    let report = bed.heal().await;
    let detail = &report.runs[0].end.as_ref().unwrap().detail;
    assert!(detail.contains("tables, ") && detail.contains(", neighbours "), "{detail}");
    assert!(!detail.contains("odd volume"), "{detail}");
    assert!(bed.verdict(gap).await.flags.is_empty());
}

/// A date that is asked for by name is compared with its own neighbours, whether those lie outside
/// the window with it or reach into the window, and no object counts twice.
#[tokio::test]
async fn a_named_date_before_the_window_is_compared_with_the_days_around_it() {
    for (day, odd) in [("2026-05-20", false), ("2026-05-20", true), ("2026-04-20", true)] {
        let mut bed = Bed::new(world().no_supplier().days(90), "");
        let mut settings = (*bed.settings).clone();
        let dataset = std::sync::Arc::make_mut(settings.datasets.get_mut("liberator").unwrap());
        dataset.window.lookback_days = 40;
        bed.settings = std::sync::Arc::new(settings);
        if odd {
            let mut world = bed.sim.lock();
            let bucket = world.names.raw_bucket.clone();
            for key in keys_of(&world, "liberator_hub", day) {
                let body = world.body(&bucket, &key, None).unwrap().clone();
                world.person_writes(&bucket, &key.replace(".parquet", "-again.parquet"), body);
            }
        }
        let errand = Errand { look_at: [date(day)].into(), ..Errand::default() };
        let mut engine = bed.engine(errand).await;
        engine.pass("liberator").await;
        let report = engine.reports().borrow().clone();
        let census = report.datasets["liberator"].census.clone().unwrap();
        let flagged: Vec<_> =
            census.dates.iter().filter(|it| !it.flags.is_empty()).map(|it| it.date).collect();
        assert_eq!(flagged, if odd { vec![date(day)] } else { vec![] }, "{day}");
    }
}
