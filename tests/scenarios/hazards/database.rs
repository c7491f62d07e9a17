//! One database, one set of snapshots: two loads at once mix two days (H1, H2), and the live one
//! may come at any time (H3, H16).

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use gapmend::config::Arrival;
use gapmend::domain::RunOutcome;
use gapmend::platform::Clock;
use gapmend::sim::{FaultKind, FaultWhen, Moment, Profile, Span, Times, WorldBuilder};

use super::{GAP, today};
use crate::bed::{Bed, date, noon};
use crate::trigger::{HOLD_RUN, assert_released, gap, gap_without_supplier, loading};

/// The live dump was loaded once, ours too, and never both at a time.
async fn assert_both_are_whole(bed: &Bed, about: &str) {
    {
        let world = bed.sim.lock();
        assert!(world.overlaps().is_empty(), "{about}: {:?}", world.overlaps());
        assert!(world.is_whole(today()), "{about}: {:?}", world.copies(today()));
    }
    bed.assert_one_copy(GAP);
    bed.assert_quiet_and_sound().await;
}

#[tokio::test]
async fn h1_a_live_task_at_any_stage_of_ours_loads_alone() {
    // While our task is provisioned, pulls its image, fetches, loads; while its snapshot is made,
    // exported, copied and published.
    for minutes in [0, 1, 4, 40, 74, 80, 100, 150, 180] {
        let bed = Bed::new(gap_without_supplier(), "");
        bed.sim.lock().timing.cloudtrail = Span::exactly(Duration::ZERO);
        let mut engine = loading(&bed).await;
        bed.serve_until(&mut engine, bed.clock.now() + TimeDelta::minutes(minutes)).await;
        bed.sim.lock().write_dump(today());
        bed.serve_until(&mut engine, noon() + TimeDelta::hours(11)).await;
        assert_both_are_whole(&bed, &format!("{minutes} minutes into ours")).await;
    }
}

#[tokio::test]
async fn h1_a_stop_that_ecs_refuses_is_asked_for_again_long_before_the_next_poll() {
    let bed = Bed::with_dataset(gap_without_supplier(), "", |dataset| {
        dataset.load.poll = Duration::from_mins(5);
    });
    let mut engine = loading(&bed).await;
    {
        let mut world = bed.sim.lock();
        world.person_runs_task(Some(date("2026-06-12")));
        for call in 1..=5 {
            let (call, refusal) = (FaultWhen::Call(call), FaultKind::Server);
            world.faults.add("ecs:StopTask", call, refusal, Moment::Before);
        }
    }
    bed.serve_until(&mut engine, noon() + TimeDelta::minutes(30)).await;
    let run = &engine.ledger().state().runs[0];
    assert_eq!(run.end.as_ref().unwrap().outcome, RunOutcome::Void);
    let world = bed.sim.lock();
    assert_eq!(world.faults.calls("ecs:StopTask"), 6, "and no more often once it took");
    assert!(world.overlaps().is_empty(), "{:?}", world.overlaps());
}

#[tokio::test]
async fn h1_a_colleagues_backdated_run_is_shown_and_waited_for() {
    let bed = Bed::new(gap(), "");
    bed.sim.lock().person_runs_task(Some(date("2026-06-12")));
    bed.clock.sleep(std::time::Duration::from_mins(5)).await;
    let mut engine = bed.acting_engine().await;
    let pass = engine.pass("liberator").await;
    assert!(pass.detail.contains("a backdated run of 2026-06-12 started by"), "{}", pass.detail);
    assert!(engine.ledger().state().runs.is_empty());
}

