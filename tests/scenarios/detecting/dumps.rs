//! Dumps: due, absent, there twice, or not fit to be loaded.

use std::time::Duration;

use chrono::{DateTime, Utc};
use gapmend::domain::DateStatus;
use gapmend::platform::Clock;
use gapmend::sim::{Body, DumpKind, zip};

use super::super::bed::{Bed, date, world};

const DAY: &str = "2026-06-15";

#[tokio::test]
async fn a_dump_that_cannot_be_loaded_is_told_with_its_reason_and_not_started() {
    for (kind, words) in [
        (DumpKind::Truncated, "not a whole zip"),
        (DumpKind::TwoSql, "2 .sql files"),
        (DumpKind::Tiny, "fewer than min_size"),
        (DumpKind::CopyOf(date("2026-06-16")), "the same contents as"),
    ] {
        let bed = Bed::new(world().dump(date(DAY), kind), "");
        let verdict = bed.verdict(DAY).await;
        assert_eq!(verdict.status, DateStatus::BadDump, "{kind:?}: {}", verdict.reason);
        assert!(verdict.reason.contains(words), "{kind:?}: {}", verdict.reason);
        assert!(bed.heal().await.runs.is_empty(), "{kind:?}");
    }
}

/// A world whose gap has this dump, made from a whole one.
fn with_dump(change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Bed {
    let bed = Bed::new(world().gap(date(DAY)).no_supplier(), "");
    {
        let mut world = bed.sim.lock();
        let (bucket, key) = (world.names.dump_bucket.clone(), world.names.dump_key_of(date(DAY)));
        let size = usize::try_from(world.object(&bucket, &key, None).unwrap().body.len()).unwrap();
        world.person_writes(&bucket, &key, change(zip::dump_of(date(DAY), size)));
    }
    bed
}

/// Where the end of central directory begins, and where the directory does.
fn places(zip: &[u8]) -> (usize, usize) {
    let end = zip.len() - 22;
    let directory = u32::from_le_bytes(zip[end + 16..end + 20].try_into().unwrap());
    (end, usize::try_from(directory).unwrap())
}

fn with_comment(mut zip: Vec<u8>, length: u16) -> Vec<u8> {
    let (end, _) = places(&zip);
    zip[end + 20..].copy_from_slice(&length.to_le_bytes());
    zip.extend(std::iter::repeat_n(b'#', length.into()));
    zip
}

/// The same as a writer that always uses zip64 makes it: sizes and places in 64 bits, and
/// nothing but ones where they used to be.
fn as_zip64(mut zip: Vec<u8>) -> Vec<u8> {
    let (end, directory) = places(&zip);
    let size = zip[directory + 24..directory + 28].to_vec();
    zip[directory + 20..directory + 28].fill(0xff);
    zip[directory + 30..directory + 32].copy_from_slice(&20_u16.to_le_bytes());
    zip.truncate(end);
    zip.extend([1, 0, 16, 0]);
    for _ in ["unpacked", "packed"] {
        zip.extend([&size[..], &[0; 4]].concat());
    }
    let (from, length) = (directory as u64, (zip.len() - directory) as u64);
    let record = zip.len() as u64;
    zip.extend(*b"PK\x06\x06");
    zip.extend(44_u64.to_le_bytes());
    zip.extend([45, 0, 45, 0]);
    zip.extend([0; 8]);
    for figure in [1, 1, length, from] {
        zip.extend(figure.to_le_bytes());
    }
    zip.extend(*b"PK\x06\x07\0\0\0\0");
    zip.extend(record.to_le_bytes());
    zip.extend(1_u32.to_le_bytes());
    zip.extend(*b"PK\x05\x06\0\0\0\0");
    zip.extend([0xff; 12]);
    zip.extend([0; 2]);
    zip
}

#[tokio::test]
async fn a_zip64_dump_is_as_good_as_any_and_its_figures_count() {
    let bed = with_dump(as_zip64);
    let verdict = bed.verdict(DAY).await;
    assert_eq!(verdict.status, DateStatus::Missing, "{}", verdict.reason);
    let bed = with_dump(|zip| {
        let mut zip = as_zip64(zip);
        let directory = zip.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
        let name = usize::from(zip[directory + 28]);
        zip[directory + 46 + name + 4 + 5] = 1; // 2^40 bytes more
        zip
    });
    let verdict = bed.verdict(DAY).await;
    assert_eq!(verdict.status, DateStatus::BadDump);
    assert!(verdict.reason.contains("refused as a bomb"), "{}", verdict.reason);
}

#[tokio::test]
async fn a_comment_of_any_length_behind_the_zip_does_no_harm() {
    for length in [17, 900, 1_300] {
        let bed = with_dump(|zip| with_comment(zip, length));
        let verdict = bed.verdict(DAY).await;
        assert_eq!(verdict.status, DateStatus::Missing, "{length}: {}", verdict.reason);
        assert!(bed.heal().await.is_whole(), "{length}");
        bed.assert_one_copy(DAY);
    }
    // Longer than the tail that is read at first.
    let bed = Bed::with_dataset(world().gap(date(DAY)).no_supplier(), "", |dataset| {
        dataset.landing.size_band_percent = None;
    });
    {
        let mut world = bed.sim.lock();
        let (bucket, key) = (world.names.dump_bucket.clone(), world.names.dump_key_of(date(DAY)));
        let longest = with_comment(zip::dump_of(date(DAY), 9_000), u16::MAX);
        world.person_writes(&bucket, &key, longest);
    }
    let verdict = bed.verdict(DAY).await;
    assert_eq!(verdict.status, DateStatus::Missing, "{}", verdict.reason);
    let reads = bed.calls_of("s3:GetObject");
    assert!(reads <= 8, "{reads}: a longer tail, the header, and the neighbours'");
}

#[tokio::test]
async fn a_bomb_is_refused_by_its_own_figures_and_not_unpacked() {
    let bed = with_dump(|mut zip| {
        let (_, directory) = places(&zip);
        zip[directory + 24..directory + 28].copy_from_slice(&4_000_000_000_u32.to_le_bytes());
        zip
    });
    let verdict = bed.verdict(DAY).await;
    assert_eq!(verdict.status, DateStatus::BadDump);
    assert!(verdict.reason.contains("unpacks to 4000000000 bytes"), "{}", verdict.reason);
    assert_eq!(bed.calls_of("s3:GetObject"), 1);
    assert!(bed.heal().await.runs.is_empty());
}

#[tokio::test]
async fn an_archived_dump_needs_a_restore_and_is_not_read() {
    let bed = Bed::new(world().gap(date(DAY)), "");
    {
        let mut world = bed.sim.lock();
        let (bucket, key) = (world.names.dump_bucket.clone(), world.names.dump_key_of(date(DAY)));
        world.set_storage_class(&bucket, &key, "DEEP_ARCHIVE").unwrap();
    }
    let verdict = bed.verdict(DAY).await;
    assert_eq!(verdict.status, DateStatus::BadDump);
    assert!(verdict.reason.contains("needs a restore"), "{}", verdict.reason);
    assert!(verdict.next.contains("restore"), "{}", verdict.next);
    assert_eq!(bed.calls_of("s3:GetObject"), 0);
}

#[tokio::test]
async fn a_dump_outside_the_size_band_of_its_neighbours_is_refused_unless_there_is_no_band() {
    let huge = |bed: &Bed| {
        let mut world = bed.sim.lock();
        let (bucket, key) = (world.names.dump_bucket.clone(), world.names.dump_key_of(date(DAY)));
        world.person_writes(&bucket, &key, Body::from(zip::dump_of(date(DAY), 9000)));
    };
    let bed = Bed::new(world().gap(date(DAY)).no_supplier(), "");
    huge(&bed);
    let verdict = bed.verdict(DAY).await;
    assert_eq!(verdict.status, DateStatus::BadDump);
    assert!(verdict.reason.contains("outside size_band 40%"), "{}", verdict.reason);
    let bed = Bed::with_dataset(world().gap(date(DAY)).no_supplier(), "", |dataset| {
        dataset.landing.size_band_percent = None;
    });
    huge(&bed);
    assert_eq!(bed.status(DAY).await, DateStatus::Missing);
}

#[tokio::test]
async fn a_dump_is_read_once_for_each_etag() {
    let bed = Bed::new(world().dump(date(DAY), DumpKind::TwoSql).no_supplier(), "");
    let mut engine = bed.acting_engine().await;
    engine.pass("liberator").await;
    let read = bed.calls_of("s3:GetObject");
    assert_eq!(read, 1, "a few kilobytes from its end");
    bed.serve_until(&mut engine, "2026-07-02T05:00:00Z".parse().unwrap()).await;
    assert!(bed.calls_of("glue:GetTables") > 2, "it scanned again");
    assert_eq!(bed.calls_of("s3:GetObject"), read);
}

#[tokio::test]
async fn of_two_dumps_the_one_that_the_task_reads_wins_and_both_are_shown() {
    let bed = Bed::new(world().gap(date(DAY)).both_names(date(DAY)), "");
    let verdict = bed.verdict(DAY).await;
    assert_eq!(verdict.status, DateStatus::Missing, "{}", verdict.reason);
    let keys: Vec<&str> = verdict.dumps.iter().map(|dump| dump.key.as_str()).collect();
    assert_eq!(keys, ["parking/liberator_dump_20260615.zip", "parking/liberator_dump_260615.zip"]);
    assert!(bed.heal().await.is_whole());
    bed.assert_one_copy(DAY);
}

#[tokio::test]
async fn a_dump_is_due_by_its_time_and_absent_from_then_on() {
    let bed = Bed::new(world().no_supplier(), "");
    let today = "2026-06-30";
    let due: DateTime<Utc> = "2026-06-30T22:45:00Z".parse().unwrap(); // 23:45 in London
    let verdict = bed.verdict(today).await;
    assert_eq!((verdict.status, verdict.until), (DateStatus::NotDue, Some(due)));
    let wait = (due - bed.clock.now()).to_std().unwrap();
    bed.clock.sleep(wait.saturating_sub(Duration::from_secs(1))).await;
    assert_eq!(bed.status(today).await, DateStatus::NotDue);
    bed.clock.sleep(Duration::from_secs(1)).await;
    let verdict = bed.verdict(today).await;
    assert_eq!(verdict.status, DateStatus::NoDump);
    assert!(verdict.next.contains("liberator_dump_20260630.zip"), "{}", verdict.next);
}

#[tokio::test]
async fn a_dump_on_a_day_that_nobody_expected_makes_it_an_ordinary_day() {
    // 13 and 14 June are a weekend.
    let weekdays = "[datasets.liberator.calendar]\nexpect = \"weekdays\"\n";
    let world = world().no_dump(date("2026-06-13")).gap(date("2026-06-14")).gap(date("2026-06-12"));
    let bed = Bed::new(world, weekdays);
    let census = bed.census().await;
    let of = |day: &str| census.verdict(date(day)).unwrap();
    assert_eq!(of("2026-06-13").status, DateStatus::NotExpected);
    assert!(of("2026-06-13").reason.contains("Saturday"), "{}", of("2026-06-13").reason);
    assert_eq!(of("2026-06-14").status, DateStatus::Missing);
    let gap = census.gaps.iter().find(|gap| gap.from == date("2026-06-12")).unwrap();
    assert_eq!((gap.to, gap.dates), (date("2026-06-14"), 2), "the Saturday between counts nothing");
    assert_eq!(census.whole_through, Some(date("2026-06-11")));
}
