//! The hold of the trigger: the live ingestion is never lost, never hit, and the rule comes back.

use std::sync::Arc;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use gapmend::config::OtherName;
use gapmend::daemon::{Engine, Errand, Released, release, take_up};
use gapmend::domain::{RunOutcome, Stage, TriggerState};
use gapmend::ledger::{Event, HoldStep};
use gapmend::plan::Rest;
use gapmend::platform::Clock;
use gapmend::sim::{FaultKind, FaultWhen, Moment, RuleSetting, Span, WorldBuilder};

use tokio_util::sync::CancellationToken;

use super::bed::{Bed, date, noon, world};

/// The trigger's settings of these scenarios: loads of an hour fit under a hold.
const HOLD_RUN: &str = r#"
hold = "run"
max_hold = "5h"
dead_man = { group = "gapmend", role_arn = "arn:aws:iam::111122223333:role/dead-man", after = "6h" }
"#;

/// Settings that hold only around writes of ours.
pub const UPLOAD_ONLY: &str = r#"
hold = "upload"
max_hold = "90m"
dead_man = { group = "gapmend", role_arn = "arn:aws:iam::111122223333:role/dead-man", after = "2h" }
"#;

fn bed(world: WorldBuilder) -> Bed {
    Bed::new(world, HOLD_RUN)
}

fn gap() -> WorldBuilder {
    world().gap(date("2026-06-15"))
}

/// Every event of the ledger, in order.
fn events(bed: &Bed) -> Vec<Event> {
    let read = |bytes: &bytes::Bytes| {
        serde_json::from_slice::<gapmend::ledger::Entry>(bytes).unwrap().events
    };
    bed.store.entries().values().flat_map(read).collect()
}

pub fn operations(bed: &Bed, wanted: &[&str]) -> Vec<&'static str> {
    let world = bed.sim.lock();
    let calls = world.calls().iter().map(|call| call.operation);
    calls.filter(|operation| wanted.contains(operation)).collect()
}

pub fn rule_is(bed: &Bed, state: RuleSetting) -> bool {
    let world = bed.sim.lock();
    world.rule(&world.names.rule, &world.names.event_bus).unwrap().state == state
}

/// At the end of each: the rule enabled, nothing lost, a pass that changes nothing.
pub async fn assert_released(bed: &Bed) {
    assert!(rule_is(bed, RuleSetting::Enabled), "{:?}", bed.sim.lock().rule_history());
    assert!(bed.sim.lock().schedules(Some("gapmend")).is_empty(), "the switch is gone");
    bed.assert_quiet_and_sound().await;
    let engine = bed.engine(Errand::default()).await;
    assert!(engine.ledger().state().holds.is_empty(), "{:#?}", engine.ledger().state().holds);
}

/// Every dump of the supplier's fired a run, or its run was driven by us, or it was counted.
pub async fn assert_no_live_dump_lost(bed: &Bed) {
    let engine = bed.engine(Errand::default()).await;
    let state = &engine.ledger().state().datasets["liberator"];
    let lost = bed.sim.lock().lost_live_dumps().len();
    let driven = state.swept.iter().filter(|dump| dump.task_arn.is_some()).count();
    assert_eq!(lost, driven + state.live_dumps_missed as usize, "{state:#?}");
}

/// A world whose next live dump lands when the scenario says so.
fn gap_without_supplier() -> WorldBuilder {
    gap().no_supplier()
}

/// A daemon that has come so far that the rule is disabled.
pub async fn holding(bed: &Bed) -> Engine {
    let mut engine = bed.acting_engine().await;
    while !rule_is(bed, RuleSetting::Disabled) {
        bed.pass_and_sleep(&mut engine).await;
    }
    engine
}

/// The same, and the rule was seen disabled.
pub async fn felt_holding(bed: &Bed) -> Engine {
    let mut engine = holding(bed).await;
    let seen = |engine: &Engine| {
        let hold = engine.ledger().state().hold_of("liberator").cloned();
        hold.is_some_and(|hold| hold.step_at(HoldStep::Disabled).is_some())
    };
    while !seen(&engine) {
        bed.pass_and_sleep(&mut engine).await;
    }
    engine
}

