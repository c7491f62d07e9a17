//! The rule is off while we write or load: what lands then fires nothing (H12 to H14), others may
//! switch it (H15), and events come late or never (H17).

use std::time::Duration;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use gapmend::domain::{FailureReason, RunOutcome, TriggerState};
use gapmend::ledger::Event;
use gapmend::platform::Clock;
use gapmend::sim::{FaultKind, FaultWhen, Moment, Profile, RuleSetting, Span, Times};

use super::{GAP, today};
use crate::bed::{date, noon};
use crate::trigger::{
    assert_no_live_dump_lost, assert_released, bed, events, gap, gap_without_supplier, holding,
    loading, operations, rule_is, staging,
};

#[tokio::test]
async fn h12_nothing_of_ours_is_written_where_every_write_fires_the_rule() {
    let bed = bed(gap_without_supplier());
    assert!(bed.heal().await.is_whole());
    assert_eq!(bed.sim.lock().trail(), [], "not even a write that was refused");
    assert_released(&bed).await;
}

#[tokio::test]
async fn h13_a_dump_under_another_name_is_staged_under_a_hold_before_its_load() {
    let bed = staging();
    let healed = bed.heal().await;
    assert!(healed.is_whole(), "{healed:#?}");
    bed.assert_one_copy("2026-06-15");
    let expected = [
        "scheduler:CreateSchedule",
        "events:DisableRule",
        "s3:CopyObject",
        "events:EnableRule",
        "scheduler:DeleteSchedule",
        "ecs:RunTask",
    ];
    assert_eq!(operations(&bed, &expected), expected);
    {
        let world = bed.sim.lock();
        let [write] = world.our_dump_writes()[..] else { panic!("one write") };
        assert!(write.arrived && !write.matched, "the copy fired nothing: {write:?}");
        let history = world.rule_history();
        assert!(write.written_at - history[0].at >= TimeDelta::minutes(2), "propagation");
        assert!(history[1].at - write.written_at >= TimeDelta::minutes(15), "settle");
    }
    assert_released(&bed).await;
}

#[tokio::test]
async fn h13_a_copy_whose_answer_is_lost_is_made_once() {
    let bed = staging();
    bed.sim.lock().faults.add(
        "s3:CopyObject",
        FaultWhen::Call(1),
        FaultKind::Timeout,
        Moment::After,
    );
    assert!(bed.heal().await.is_whole());
    assert_eq!(bed.sim.lock().our_dump_writes().len(), 1);
    assert_released(&bed).await;
}

#[tokio::test]
async fn h14_a_live_dump_that_lands_in_a_hold_is_driven_once_on_its_own_day() {
    // The supplier comes at two in the afternoon today, hours before its time.
    let early = NaiveTime::from_hms_opt(13, 0, 0).unwrap();
    for cloudtrail_minutes in [0_u64, 7, 20] {
        let bed = bed(gap_without_supplier());
        let late = std::time::Duration::from_mins(cloudtrail_minutes);
        bed.sim.lock().timing.cloudtrail = Span::exactly(late);
        let mut engine = bed.acting_engine().await;
        bed.serve_until(&mut engine, noon().date_naive().and_time(early).and_utc()).await;
        assert!(rule_is(&bed, RuleSetting::Disabled));
        bed.sim.lock().write_dump(date("2026-06-30"));
        bed.serve_until(&mut engine, noon() + TimeDelta::hours(10)).await;
        assert_eq!(bed.sim.lock().lost_live_dumps().len(), 1);
        let live = bed.sim.lock().tasks().iter().filter(|task| task.live).count();
        assert_eq!(live, 1, "driven once");
        assert_no_live_dump_lost(&bed).await;
        assert!(
            bed.sim.lock().is_whole(date("2026-06-30")),
            "{:?}",
            bed.sim.lock().copies(date("2026-06-30"))
        );
        assert_released(&bed).await;
    }
}

/// The daemon begins its night in these worlds.
fn begins() -> DateTime<Utc> {
    noon() + TimeDelta::minutes(40)
}

/// When the hold of these worlds begins and ends, by a twin of them in which no dump lands.
async fn hold_of_a_twin() -> (DateTime<Utc>, DateTime<Utc>) {
    let bed = bed(gap_without_supplier());
    bed.sim.advance_to(begins());
    assert!(bed.heal().await.is_whole());
    let world = bed.sim.lock();
    let [off, on] = world.rule_history() else { panic!("one hold") };
    (off.at, on.at)
}

/// A night in which the live dump lands at that time, and its event comes so much later.
async fn night_with_a_dump_at(at: DateTime<Utc>, trail_minutes: u64) {
    let bed = bed(gap_without_supplier());
    bed.sim.lock().timing.cloudtrail = Span::exactly(Duration::from_mins(trail_minutes));
    let lands_before = at < begins();
    if lands_before {
        bed.sim.advance_to(at);
        bed.sim.lock().write_dump(today());
    }
    bed.sim.advance_to(begins());
    let mut engine = bed.acting_engine().await;
    if !lands_before {
        bed.serve_until(&mut engine, at).await;
        bed.sim.lock().write_dump(today());
    }
    bed.serve_until(&mut engine, noon() + TimeDelta::hours(11)).await;
    {
        let world = bed.sim.lock();
        let live = world.tasks().iter().filter(|task| task.live).count();
        assert_eq!(live, 1, "landed {at}, trail {trail_minutes}: {:#?}", world.trail());
        assert!(world.is_whole(today()), "landed {at}: {:?}", world.copies(today()));
    }
    bed.assert_one_copy(GAP);
    assert_no_live_dump_lost(&bed).await;
    assert_released(&bed).await;
}

