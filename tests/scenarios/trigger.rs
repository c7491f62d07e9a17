//! The hold of the trigger: the live ingestion is never lost, never hit, and the rule comes back.

use std::sync::Arc;

use chrono::TimeDelta;
use gapmend::config::OtherName;
use gapmend::daemon::{Engine, Errand, Released, release, take_up, turns};
use gapmend::domain::{RunOutcome, Stage, TriggerState};
use gapmend::ledger::{Event, HoldStep};
use gapmend::plan::Rest;
use gapmend::platform::Clock;
use gapmend::sim::{FaultKind, FaultWhen, Moment, RuleSetting, WorldBuilder};

use tokio_util::sync::CancellationToken;

use super::bed::{Bed, date, noon, world};

/// The trigger's settings of these scenarios: loads of an hour fit under a hold.
pub const HOLD_RUN: &str = r#"
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

pub fn bed(world: WorldBuilder) -> Bed {
    Bed::new(world, HOLD_RUN)
}

pub fn gap() -> WorldBuilder {
    world().gap(date("2026-06-15"))
}

/// Every event of the ledger, in order.
pub fn events(bed: &Bed) -> Vec<Event> {
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
pub fn gap_without_supplier() -> WorldBuilder {
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
pub async fn loading(bed: &Bed) -> Engine {
    let mut engine = bed.acting_engine().await;
    while bed.sim.lock().faults.calls("ecs:RunTask") == 0 {
        bed.pass_and_sleep(&mut engine).await;
    }
    engine
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

/// Nobody came back for the hold until the switch had enabled the rule.
async fn after_the_switch_fired() -> Bed {
    let bed = bed(gap());
    drop(felt_holding(&bed).await);
    bed.sim.advance_to(noon() + TimeDelta::hours(8));
    let last = bed.sim.lock().rule_history().last().unwrap().who.clone();
    assert!(last.starts_with("schedule gapmend-"), "{last}");
    bed
}

#[tokio::test]
async fn what_an_operator_disabled_after_the_switch_was_seen_to_fire_is_left_alone() {
    let bed = after_the_switch_fired().await;
    let mut engine = bed.acting_engine().await;
    let released = |engine: &Engine| {
        let hold = engine.ledger().state().hold_of("liberator").cloned();
        hold.is_none_or(|hold| hold.step_at(HoldStep::Enabled).is_some())
    };
    while !released(&engine) {
        bed.pass_and_sleep(&mut engine).await;
    }
    bed.sim.lock().operator_disables_trigger();
    let mut told = Vec::new();
    for _ in 0..200 {
        bed.pass_and_sleep(&mut engine).await;
        told.push(engine.reports().borrow().datasets["liberator"].trigger);
    }
    assert!(told.ends_with(&[TriggerState::DisabledByOther; 30]), "{told:?}");
    assert!(rule_is(&bed, RuleSetting::Disabled), "{:?}", bed.sim.lock().rule_history());
    assert!(engine.ledger().state().holds.is_empty(), "{:#?}", engine.ledger().state().holds);
    bed.sim.lock().terraform_enables_trigger();
    assert!(bed.heal().await.is_whole());
    assert_released(&bed).await;
}

/// A switch that was deleted, or whose role may not enable, is gone all the same: the rule that is
/// still disabled is still ours, for the next daemon and for `trigger release`.
#[tokio::test]
async fn an_absent_switch_is_not_one_that_worked() {
    for by_hand in [false, true] {
        let bed = bed(gap());
        drop(felt_holding(&bed).await);
        let switch = bed.sim.lock().schedules(Some("gapmend"))[0].name.clone();
        bed.sim.lock().delete_schedule("gapmend", &switch).unwrap();
        bed.sim.advance_to(noon() + TimeDelta::hours(8));
        assert!(rule_is(&bed, RuleSetting::Disabled));
        if by_hand {
            let dataset = Arc::clone(&bed.settings.datasets["liberator"]);
            let mut ledger = bed.ledger().await;
            let released = release(&bed.world(), Some(&mut ledger), &dataset).await.unwrap();
            assert!(matches!(released, Released::Enabled { left: None, .. }), "{released:?}");
            assert!(rule_is(&bed, RuleSetting::Enabled));
        }
        assert!(bed.heal().await.is_whole());
        assert_eq!(bed.sim.lock().rule_history()[1].who, "caller");
        assert_released(&bed).await;
    }
}

/// The switch was armed and the rule never disabled: what an operator disables then is his.
#[tokio::test]
async fn a_switch_of_a_hold_that_never_disabled_the_rule_proves_nothing() {
    let bed = bed(gap());
    let mut engine = bed.acting_engine().await;
    while bed.sim.lock().schedules(Some("gapmend")).is_empty() {
        bed.pass_and_sleep(&mut engine).await;
    }
    drop(engine);
    bed.sim.lock().operator_disables_trigger();
    let dataset = Arc::clone(&bed.settings.datasets["liberator"]);
    let mut ledger = bed.ledger().await;
    let released = release(&bed.world(), Some(&mut ledger), &dataset).await.unwrap();
    assert_eq!(released, Released::NotOurs);
    let mut engine = bed.acting_engine().await;
    for _ in 0..5 {
        bed.pass_and_sleep(&mut engine).await;
    }
    assert!(bed.sim.lock().schedules(Some("gapmend")).is_empty(), "the switch would enable it");
    bed.sim.advance_to(noon() + TimeDelta::hours(8));
    assert!(rule_is(&bed, RuleSetting::Disabled), "{:?}", bed.sim.lock().rule_history());
}

/// Our disabling collides with an operator's: the rule is his.
#[tokio::test]
async fn what_an_operator_disabled_while_ours_was_refused_is_his() {
    let bed = bed(gap());
    let always = FaultWhen::Always;
    bed.sim.lock().faults.add("events:DisableRule", always, FaultKind::Concurrent, Moment::Before);
    let mut engine = bed.acting_engine().await;
    while bed.sim.lock().faults.calls("events:DisableRule") == 0 {
        bed.pass_and_sleep(&mut engine).await;
    }
    bed.sim.lock().operator_disables_trigger();
    for _ in 0..20 {
        bed.pass_and_sleep(&mut engine).await;
    }
    assert!(bed.sim.lock().schedules(Some("gapmend")).is_empty(), "the switch would enable it");
    assert!(engine.ledger().state().holds.is_empty(), "{:#?}", engine.ledger().state().holds);
    bed.serve_until(&mut engine, noon() + TimeDelta::hours(8)).await;
    assert!(rule_is(&bed, RuleSetting::Disabled), "{:?}", bed.sim.lock().rule_history());
}

/// What would land in the hold of such a rule could not be driven as the rule itself would.
#[tokio::test]
async fn a_rule_whose_live_run_we_could_not_start_is_not_held() {
    for with_input in [false, true] {
        let bed = bed(gap());
        {
            let mut world = bed.sim.lock();
            let rule = world.trigger_mut().unwrap();
            if with_input {
                rule.targets[0].input = Some("{}".to_owned());
            } else {
                rule.other_targets.push("arn:aws:lambda:eu-west-2:1:function:f".to_owned());
            }
        }
        let healed = bed.heal().await;
        assert!(healed.rests[0].rest.to_string().contains("may not be held"), "{healed:?}");
        assert!(bed.sim.lock().rule_history().is_empty());
        assert_eq!(bed.sim.lock().faults.calls("scheduler:CreateSchedule"), 0);
    }
}

/// Nothing to learn the live dump's time from: neither a load nor a hold begins, and the key to
/// set is named.
#[tokio::test]
async fn nothing_starts_while_nobody_knows_when_the_live_dump_lands() {
    let bed = bed(gap());
    {
        let mut world = bed.sim.lock();
        let bucket = world.names.dump_bucket.clone();
        world.migrate_bucket(&bucket);
    }
    let healed = bed.heal().await;
    assert!(healed.runs.is_empty(), "{healed:#?}");
    let rest = healed.rests[0].rest.to_string();
    assert!(rest.contains("datasets.liberator.trigger.arrival"), "{rest}");
    assert!(bed.sim.lock().rule_history().is_empty());
}

#[tokio::test]
async fn a_switch_that_cannot_be_seen_does_not_keep_a_person_from_releasing() {
    let bed = bed(gap());
    drop(felt_holding(&bed).await);
    let (always, denied) = (FaultWhen::Always, FaultKind::Denied);
    bed.sim.lock().faults.add("scheduler:GetSchedule", always, denied, Moment::Before);
    let dataset = Arc::clone(&bed.settings.datasets["liberator"]);
    let mut ledger = bed.ledger().await;
    let released = release(&bed.world(), Some(&mut ledger), &dataset).await.unwrap();
    assert!(matches!(released, Released::Enabled { .. }), "{released:?}");
    assert!(rule_is(&bed, RuleSetting::Enabled));
}

/// A world whose dump has the old spelling, and settings that stage it.
pub fn staging() -> Bed {
    Bed::with_dataset(gap().old_name(date("2026-06-15")), UPLOAD_ONLY, |dataset| {
        dataset.load.other_name = OtherName::Stage;
    })
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

/// Somebody else changes the rule, or the schedules, at the same time.
#[tokio::test]
async fn a_change_that_meets_anothers_is_asked_for_again_until_it_is_made() {
    for (operation, last) in [
        ("events:DisableRule", 4),
        ("events:EnableRule", 30),
        ("scheduler:CreateSchedule", 4),
        ("scheduler:DeleteSchedule", 30),
    ] {
        let bed = bed(gap());
        let when = FaultWhen::Calls(1, last);
        bed.sim.lock().faults.add(operation, when, FaultKind::Concurrent, Moment::Before);
        assert!(bed.heal().await.is_whole(), "{operation}");
        assert_eq!(bed.sim.lock().faults.calls(operation), last + 1, "{operation}");
        let history = bed.sim.lock().rule_history().to_vec();
        assert_eq!(history.len(), 2, "{operation}: {history:#?}");
        assert_eq!(history[1].who, "caller", "{operation}: not the switch");
        assert_released(&bed).await;
        assert_no_live_dump_lost(&bed).await;
    }
}

#[tokio::test]
async fn a_rule_that_cannot_be_disabled_for_long_is_given_up_and_its_switch_with_it() {
    let bed = bed(gap());
    let when = FaultWhen::Always;
    bed.sim.lock().faults.add("events:DisableRule", when, FaultKind::Concurrent, Moment::Before);
    let mut engine = bed.acting_engine().await;
    let given_up = |engine: &Engine| {
        let hold = engine.ledger().state().hold_of("liberator").cloned();
        hold.is_some_and(|hold| hold.step_at(HoldStep::Enabled).is_some())
    };
    while !given_up(&engine) {
        bed.pass_and_sleep(&mut engine).await;
    }
    assert!(bed.clock.now() - noon() < TimeDelta::minutes(8), "five minutes and a pass");
    bed.serve_until(&mut engine, bed.clock.now() + TimeDelta::minutes(2)).await;
    assert!(bed.sim.lock().schedules(Some("gapmend")).is_empty(), "the switch is gone");
    assert!(engine.ledger().state().runs.is_empty(), "nothing is loaded without its hold");
    bed.sim.lock().faults.clear();
    assert!(bed.heal().await.is_whole());
    assert_released(&bed).await;
}

#[tokio::test]
async fn a_release_that_meets_other_changes_all_day_is_never_given_up() {
    let bed = bed(gap());
    let mut engine = loading(&bed).await;
    let when = FaultWhen::Always;
    bed.sim.lock().faults.add("events:EnableRule", when, FaultKind::Concurrent, Moment::Before);
    bed.serve_until(&mut engine, noon() + TimeDelta::hours(5)).await;
    assert!(rule_is(&bed, RuleSetting::Disabled));
    let asked = bed.sim.lock().faults.calls("events:EnableRule");
    assert!(asked > 20, "{asked}");
    bed.sim.lock().faults.clear();
    bed.serve_until(&mut engine, noon() + TimeDelta::hours(5) + TimeDelta::minutes(10)).await;
    assert_eq!(bed.sim.lock().rule_history().last().unwrap().who, "caller", "not the switch");
    assert!(bed.heal().await.is_whole());
    assert_released(&bed).await;
}

#[tokio::test]
async fn a_disabling_whose_answer_is_lost_is_asked_for_again() {
    for moment in [Moment::Before, Moment::After] {
        let bed = bed(gap());
        let first = FaultWhen::Call(1);
        bed.sim.lock().faults.add("events:DisableRule", first, FaultKind::Timeout, moment);
        assert!(bed.heal().await.is_whole());
        let made = bed.sim.lock().rule_history().len();
        assert_eq!(made, 2, "one hold");
        assert_released(&bed).await;
    }
}

#[tokio::test]
async fn a_rule_that_may_not_be_disabled_is_told_at_once_and_not_asked_for_all_night() {
    let bed = bed(gap());
    let denied = (FaultWhen::Always, FaultKind::Denied, Moment::Before);
    bed.sim.lock().faults.add("events:DisableRule", denied.0, denied.1, denied.2);
    let healed = bed.heal().await;
    assert!(healed.runs.is_empty());
    assert!(healed.rests[0].rest.to_string().contains("may not be disabled"), "{healed:?}");
    assert!(bed.clock.now() - noon() < TimeDelta::minutes(2), "permissions do not heal");
    assert_eq!(bed.sim.lock().faults.calls("events:DisableRule"), 1);
    assert!(bed.sim.lock().schedules(Some("gapmend")).is_empty(), "the switch is gone");
    bed.heal().await;
    assert_eq!(bed.sim.lock().faults.calls("events:DisableRule"), 1, "not again at once");

    bed.sim.lock().faults.clear();
    bed.clock.sleep(std::time::Duration::from_mins(61)).await;
    assert!(bed.heal().await.is_whole(), "and by itself once somebody has given the right");
    assert_released(&bed).await;
}

#[tokio::test]
async fn a_switch_that_cannot_be_deleted_after_a_denial_is_deleted_later() {
    let bed = bed(gap());
    for (operation, last, kind) in [
        ("events:DisableRule", 1, FaultKind::Denied),
        ("scheduler:DeleteSchedule", 3, FaultKind::Server),
    ] {
        let first = FaultWhen::Calls(1, last);
        bed.sim.lock().faults.add(operation, first, kind, Moment::Before);
    }
    assert!(bed.heal().await.is_whole());
    assert_released(&bed).await;
}

#[tokio::test]
async fn a_release_does_not_wait_for_a_ledger_that_never_answers() {
    let bed = bed(gap());
    let mut engine = felt_holding(&bed).await;
    let until = engine.ledger().state().hold_of("liberator").unwrap().until;
    bed.hang_ledger();
    let (wake, stop) = (tokio::sync::Notify::new(), CancellationToken::new());
    let mut reload: gapmend::daemon::Reload = Box::new(|| None);
    let waits = bed.clock.sleep((until - bed.clock.now()).to_std().unwrap());
    tokio::select! {
        ended = turns(&mut engine, &wake, &mut reload, &stop) => panic!("{ended:?}"),
        () = async { waits.await; bed.clock.sleep(std::time::Duration::from_secs(30)).await } => {}
    }
    drop(engine);
    assert!(rule_is(&bed, RuleSetting::Enabled), "{:?}", bed.sim.lock().rule_history());
    bed.store.heal();
    bed.clock.sleep(std::time::Duration::from_mins(20)).await; // until the dead one counts as gone
    assert!(bed.heal().await.is_whole());
    assert_released(&bed).await;
}

/// The ledger is full, or read-only, for longer than the command waits.
#[tokio::test]
async fn a_heal_that_gives_up_enables_the_rule_before_it_ends() {
    let bed = bed(gap());
    let mut engine = bed.engine(Errand::default()).await;
    let names = ["liberator".to_owned()];
    let asked = gapmend::ledger::Asked { by: "tester".to_owned(), reason: None, ticket: None };
    let (store, sim) = (bed.store.clone(), bed.sim.clone());
    store.choose_faults(move |_, operation| {
        let broken = operation == gapmend::ledger::store::Operation::Create
            && !sim.lock().rule_history().is_empty();
        broken.then_some(gapmend::ledger::memory::Fault::Answers(
            gapmend::ledger::store::Trouble::Failed,
        ))
    });
    let stop = CancellationToken::new();
    let ended = gapmend::daemon::heal(&mut engine, &names, &asked, &stop).await;
    assert!(ended.is_err(), "{ended:?}");
    assert!(rule_is(&bed, RuleSetting::Enabled), "{:?}", bed.sim.lock().rule_history());
    assert!(bed.clock.now() - noon() < TimeDelta::hours(1), "long before max_hold");
    assert_eq!(bed.sim.lock().rule_history().last().unwrap().who, "caller", "not the switch");
}
