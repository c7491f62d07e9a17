//! Each status that no other scenario of detecting is about: what makes it, its reason, what
//! comes next, and what ends it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use gapmend::config::Mode;
use gapmend::daemon::{Errand, Verdict, check};
use gapmend::domain::DateStatus;
use gapmend::plan::DateVerdict;
use gapmend::platform::Clock;
use gapmend::sim::{Profile, Times, zip};

use super::super::bed::{Bed, date, noon, world};

const DAY: &str = "2026-06-15";

/// The status that is expected, with words of its reason and of what comes next.
fn assert_is(verdict: &DateVerdict, status: DateStatus, reason: &str, next: &str) {
    assert_eq!(verdict.status, status, "{}", verdict.reason);
    assert!(verdict.reason.contains(reason), "{}", verdict.reason);
    assert!(verdict.next.contains(next), "{}", verdict.next);
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[tokio::test]
async fn available_is_what_every_expected_table_of_every_source_has() {
    let bed = Bed::new(world(), "");
    assert_is(&bed.verdict(DAY).await, DateStatus::Available, "all 7 expected tables", "nothing");
    bed.purge("liberator_fpn_notice", DAY);
    assert_eq!(bed.status(DAY).await, DateStatus::Partial, "the second source lacks it");
}

#[tokio::test]
async fn missing_is_what_no_table_has_and_whose_dump_is_there() {
    let bed = Bed::new(world().gap(date(DAY)), "");
    let verdict = bed.verdict(DAY).await;
    assert_is(&verdict, DateStatus::Missing, "liberator_dump_20260615.zip", "queued");
}

#[tokio::test]
async fn a_waiver_names_its_reason_and_owner_and_is_void_once_the_dump_appears_or_it_has_ended() {
    let waive = r#"
[datasets.liberator.backfill]
waive.lost = { dates = ["2026-06-15"], reason = "lost at source", owner = "the supplier", until = "2026-07-01" }
"#;
    let lost = || world().no_dump(date(DAY)).no_supplier();
    let bed = Bed::new(lost(), waive);
    let verdict = bed.verdict(DAY).await;
    assert_is(&verdict, DateStatus::Waived, "lost at source (the supplier)", "unless the dump");
    {
        let mut world = bed.sim.lock();
        let (bucket, key) = (world.names.dump_bucket.clone(), world.names.dump_key_of(date(DAY)));
        world.person_writes(&bucket, &key, zip::dump_of(date(DAY), 4000));
    }
    assert_eq!(bed.status(DAY).await, DateStatus::Missing, "its dump appeared");
    let bed = Bed::new(lost(), waive);
    bed.clock.sleep(Duration::from_hours(24)).await;
    assert_eq!(bed.status(DAY).await, DateStatus::Waived, "its last day");
    bed.clock.sleep(Duration::from_hours(24)).await;
    assert_eq!(bed.status(DAY).await, DateStatus::NoDump, "it has ended");
}

#[tokio::test]
async fn a_date_that_is_denied_or_outside_the_allowlist_is_not_allowed_and_not_started() {
    let gaps = || world().gap(date(DAY)).gap(date("2026-06-16"));
    let deny = r#"
[datasets.liberator.backfill]
deny.broken = { dates = ["2026-06-15"], reason = "the dump is of a test system" }
"#;
    let bed = Bed::new(gaps(), deny);
    let verdict = bed.verdict(DAY).await;
    assert_is(&verdict, DateStatus::NotAllowed, "deny.broken: the dump is of a test", "denied");
    let by_name = Errand { only: Some([date(DAY)].into()), ..Errand::default() };
    assert!(bed.heal_with(by_name).await.runs.is_empty(), "asking by name is not above a denial");

    let allow = r#"
[datasets.liberator.backfill]
allow.one = { dates = ["2026-06-16"], reason = "a first try" }
"#;
    let bed = Bed::with_dataset(gaps(), allow, |dataset| dataset.mode = Mode::Allowlist);
    let verdict = bed.verdict(DAY).await;
    assert_is(&verdict, DateStatus::NotAllowed, "no allow entry", "heal --date 2026-06-15");
    let healed: Vec<_> = bed.heal().await.runs.iter().map(|run| run.date).collect();
    assert_eq!(healed, [date("2026-06-16")]);
}

#[tokio::test]
async fn a_young_date_is_too_young_until_the_day_that_it_names() {
    // `min_age_days` is seven: 24 June may be healed from 1 July on.
    let bed = Bed::new(world().gap(date("2026-06-24")), "");
    let verdict = bed.verdict("2026-06-24").await;
    assert_is(&verdict, DateStatus::TooYoung, "healable from 2026-07-01", "on 2026-07-01");
    assert_eq!(verdict.until, Some(at("2026-06-30T23:00:00Z")), "midnight in London");
    let wait = (at("2026-06-30T23:00:00Z") - bed.clock.now()).to_std().unwrap();
    bed.clock.sleep(wait.saturating_sub(Duration::from_secs(1))).await;
    assert_eq!(bed.status("2026-06-24").await, DateStatus::TooYoung);
    bed.clock.sleep(Duration::from_secs(1)).await;
    assert_eq!(bed.status("2026-06-24").await, DateStatus::Missing);
}

#[tokio::test]
async fn a_date_is_running_while_our_run_or_anybody_elses_task_loads_it() {
    let bed = Bed::new(world().gap(date(DAY)), "");
    let mut engine = bed.acting_engine().await;
    while bed.sim.lock().tasks().is_empty() {
        bed.pass_and_sleep(&mut engine).await;
    }
    let verdict = bed.verdict(DAY).await;
    assert_is(&verdict, DateStatus::Running, "run liberator/2026-06-15/1", "wait for the run");
    // The same world to somebody who knows nothing of our run: it is a task of a stranger, once
    // ECS lists it.
    bed.clock.sleep(Duration::from_mins(2)).await;
    let bed = bed.forgetting_the_ledger();
    let verdict = bed.verdict(DAY).await;
    assert_is(&verdict, DateStatus::Running, "is loading it, started by", "wait for that run");
}

#[tokio::test]
async fn a_failed_date_backs_off_until_the_time_that_it_names_and_twice_as_long_the_second_time() {
    let failing = Profile { exits_1: Times::Always, ..Profile::default() };
    let world = world().gap(date(DAY)).profile(date(DAY), failing);
    let bed = Bed::new(world, "[datasets.liberator.backfill]\nmax_runs_per_night = 9\n");
    let mut engine = bed.acting_engine().await;
    let mut waits = Vec::new();
    for attempt in 1..=2 {
        let failures = |engine: &gapmend::daemon::Engine| {
            let runs = &engine.ledger().state().runs;
            runs.iter().filter_map(|run| run.end.as_ref()).map(|end| end.at).collect::<Vec<_>>()
        };
        while failures(&engine).len() < attempt {
            bed.pass_and_sleep(&mut engine).await;
        }
        let ended = failures(&engine)[attempt - 1];
        let verdict = bed.verdict(DAY).await;
        let words = format!("attempt {attempt} failed");
        assert_is(&verdict, DateStatus::BackingOff, &words, "tried again after");
        waits.push((verdict.until.unwrap() - ended).num_minutes());
    }
    assert_eq!(waits, [15, 30]);
}

#[tokio::test]
async fn check_names_the_allowed_dates_that_cannot_run_each_with_its_one_reason() {
    // 14 June is a Sunday, as 12 July is.
    let allow = r#"
[datasets.liberator.calendar]
expect = "weekdays"
[datasets.liberator.backfill]
allow.many = { dates = ["2026-06-10", "2026-06-12..2026-06-16", "2026-06-25", "2026-07-11..2026-07-12"], reason = "all of them" }
allow.ended = { dates = ["2026-06-10"], reason = "over", until = "2026-06-01" }
deny.bad = { dates = ["2026-06-16"], reason = "another feed's file" }
"#;
    let world = world().no_dump(date("2026-06-12")).no_dump(date("2026-06-14"));
    let bed = Bed::with_dataset(world, allow, |dataset| dataset.mode = Mode::Allowlist);
    let ledger = async {
        gapmend::daemon::Finding {
            subject: "ledger".to_owned(),
            verdict: Verdict::Right,
            detail: String::new(),
            hint: None,
        }
    };
    let findings = check(&bed.world(), &bed.settings, ledger).await;
    let of = |entry: &str| -> Vec<String> {
        let subject = format!("liberator: backfill.allow.{entry}");
        let found = findings.iter().filter(|finding| finding.subject == subject);
        found.map(|finding| finding.detail.clone()).collect()
    };
    assert_eq!(
        of("many"),
        [
            "denied as well, and deny wins: 2026-06-16",
            "in the future: 2026-07-11..2026-07-12",
            "not expected by the calendar, and without a dump: 2026-06-14",
            "without a dump in the landing bucket: 2026-06-12",
            "younger than window.min_age_days, so still the nightly's: 2026-06-25",
        ]
    );
    assert_eq!(of("ended"), ["it has ended (until)"]);
    assert_eq!(bed.clock.now(), noon(), "and nothing was waited for");
}