/// A daemon that has come so far that the load was started.
async fn loading(bed: &Bed) -> Engine {
    let mut engine = bed.acting_engine().await;
    while bed.sim.lock().faults.calls("ecs:RunTask") == 0 {
        bed.pass_and_sleep(&mut engine).await;
    }
    engine
}

/// When the hold of this world ends, by a twin of it.
async fn end_of_hold() -> DateTime<Utc> {
    let bed = bed(gap_without_supplier());
    let mut engine = holding(&bed).await;
    while rule_is(&bed, RuleSetting::Disabled) {
        bed.pass_and_sleep(&mut engine).await;
    }
    bed.clock.now()
}

#[tokio::test]
async fn a_hold_of_ours_is_never_told_as_somebody_elses() {
    let bed = bed(gap());
    let mut engine = bed.acting_engine().await;
    let mut told = Vec::new();
    while bed.sim.lock().faults.calls("scheduler:DeleteSchedule") == 0 {
        bed.pass_and_sleep(&mut engine).await;
        told.push(engine.reports().borrow().datasets["liberator"].trigger);
    }
    assert!(told.contains(&TriggerState::Held), "{told:?}");
    assert!(!told.contains(&TriggerState::DisabledByOther), "{told:?}");
}

#[tokio::test]
async fn a_run_is_loaded_under_a_hold_that_ends_before_the_run_does() {
    let bed = bed(gap());
    let healed = bed.heal().await;
    assert!(healed.is_whole(), "{healed:#?}");
    bed.assert_one_copy("2026-06-15");
    let order = operations(
        &bed,
        &[
            "scheduler:CreateSchedule",
            "events:DisableRule",
            "ecs:RunTask",
            "events:EnableRule",
            "scheduler:DeleteSchedule",
        ],
    );
    let expected = [
        "scheduler:CreateSchedule",
        "events:DisableRule",
        "ecs:RunTask",
        "events:EnableRule",
        "scheduler:DeleteSchedule",
    ];
    assert_eq!(order, expected);
    assert_released(&bed).await;
    assert_no_live_dump_lost(&bed).await;
}

#[tokio::test]
async fn the_rule_is_felt_disabled_before_the_load_and_enabled_after_the_export_began() {
    let bed = bed(gap());
    bed.heal().await;
    let world = bed.sim.lock();
    let history = world.rule_history();
    let (off, on) = (&history[0], &history[1]);
    assert_eq!(history.len(), 2);
    let load = world.tasks().last().unwrap().created_at;
    assert!(load - off.at >= TimeDelta::minutes(2), "propagation");
    let export = world.export_tasks(Some(&world.names.backdated_id(date("2026-06-15"))), None);
    let export_began = export.unwrap()[0].started_at.unwrap();
    // It begins a moment after it exists, and its existence is what the hold waits for.
    assert!(on.at - export_began >= TimeDelta::minutes(14), "settle");
    assert!(on.at - export_began < TimeDelta::minutes(20));
}

#[tokio::test]
async fn without_a_dead_man_nothing_is_held_and_nothing_is_started() {
    // The configuration refuses this when it is read whole; a reload may still bring it.
    let bed = Bed::with_dataset(gap(), HOLD_RUN, |dataset| {
        dataset.trigger.as_mut().unwrap().dead_man = None;
    });
    let healed = bed.heal().await;
    assert!(healed.runs.is_empty());
    assert!(matches!(&healed.rests[0].rest, Rest::HoldRefused { .. }), "{:?}", healed.rests);
    assert!(bed.sim.lock().rule_history().is_empty());
}