#[tokio::test]
async fn h14_a_live_dump_before_a_hold_and_at_its_beginning_is_loaded_once() {
    let (begin, _) = hold_of_a_twin().await;
    for offset_minutes in [-20_i64, -16, -4, 0, 2] {
        for trail_minutes in [0_u64, 10, 20] {
            night_with_a_dump_at(begin + TimeDelta::minutes(offset_minutes), trail_minutes).await;
        }
    }
}

#[tokio::test]
async fn h14_a_live_dump_at_the_end_of_a_hold_is_loaded_once() {
    let (_, end) = hold_of_a_twin().await;
    for offset_minutes in [-14_i64, -4, -1, 0, 1, 4] {
        for trail_minutes in [0_u64, 10, 20] {
            night_with_a_dump_at(end + TimeDelta::minutes(offset_minutes), trail_minutes).await;
        }
    }
}

#[tokio::test]
async fn h14_a_daemon_that_is_dead_for_good_leaves_the_release_to_the_switch() {
    let bed = bed(gap());
    drop(holding(&bed).await);
    bed.clock.sleep(std::time::Duration::from_hours(20)).await;
    assert!(rule_is(&bed, RuleSetting::Enabled));
    assert!(bed.sim.lock().lost_live_dumps().is_empty());
    let last = bed.sim.lock().rule_history().last().unwrap().who.clone();
    assert_eq!(last, "schedule gapmend-liberator");
    // A new start accounts for it.
    let mut engine = bed.acting_engine().await;
    bed.serve_until(&mut engine, bed.clock.now() + TimeDelta::hours(5)).await;
    assert!(
        events(&bed).iter().any(|event| {
            matches!(event, Event::HoldClosed { detail, .. } if detail.contains("dead man"))
        }),
        "{:#?}",
        events(&bed)
    );
    assert_released(&bed).await;
    assert_no_live_dump_lost(&bed).await;
}

#[tokio::test]
async fn h14_a_blind_catalog_does_not_keep_the_rule_disabled() {
    let bed = bed(gap());
    drop(loading(&bed).await);
    bed.sim.lock().faults.add("glue:*", FaultWhen::Always, FaultKind::Denied, Moment::Before);
    let mut engine = bed.acting_engine().await;
    bed.serve_until(&mut engine, noon() + TimeDelta::hours(3)).await;
    assert!(rule_is(&bed, RuleSetting::Enabled));
    bed.sim.lock().faults.clear();
    assert!(bed.heal().await.is_whole());
    assert_released(&bed).await;
}

#[tokio::test]
async fn h15_a_rule_that_a_roll_out_enables_in_a_load_is_not_disabled_again() {
    let bed = bed(gap());
    let mut engine = loading(&bed).await;
    bed.sim.lock().terraform_enables_trigger();
    bed.serve_until(&mut engine, bed.clock.now() + TimeDelta::minutes(2)).await;
    let history = bed.sim.lock().rule_history().to_vec();
    let who: Vec<&str> = history.iter().map(|change| change.who.as_str()).collect();
    assert_eq!(who, ["caller", "terraform", "caller"], "disabled, enabled, and made sure of it");
    drop(engine);
    assert!(bed.heal().await.is_whole());
    assert_eq!(bed.sim.lock().faults.calls("events:DisableRule"), 1);
    assert_released(&bed).await;
}

#[tokio::test]
async fn h15_an_operator_who_disables_the_rule_after_a_roll_out_finds_it_so() {
    let bed = bed(gap());
    let mut engine = loading(&bed).await;
    bed.sim.lock().terraform_enables_trigger();
    bed.serve_until(&mut engine, bed.clock.now() + TimeDelta::minutes(5)).await;
    bed.sim.lock().operator_disables_trigger();
    bed.serve_until(&mut engine, noon() + TimeDelta::hours(6)).await;
    assert!(rule_is(&bed, RuleSetting::Disabled), "{:?}", bed.sim.lock().rule_history());
    let report = engine.reports().borrow().clone();
    assert_eq!(report.datasets["liberator"].trigger, TriggerState::DisabledByOther);
    bed.assert_one_copy(GAP);
    bed.assert_changes_nothing().await;
}

/// Every stage has its deadline, and the hold its end, although nobody tells of anything.
#[tokio::test]
async fn h17_an_event_that_never_comes_ends_the_run_and_not_the_trigger() {
    let good = Profile::default();
    for profile in [
        Profile { export_never_starts: Times::Always, ..good.clone() },
        Profile { copier_never_runs: Times::Always, ..good },
    ] {
        let bed = bed(gap().profile(date(GAP), profile));
        let healed = bed.heal().await;
        let end = healed.runs[0].end.as_ref().unwrap();
        assert_eq!(end.outcome, RunOutcome::Failed, "{end:?}");
        assert!(end.reason.is_some_and(|reason| reason != FailureReason::Lost), "{end:?}");
        assert_released(&bed).await;
    }
}

/// The live run's own event is lost on a night without a hold: its date is healed like any other
/// gap, once it is old enough.
#[tokio::test]
async fn h17_a_live_dump_whose_event_never_came_is_healed_when_it_is_old_enough() {
    let lost = Profile { event_lost: Times::First(1), ..Profile::default() };
    let bed = bed(gap().profile(today(), lost));
    assert!(bed.heal().await.is_whole());
    bed.clock.sleep(Duration::from_hours(8 * 24)).await;
    let copies = bed.sim.lock().copies(today());
    assert!(copies.values().all(|count| *count == 0), "nobody was told: {copies:?}");
    assert!(bed.heal().await.is_whole());
    bed.assert_one_copy("2026-06-30");
    assert_released(&bed).await;
}
