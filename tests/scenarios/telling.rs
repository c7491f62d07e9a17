//! What the alerts are made of: the dump that is awaited, the one that fired nothing, and the
//! date that is late.

use chrono::{DateTime, TimeDelta, Utc};
use gapmend::daemon::{DatasetReport, Engine};
use gapmend::platform::Clock;
use gapmend::sim::RuleSetting;

use super::bed::{Bed, date, world};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn told(engine: &Engine) -> DatasetReport {
    engine.reports().borrow().datasets["liberator"].clone()
}

#[tokio::test]
async fn a_dump_that_lands_while_others_have_the_rule_disabled_can_be_rescued_until_midnight() {
    let bed = Bed::new(world().rule(RuleSetting::Disabled), "");
    let mut engine = bed.acting_engine().await;
    bed.serve_until(&mut engine, at("2026-06-30T22:00:00Z")).await;
    let before = told(&engine);
    assert_eq!(before.rescue_until, None);
    let expected = before.next_arrival_at.expect("it is learned");
    assert_eq!(expected.date_naive(), date("2026-06-30"));

    bed.serve_until(&mut engine, at("2026-06-30T23:00:00Z")).await;
    assert_eq!(told(&engine).next_arrival_at, Some(expected), "its time has come, it has not");

    bed.serve_until(&mut engine, at("2026-06-30T23:30:00Z")).await;
    let landed = told(&engine);
    assert_eq!(landed.rescue_until, Some(at("2026-07-01T00:00:00Z")));
    assert!(landed.next_arrival_at.unwrap() > at("2026-07-01T12:00:00Z"), "it is awaited no more");

    bed.serve_until(&mut engine, at("2026-07-01T00:10:00Z")).await;
    assert_eq!(told(&engine).rescue_until, None, "its day is over");
}

#[tokio::test]
async fn a_dump_whose_run_began_before_the_rule_was_disabled_needs_no_rescue() {
    let bed = Bed::new(world(), "");
    let mut engine = bed.acting_engine().await;
    bed.serve_until(&mut engine, at("2026-06-30T23:30:00Z")).await;
    {
        let mut world = bed.sim.lock();
        let (rule, bus) = (world.names.rule.clone(), world.names.event_bus.clone());
        world.disable_rule(&rule, &bus).unwrap();
    }
    bed.serve_until(&mut engine, at("2026-06-30T23:50:00Z")).await;
    assert!(told(&engine).trigger_disabled_since.is_some());
    assert_eq!(told(&engine).rescue_until, None);
}

#[tokio::test]
async fn a_date_that_is_late_is_looked_at_again_once_its_time_is_over() {
    let calendar = "[datasets.liberator.calendar]\nready_by = \"D+1 02:00\"\n";
    let bed = Bed::new(world(), calendar);
    let mut engine = bed.acting_engine().await;
    bed.serve_until(&mut engine, at("2026-07-01T02:00:00Z")).await;
    let late = told(&engine);
    let newest = late.newest.unwrap();
    assert_eq!((newest.date, newest.arrived, newest.whole), (date("2026-06-30"), true, false));
    // Two in the morning in London is one in UTC; the schedule's slot comes two hours later.
    assert!(late.last_scan_at.unwrap() >= at("2026-07-01T01:00:00Z"), "{:?}", late.last_scan_at);
    bed.serve_until(&mut engine, at("2026-07-01T12:00:00Z")).await;
    assert!(told(&engine).newest.unwrap().whole);
    assert!(bed.clock.now() - told(&engine).last_scan_at.unwrap() > TimeDelta::hours(5));
}