#[tokio::test]
async fn a_switch_that_is_refused_is_not_asked_for_all_night() {
    let bed = bed(gap());
    let denied = (FaultWhen::Always, FaultKind::Denied, Moment::Before);
    bed.sim.lock().faults.add("scheduler:CreateSchedule", denied.0, denied.1, denied.2);
    let healed = bed.heal().await;
    assert!(healed.runs.is_empty());
    assert!(healed.rests[0].rest.to_string().contains("was refused"), "{:?}", healed.rests);
    assert_eq!(bed.sim.lock().faults.calls("scheduler:CreateSchedule"), 1);
    assert!(bed.sim.lock().rule_history().is_empty(), "the rule was never touched");

    bed.heal().await;
    assert_eq!(bed.sim.lock().faults.calls("scheduler:CreateSchedule"), 1, "not again at once");

    bed.sim.lock().faults.clear();
    bed.clock.sleep(std::time::Duration::from_mins(61)).await;
    assert!(bed.heal().await.is_whole(), "and by itself once somebody has given the right");
    assert_released(&bed).await;
}

#[tokio::test]
async fn the_risk_of_no_dead_man_can_be_accepted() {
    let hold = HOLD_RUN.lines().filter(|line| !line.starts_with("dead_man"));
    let hold: Vec<&str> = hold.chain(["dead_man = \"none\""]).collect();
    let bed = Bed::new(gap(), &hold.join("\n"));
    assert!(bed.heal().await.is_whole());
    assert_eq!(bed.sim.lock().rule_history().len(), 2);
    assert_eq!(bed.sim.lock().faults.calls("scheduler:CreateSchedule"), 0);
    assert_released(&bed).await;
}

#[tokio::test]
async fn a_clock_that_is_off_refuses_a_hold() {
    let bed = bed(gap());
    bed.sim.lock().clock_skew = TimeDelta::seconds(61);
    let healed = bed.heal().await;
    assert!(healed.runs.is_empty());
    assert!(healed.rests[0].rest.to_string().contains("clock"), "{}", healed.rests[0].rest);
    assert!(bed.sim.lock().rule_history().is_empty());
}

#[tokio::test]
async fn a_rule_that_is_not_ours_to_toggle_is_never_held() {
    let managed = bed(gap().rule_managed_by("vpc-lattice.amazonaws.com"));
    let other = bed(gap().rule(RuleSetting::EnabledWithManagementEvents));
    for bed in [managed, other] {
        let healed = bed.heal().await;
        assert!(healed.runs.is_empty());
        assert!(matches!(&healed.rests[0].rest, Rest::HoldRefused { .. }), "{:?}", healed.rests);
        assert!(bed.sim.lock().rule_history().is_empty());
    }
}

#[tokio::test]
async fn an_operators_own_disable_is_left_alone() {
    let bed = bed(gap().rule(RuleSetting::Disabled));
    let healed = bed.heal().await;
    assert!(healed.runs.is_empty());
    assert!(matches!(healed.rests[0].rest, Rest::DisabledByOther { .. }), "{:?}", healed.rests);
    assert!(bed.sim.lock().rule_history().is_empty());
    let mut engine = bed.acting_engine().await;
    engine.pass("liberator").await;
    let report = engine.reports().borrow().clone();
    assert_eq!(report.datasets["liberator"].trigger, TriggerState::DisabledByOther);
}

#[tokio::test]
async fn a_hold_that_would_not_end_before_the_live_dump_is_refused() {
    let evening: DateTime<Utc> = "2026-06-30T20:00:00Z".parse().unwrap();
    let bed = bed(WorldBuilder::at(evening).gap(date("2026-06-15")));
    let mut engine = bed.acting_engine().await;
    bed.serve_until(&mut engine, "2026-06-30T22:50:00Z".parse().unwrap()).await;
    assert!(bed.sim.lock().rule_history().is_empty());
    assert!(engine.ledger().state().runs.is_empty());
}

#[tokio::test]
async fn a_hold_is_taken_up_wherever_the_process_died() {
    for passes in 1..14 {
        let bed = bed(gap());
        {
            let mut engine = bed.acting_engine().await;
            for _ in 0..passes {
                bed.pass_and_sleep(&mut engine).await;
            }
        }
        let healed = bed.heal().await;
        assert!(healed.is_whole(), "after {passes} passes: {healed:#?}");
        bed.assert_one_copy("2026-06-15");
        assert_released(&bed).await;
        assert_no_live_dump_lost(&bed).await;
    }
}

