//! One bad thing spoils one thing: a dump that cannot be read is its own date's, and another
//! day's dump is known by its script, whatever its `ETag`.

use gapmend::domain::DateStatus;
use gapmend::sim::{FaultKind, FaultWhen, Moment};

use super::super::bed::{Bed, date, world};

const BAD: &str = "2026-06-15";
const GOOD: &str = "2026-06-12";

fn two_gaps() -> Bed {
    Bed::new(world().gap(date(BAD)).gap(date(GOOD)).no_supplier(), "")
}

fn refuse(bed: &Bed, day: &str, code: &'static str, status: u16) {
    let mut world = bed.sim.lock();
    let (bucket, key) = (world.names.dump_bucket.clone(), world.names.dump_key_of(date(day)));
    world.refuse_reads(&bucket, &key, code, status);
}

#[tokio::test]
async fn a_dump_that_cannot_be_read_is_its_own_dates_and_the_others_heal() {
    for (code, status, words, next) in [
        ("InvalidObjectState", 403, "archived", "restore"),
        ("AccessDenied", 403, "may not be read", "kms:Decrypt"),
        ("KMS.DisabledException", 400, "cannot be read", "put the dump back"),
        ("KMS.KMSInvalidStateException", 400, "cannot be read", "put the dump back"),
        ("NoSuchKey", 404, "cannot be read", "put the dump back"),
        ("PreconditionFailed", 412, "cannot be read", "put the dump back"),
    ] {
        let bed = two_gaps();
        refuse(&bed, BAD, code, status);
        let census = bed.census().await;
        let bad = census.verdict(date(BAD)).unwrap();
        assert_eq!(bad.status, DateStatus::BadDump, "{code}: {}", bad.reason);
        assert!(bad.reason.contains(words) && bad.reason.contains(code), "{code}: {}", bad.reason);
        assert!(bad.next.contains(next), "{code}: {}", bad.next);
        assert_eq!(census.verdict(date(GOOD)).unwrap().status, DateStatus::Missing, "{code}");
        assert_eq!(census.problem, None, "{code}");
        let healed = bed.heal().await;
        let dates: Vec<_> = healed.runs.iter().map(|run| run.date).collect();
        assert_eq!(dates, [date(GOOD)], "{code}");
        bed.assert_one_copy(GOOD);
    }
}

#[tokio::test]
async fn a_read_that_fails_for_a_moment_makes_its_date_wait_and_the_others_go_on() {
    for kind in [FaultKind::Throttle, FaultKind::Server, FaultKind::Timeout, FaultKind::Dropped] {
        let bed = two_gaps();
        // The newest is read first.
        bed.sim.lock().faults.add("s3:GetObject", FaultWhen::Call(1), kind, Moment::Before);
        let census = bed.census().await;
        let waits = census.verdict(date(BAD)).unwrap();
        assert_eq!(waits.status, DateStatus::BackingOff, "{kind:?}: {}", waits.reason);
        assert!(waits.reason.contains("could not be read"), "{kind:?}: {}", waits.reason);
        assert!(waits.until.is_some() && waits.next.contains("read again"), "{kind:?}");
        assert_eq!(census.verdict(date(GOOD)).unwrap().status, DateStatus::Missing, "{kind:?}");
        let healed = bed.heal().await;
        assert!(healed.is_whole(), "{kind:?}");
        assert_eq!(healed.runs.len(), 2, "{kind:?}");
    }
}

#[tokio::test]
async fn when_every_dump_is_denied_it_is_said_once_as_a_matter_of_rights() {
    let bed = two_gaps();
    refuse(&bed, BAD, "AccessDenied", 403);
    refuse(&bed, GOOD, "AccessDenied", 403);
    let census = bed.census().await;
    let problem = census.problem.clone().expect("a problem of all");
    assert!(problem.contains("s3:GetObject") && problem.contains("kms:Decrypt"), "{problem}");
    assert!(problem.contains("every one of the 2 dumps"), "{problem}");
    for day in [BAD, GOOD] {
        assert_eq!(census.verdict(date(day)).unwrap().status, DateStatus::BadDump);
    }
    assert!(bed.heal().await.runs.is_empty());
}

/// The bucket is encrypted with a customer's key: the same bytes have another `ETag`.
fn copied(bed: &Bed, from: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut world = bed.sim.lock();
    let bucket = world.names.dump_bucket.clone();
    let (theirs, ours) = (world.names.dump_key_of(date(from)), world.names.dump_key_of(date(BAD)));
    let mut bytes = world.object(&bucket, &theirs, None).unwrap().body.bytes().to_vec();
    change(&mut bytes);
    world.person_writes(&bucket, &ours, bytes);
}

#[tokio::test]
async fn another_days_dump_under_this_days_name_is_known_by_its_script() {
    // Packed again: other times of the file, so other bytes of the same length; and with a comment.
    let times = |bytes: &mut Vec<u8>| {
        let directory = bytes.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
        bytes[10] ^= 1;
        bytes[directory + 12] ^= 1;
    };
    let comment = |bytes: &mut Vec<u8>| {
        let end = bytes.len();
        bytes[end - 2] = 5;
        bytes.extend(b"again");
    };
    for (what, from) in [("neighbour", "2026-06-14"), ("far", "2026-06-08")] {
        let bed = two_gaps();
        copied(&bed, from, times);
        let verdict = bed.verdict(BAD).await;
        assert_eq!(verdict.status, DateStatus::BadDump, "{what}: {}", verdict.reason);
        assert!(verdict.reason.contains("same contents as"), "{what}: {}", verdict.reason);
        let other = format!("{}.zip", from.replace('-', ""));
        assert!(verdict.reason.contains(&other), "{what}: {}", verdict.reason);
    }
    for from in ["2026-06-14", "2026-06-16"] {
        let bed = two_gaps();
        copied(&bed, from, comment);
        let verdict = bed.verdict(BAD).await;
        assert!(verdict.reason.contains("same contents as"), "{from}: {}", verdict.reason);
    }
}

#[tokio::test]
async fn a_neighbour_that_cannot_be_read_says_nothing_about_a_dump() {
    let bed = two_gaps();
    refuse(&bed, "2026-06-14", "AccessDenied", 403);
    refuse(&bed, "2026-06-16", "InvalidObjectState", 403);
    assert_eq!(bed.status(BAD).await, DateStatus::Missing);
}