#[tokio::test]
async fn h2_a_live_run_that_failed_on_our_snapshot_is_driven_again_once() {
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

/// The day of the live dump is over before it can be driven again: the live task would look for
/// tomorrow's.
#[tokio::test]
async fn h2_a_live_run_that_failed_on_our_snapshot_before_midnight_is_counted_as_missed() {
    let evening: DateTime<Utc> = "2026-06-30T22:38:00Z".parse().unwrap();
    let world = WorldBuilder::at(evening).no_supplier().gap(date(GAP));
    let bed = Bed::with_dataset(world, "", |dataset| {
        dataset.trigger.as_mut().unwrap().arrival = Arrival::None;
    });
    bed.sim.lock().timing.cloudtrail = Span::exactly(Duration::ZERO);
    let mut engine = loading(&bed).await;
    bed.serve_until(&mut engine, "2026-06-30T23:57:00Z".parse().unwrap()).await;
    let id = bed.sim.lock().names.backdated_id(date(GAP));
    let snapshot = bed.sim.lock().db_snapshots(None, Some(&id)).unwrap().remove(0);
    assert_eq!(snapshot.status, "creating");
    bed.sim.lock().write_dump(today());
    bed.serve_until(&mut engine, "2026-07-01T12:00:00Z".parse().unwrap()).await;
    let live = bed.sim.lock().tasks().iter().filter(|task| task.live).count();
    assert_eq!(live, 1, "it failed, and is not driven on another day");
    let report = engine.reports().borrow().clone();
    let state = &report.ledger.datasets["liberator"];
    assert_eq!(state.live_dumps_missed, 1, "what gapmend_live_dumps_missed_total tells");
    assert!(state.swept[0].missed && state.swept[0].date == today(), "{:?}", state.swept);
    bed.assert_one_copy(GAP);
    bed.assert_quiet_and_sound().await;
}

#[tokio::test]
async fn h2_no_load_begins_before_the_last_snapshot_has_its_export() {
    let bed = Bed::new(gap_without_supplier(), "");
    bed.sim.lock().timing.cloudtrail = Span::exactly(Duration::ZERO);
    bed.sim.lock().write_dump(today());
    bed.clock.sleep(Duration::from_mins(80)).await; // until its snapshot is being made
    let mut engine = bed.acting_engine().await;
    bed.serve_until(&mut engine, noon() + TimeDelta::hours(11)).await;
    {
        let world = bed.sim.lock();
        let exports = world.export_tasks(None, None).unwrap();
        let live = exports.iter().find(|it| it.id.starts_with("sql-to-parquet-26-06-30")).unwrap();
        let ours = world.tasks().into_iter().find(|task| !task.live).unwrap().created_at;
        assert!(ours >= live.ended_at.unwrap(), "ours {ours}, {live:?}");
    }
    assert_both_are_whole(&bed, "after the live run").await;
}

#[tokio::test]
async fn h3_no_load_begins_that_would_not_be_through_before_the_live_dump() {
    for hold in ["", HOLD_RUN] {
        let evening: DateTime<Utc> = "2026-06-30T20:00:00Z".parse().unwrap();
        let bed = Bed::new(WorldBuilder::at(evening).gap(date(GAP)), hold);
        let mut engine = bed.acting_engine().await;
        bed.serve_until(&mut engine, "2026-06-30T22:50:00Z".parse().unwrap()).await;
        assert!(bed.sim.lock().rule_history().is_empty());
        assert!(engine.ledger().state().runs.is_empty());
        bed.assert_changes_nothing().await;
    }
}

/// The live task is refused for want of capacity, and EventBridge tries again for a day: an hour
/// after its dump it begins in the middle of our load, whether or not the rule is held by then.
#[tokio::test]
async fn h16_a_live_task_that_begins_late_is_made_way_for() {
    for hold in ["", HOLD_RUN] {
        let refused = Profile { capacity_refused: Times::First(10), ..Profile::default() };
        let bed = Bed::new(gap_without_supplier().profile(today(), refused), hold);
        bed.sim.lock().timing.cloudtrail = Span::exactly(Duration::from_mins(5));
        bed.sim.lock().write_dump(today());
        let mut engine = bed.acting_engine().await;
        bed.serve_until(&mut engine, noon() + TimeDelta::hours(11)).await;
        let outcome = engine.ledger().state().runs[0].end.as_ref().unwrap().outcome;
        assert_eq!(outcome, RunOutcome::Void, "ours had begun, and made way");
        assert_both_are_whole(&bed, "late").await;
        assert_released(&bed).await;
    }
}