#[tokio::test]
async fn a_daemon_that_is_dead_for_good_leaves_the_release_to_the_switch() {
    let bed = bed(gap());
    drop(holding(&bed).await);
    bed.clock.sleep(std::time::Duration::from_hours(20)).await;
    assert!(rule_is(&bed, RuleSetting::Enabled));
    assert!(bed.sim.lock().lost_live_dumps().is_empty());
    let last = bed.sim.lock().rule_history().last().unwrap().who.clone();
    assert_eq!(last, "schedule gapmend-liberator");
    // A new start accounts for it, and disables nothing.
    let mut engine = bed.acting_engine().await;
    bed.serve_until(&mut engine, bed.clock.now() + TimeDelta::hours(1)).await;
    assert!(
        events(&bed).iter().any(|event| {
            matches!(event, Event::HoldClosed { detail, .. } if detail.contains("dead man"))
        }),
        "{:#?}",
        events(&bed)
    );
}

#[tokio::test]
async fn a_switch_beside_a_disabled_rule_proves_a_hold_that_the_ledger_has_lost() {
    let bed = bed(gap());
    drop(holding(&bed).await);
    let bed = bed.forgetting_the_ledger();
    let mut engine = bed.acting_engine().await;
    engine.pass("liberator").await;
    assert!(rule_is(&bed, RuleSetting::Enabled));
    assert!(bed.sim.lock().schedules(Some("gapmend")).is_empty());
}

#[tokio::test]
async fn a_blind_catalog_does_not_keep_the_rule_disabled() {
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
async fn a_ledger_that_cannot_be_written_does_not_keep_the_rule_disabled() {
    let bed = bed(gap());
    let mut engine = loading(&bed).await;
    bed.break_ledger();
    bed.serve_until(&mut engine, noon() + TimeDelta::hours(9)).await;
    assert!(rule_is(&bed, RuleSetting::Enabled), "{:?}", bed.sim.lock().rule_history());
    assert_eq!(bed.sim.lock().rule_history().last().unwrap().who, "caller", "not the switch");
    bed.store.heal();
    assert!(bed.heal().await.is_whole());
    assert_released(&bed).await;
    assert_no_live_dump_lost(&bed).await;
}

#[tokio::test]
async fn a_task_that_could_not_be_written_down_does_not_hold_the_rule_to_the_limit() {
    let bed = bed(gap());
    bed.break_ledger_with_the_first_task();
    let mut engine = loading(&bed).await;
    bed.serve_until(&mut engine, noon() + TimeDelta::hours(3)).await;
    assert!(rule_is(&bed, RuleSetting::Enabled), "{:?}", bed.sim.lock().rule_history());
    bed.store.heal();
    assert!(bed.heal().await.is_whole());
    bed.assert_one_copy("2026-06-15");
    assert_released(&bed).await;
}

#[tokio::test]
async fn a_dataset_that_left_the_configuration_is_still_released() {
    let bed = bed(gap());
    let mut engine = holding(&bed).await;
    let mut settings = (*bed.settings).clone();
    settings.datasets.clear();
    engine.reconfigure(settings);
    for _ in 0..20 {
        for name in engine.turn_order() {
            engine.pass(&name).await;
        }
        bed.clock.sleep(std::time::Duration::from_mins(1)).await;
    }
    assert!(rule_is(&bed, RuleSetting::Enabled));
    assert!(engine.ledger().state().holds.is_empty());
    assert!(bed.sim.lock().schedules(Some("gapmend")).is_empty());
}

#[tokio::test]
async fn a_rule_enabled_behind_our_back_is_not_disabled_again() {
    let bed = bed(gap());
    drop(loading(&bed).await);
    bed.sim.lock().terraform_enables_trigger();
    assert!(bed.heal().await.is_whole());
    assert_eq!(bed.sim.lock().faults.calls("events:DisableRule"), 1);
    assert_released(&bed).await;
}

#[tokio::test]
async fn max_hold_stops_our_task_and_releases_the_rule() {
    let short = HOLD_RUN.replace("5h", "40m").replace("6h", "2h");
    let more = format!("{short}\n[datasets.liberator.backfill]\nmax_attempts = 1\n");
    let bed = Bed::new(gap(), &more);
    let healed = bed.heal().await;
    let end = healed.runs[0].end.clone().unwrap();
    assert_eq!(end.outcome, RunOutcome::Failed);
    assert!(end.detail.contains("max_hold"), "{}", end.detail);
    assert_eq!(healed.runs.len(), 1);
    let history = bed.sim.lock().rule_history().to_vec();
    assert_eq!(history.len(), 2);
    assert!(history[1].at - history[0].at <= TimeDelta::minutes(45));
    assert_released(&bed).await;
}

#[tokio::test]
async fn a_live_dump_that_lands_in_a_hold_is_driven_once_on_its_own_day() {
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
        assert!(bed.sim.lock().overlaps().is_empty());
    }
}

#[tokio::test]
async fn a_live_dump_at_the_edges_of_a_hold_is_never_loaded_twice_nor_lost() {
    let end = end_of_hold().await;
    for (index, offset_minutes) in [-14_i64, -4, -1, 0, 1, 4].into_iter().enumerate() {
        for cloudtrail_minutes in [0_u64, 10, 20] {
            let bed = bed(gap_without_supplier());
            bed.sim.lock().timing.cloudtrail =
                Span::exactly(std::time::Duration::from_mins(cloudtrail_minutes));
            let mut engine = bed.acting_engine().await;
            // The hold of this world ends at about this time.
            bed.serve_until(&mut engine, end + TimeDelta::minutes(offset_minutes)).await;
            bed.sim.lock().write_dump(date("2026-06-30"));
            bed.serve_until(&mut engine, noon() + TimeDelta::hours(10)).await;
            let world = bed.sim.lock();
            let live = world.tasks().iter().filter(|task| task.live).count();
            assert_eq!(live, 1, "case {index}, trail {cloudtrail_minutes}: {:#?}", world.trail());
            assert!(world.overlaps().is_empty());
            assert!(world.wrong_data().is_empty(), "{:?}", world.wrong_data());
        }
    }
}

#[tokio::test]
async fn a_person_releases_a_hold_of_ours_and_no_other() {
    let bed = bed(gap());
    drop(holding(&bed).await);
    let dataset = Arc::clone(&bed.settings.datasets["liberator"]);
    let mut ledger = bed.ledger().await;
    let released = release(&bed.world(), Some(&mut ledger), &dataset).await.unwrap();
    assert!(matches!(released, Released::Enabled { left: None, .. }), "{released:?}");
    assert!(rule_is(&bed, RuleSetting::Enabled));
    assert!(bed.sim.lock().schedules(Some("gapmend")).is_empty());
    let again = release(&bed.world(), Some(&mut ledger), &dataset).await.unwrap();
    assert_eq!(again, Released::NotDisabled);
    bed.sim.lock().operator_disables_trigger();
    let theirs = release(&bed.world(), Some(&mut ledger), &dataset).await.unwrap();
    assert_eq!(theirs, Released::NotOurs);
}

#[tokio::test]
async fn a_person_releases_a_hold_that_only_the_switch_proves() {
    let bed = bed(gap());
    drop(holding(&bed).await);
    let dataset = Arc::clone(&bed.settings.datasets["liberator"]);
    let released = release(&bed.world(), None, &dataset).await.unwrap();
    assert!(matches!(released, Released::Enabled { .. }), "{released:?}");
    assert!(rule_is(&bed, RuleSetting::Enabled));
    assert!(bed.heal().await.is_whole(), "the daemon goes on");
    assert_released(&bed).await;
}

/// A world whose dump has the old spelling, and settings that stage it.
fn staging() -> Bed {
    Bed::with_dataset(gap().old_name(date("2026-06-15")), UPLOAD_ONLY, |dataset| {
        dataset.load.other_name = OtherName::Stage;
    })
}

#[tokio::test]
async fn a_dump_under_another_name_is_staged_under_a_hold_before_its_load() {
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
async fn a_copy_whose_answer_is_lost_is_made_once() {
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
async fn a_copy_that_is_refused_is_an_attempt_and_the_rule_comes_back() {
    let bed = staging();
    bed.sim.lock().faults.add(
        "s3:CopyObject",
        FaultWhen::Always,
        FaultKind::Denied,
        Moment::Before,
    );
    let healed = bed.heal().await;
    assert!(!healed.is_whole());
    assert!(healed.runs.iter().all(|run| run.stage == Stage::StageDump), "{healed:#?}");
    assert!((1..=3).contains(&healed.runs.len()), "{healed:#?}");
    bed.sim.lock().faults.clear();
    assert!(rule_is(&bed, RuleSetting::Enabled));
}

#[tokio::test]
async fn a_live_run_that_failed_on_our_snapshot_is_driven_again_once() {
    let bed = Bed::new(gap_without_supplier(), "");
    bed.sim.lock().timing.cloudtrail = Span::exactly(std::time::Duration::ZERO);
    let mut engine = bed.acting_engine().await;
    let id = bed.sim.lock().names.backdated_id(date("2026-06-15"));
    while bed.sim.lock().db_snapshots(None, Some(&id)).is_err() {
        bed.pass_and_sleep(&mut engine).await;
    }
    bed.sim.lock().write_dump(date("2026-06-30"));
    bed.serve_until(&mut engine, noon() + TimeDelta::hours(10)).await;
    {
        let world = bed.sim.lock();
        let codes: Vec<_> =
            world.tasks().iter().filter(|it| it.live).map(|it| it.exit_code).collect();
        assert_eq!(codes, [Some(1), Some(0)], "it failed on ours, and was driven once");
        assert!(world.is_whole(date("2026-06-30")), "{:?}", world.copies(date("2026-06-30")));
        assert!(world.overlaps().is_empty() && world.wrong_data().is_empty());
    }
    bed.assert_one_copy("2026-06-15");
    bed.assert_quiet_and_sound().await;
}

#[tokio::test]
async fn a_start_whose_ledger_cannot_be_written_still_releases_what_is_held() {
    let bed = bed(gap());
    drop(holding(&bed).await);
    bed.clock.sleep(std::time::Duration::from_mins(20)).await; // until the dead one counts as gone
    bed.break_ledger();
    let mut engine = bed.engine(Errand::default()).await;
    let taken_up = take_up(&mut engine, &CancellationToken::new()).await;
    assert!(taken_up.is_err(), "it cannot act");
    assert!(rule_is(&bed, RuleSetting::Enabled), "{:?}", bed.sim.lock().rule_history());
    assert_eq!(bed.sim.lock().rule_history().last().unwrap().who, "caller", "not the switch");
    bed.store.heal();
    assert!(bed.heal().await.is_whole());
    assert_released(&bed).await;
}

#[tokio::test]
async fn since_when_somebody_keeps_the_rule_disabled_outlives_a_restart() {
    let bed = bed(gap().rule(RuleSetting::Disabled));
    let since = |engine: &Engine| {
        engine.reports().borrow().datasets["liberator"].trigger_disabled_since.unwrap()
    };
    let mut engine = bed.acting_engine().await;
    engine.pass("liberator").await;
    let first = since(&engine);
    drop(engine);
    bed.clock.sleep(std::time::Duration::from_hours(3)).await;
    let mut engine = bed.acting_engine().await;
    engine.pass("liberator").await;
    assert!(since(&engine) - first < TimeDelta::minutes(1));
}

#[tokio::test]
async fn a_colleagues_backdated_run_is_recognised_and_shown() {
    let bed = Bed::new(gap(), "");
    bed.sim.lock().person_runs_task(Some(date("2026-06-12")));
    bed.clock.sleep(std::time::Duration::from_mins(5)).await;
    let mut engine = bed.acting_engine().await;
    let pass = engine.pass("liberator").await;
    assert!(pass.detail.contains("a backdated run of 2026-06-12 started by"), "{}", pass.detail);
    assert!(engine.ledger().state().runs.is_empty());
}
