//! The laws of deciding, over random observations, ledgers and settings.

use chrono::{Duration, NaiveDate};
use proptest::prelude::*;

use super::night::{TABLES, World, blindness, entry, first, live_task};
use crate::config::{Mode, Order};
use crate::domain::{DateStatus, DumpFault, RuleState, RunOutcome, Seen, Stage};
use crate::ledger::{Repeat, Request};
use crate::observe::RunView;
use crate::plan::{Plan, Step, lag};

/// What is wrong with a date.
#[derive(Clone, Copy, Debug)]
enum Spoiled {
    Not,
    Gap,
    NoDump,
    Partial,
    Empty,
    Unregistered,
    BadDump,
    Denied,
    Waived,
    Failed(u8, bool),
    Cancelled,
    Asked,
    Running(Stage),
}

fn spoiled() -> impl Strategy<Value = Spoiled> {
    prop_oneof![
        8 => Just(Spoiled::Not),
        4 => Just(Spoiled::Gap),
        1 => Just(Spoiled::NoDump),
        1 => Just(Spoiled::Partial),
        1 => Just(Spoiled::Empty),
        1 => Just(Spoiled::Unregistered),
        1 => Just(Spoiled::BadDump),
        1 => Just(Spoiled::Denied),
        1 => Just(Spoiled::Waived),
        2 => (1..5_u8, any::<bool>()).prop_map(|(times, safe)| Spoiled::Failed(times, safe)),
        1 => Just(Spoiled::Cancelled),
        1 => Just(Spoiled::Asked),
        1 => prop_oneof![Just(Stage::Load), Just(Stage::Export), Just(Stage::Publish)]
            .prop_map(Spoiled::Running),
    ]
}

fn spoil(world: &mut World, date: NaiveDate, how: Spoiled) {
    if !matches!(how, Spoiled::Not) {
        world.lose(date);
    }
    let then = world.now - Duration::hours(5);
    match how {
        Spoiled::Not | Spoiled::Gap => {}
        Spoiled::NoDump => drop(world.dumps().remove(&date)),
        Spoiled::Partial => {
            world.catalogued.get_mut(TABLES[0]).unwrap().insert(date);
            world.stored.get_mut(TABLES[0]).unwrap().insert(date);
        }
        Spoiled::Empty => drop(world.catalogued.get_mut(TABLES[0]).unwrap().insert(date)),
        Spoiled::Unregistered => drop(world.stored.get_mut(TABLES[1]).unwrap().insert(date)),
        Spoiled::BadDump => {
            let fault = DumpFault::TooSmall { size: 1, min: 1024 };
            world.landing.faults.insert(date, fault);
        }
        Spoiled::Denied => {
            let denial = entry(&date.to_string(), "no");
            world.dataset.backfill.deny.insert(format!("d{date}"), denial);
        }
        Spoiled::Waived => {
            let waiver = entry(&date.to_string(), "no data");
            world.dataset.backfill.waive.insert(format!("w{date}"), waiver);
            world.dumps().remove(&date);
        }
        Spoiled::Failed(times, safe) => {
            let repeat = if safe { Repeat::FromTheTop } else { Repeat::Unsafe };
            for _ in 0..times {
                if world.ledger.active_run().is_none() {
                    world.fail(then, date, repeat);
                }
            }
        }
        Spoiled::Cancelled => {
            if world.ledger.active_run().is_none() {
                world.begin(then, date, Stage::Load);
                world.end(then, RunOutcome::Cancelled, Repeat::Unsafe);
            }
        }
        Spoiled::Asked => {
            world.request(then, Request::Heal { dates: vec![date], max_runs: None });
        }
        Spoiled::Running(stage) => {
            if world.ledger.active_run().is_none() {
                world.begin(then, date, stage);
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Air {
    mode: Mode,
    oldest_first: bool,
    blind: bool,
    tasks: u8,
    disabled: bool,
    paused: bool,
    surveyed: bool,
    confirmed: bool,
    run_seen: bool,
    minutes: i64,
}

fn air() -> impl Strategy<Value = Air> {
    let switches = (any::<bool>(), 0..8_u8, 0..6_u8, 0..8_u8, 0..8_u8);
    let looks = (0..6_u8, 0..6_u8, 0..4_u8, 0..2_000_i64);
    let mode =
        prop_oneof![1 => Just(Mode::Observe), 1 => Just(Mode::Allowlist), 5 => Just(Mode::Auto)];
    (mode, switches, looks).prop_map(|(mode, switches, looks)| Air {
        mode,
        oldest_first: switches.0,
        blind: switches.1 == 0,
        tasks: switches.2,
        disabled: switches.3 == 0,
        paused: switches.4 == 0,
        surveyed: looks.0 != 0,
        confirmed: looks.1 != 0,
        run_seen: looks.2 != 0,
        minutes: looks.3,
    })
}

fn world(spoils: &[Spoiled], air: &Air) -> World {
    let mut world = World::whole();
    for (day, how) in (0..).zip(spoils) {
        spoil(&mut world, first() + Duration::days(day), *how);
    }
    world.dataset.mode = air.mode;
    world.dataset.backfill.stop_after = 100;
    world.dataset.backfill.max_runs_per_night = 100;
    if air.oldest_first {
        world.dataset.backfill.order = Order::OldestFirst;
    }
    world.blind = air.blind;
    world.watch.tasks = match air.tasks {
        0 => Seen::Blind(vec![blindness()]),
        1 => Seen::Known(vec![live_task()]),
        _ => Seen::Known(Vec::new()),
    };
    if let (true, Some(Seen::Known(rule))) = (air.disabled, &mut world.watch.rule) {
        rule.state = RuleState::Disabled;
    }
    if air.paused {
        let until = world.now + Duration::days(3);
        world.request(world.now, Request::Pause { until });
    }
    if !air.surveyed {
        world.watch.traffic = None;
    }
    world.confirmed = air.confirmed;
    let view =
        if air.run_seen { Seen::Known(RunView::default()) } else { Seen::Blind(vec![blindness()]) };
    world.watch.run = world.ledger.active_run().map(|_| view);
    world.now += Duration::minutes(air.minutes);
    world.night.began_at = world.now - Duration::hours(8);
    world.night.ends_at = world.now + Duration::hours(16);
    world
}

fn spoils() -> impl Strategy<Value = Vec<Spoiled>> {
    proptest::collection::vec(spoiled(), 20)
}

fn has_data(world: &World, date: NaiveDate) -> bool {
    let has = |table: &&str| {
        world.catalogued[*table].contains(&date) || world.stored[*table].contains(&date)
    };
    TABLES.iter().any(has)
}

fn started(plan: &Plan) -> Option<(NaiveDate, bool)> {
    match &plan.step {
        Ok(Step::Begin(begin)) => Some((begin.candidate.date, true)),
        Ok(Step::TakeUp(begin)) => Some((begin.candidate.date, false)),
        Ok(_) | Err(_) => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn only_what_is_safe_is_queued(spoils in spoils(), air in air()) {
        let world = world(&spoils, &air);
        let plan = world.plan();
        let queue: Vec<NaiveDate> = plan.queue.iter().map(|candidate| candidate.date).collect();
        prop_assert_eq!(plan.census.is_some(), !world.blind);
        for date in &queue {
            let day = usize::try_from((*date - first()).num_days()).unwrap();
            prop_assert!(!has_data(&world, *date), "{} has data", date);
            prop_assert!(!matches!(
                spoils[day],
                Spoiled::Denied | Spoiled::NoDump | Spoiled::BadDump | Spoiled::Waived
            ));
            let young = world.now.date_naive() - *date < Duration::days(6);
            prop_assert!(!young, "{} is too young", date);
            let failures = world.ledger.dataset("liberator").counted_failures(*date).len();
            prop_assert!(failures < 3, "{} is quarantined", date);
        }
        let mut unique = queue.clone();
        unique.sort();
        unique.dedup();
        prop_assert_eq!(unique.len(), queue.len());
    }

    #[test]
    fn a_start_needs_everything_open_and_seen(spoils in spoils(), air in air()) {
        let world = world(&spoils, &air);
        let plan = world.plan();
        let Some((date, loads)) = started(&plan) else { return Ok(()) };
        prop_assert!(plan.queue.first().is_some_and(|head| head.date == date));
        prop_assert!(world.ledger.active_run().is_none());
        prop_assert!(!air.blind && !air.disabled && !air.paused && air.confirmed);
        prop_assert!(air.mode != Mode::Observe);
        prop_assert!(!loads || (air.tasks > 1 && air.surveyed));
    }

    #[test]
    fn observe_and_blindness_change_nothing(spoils in spoils(), air in air()) {
        let observed = world(&spoils, &Air { mode: Mode::Observe, ..air.clone() }).plan();
        prop_assert!(started(&observed).is_none());
        let changes = matches!(observed.step, Ok(Step::StartWorkflow { .. } | Step::Resubmit { .. }));
        prop_assert!(!changes);
        let blind = world(&spoils, &Air { blind: true, ..air }).plan();
        prop_assert!(started(&blind).is_none());
    }

    #[test]
    fn the_counts_add_up_and_the_watermark_stops_at_the_first_gap(
        spoils in spoils(),
        air in air(),
    ) {
        let plan = world(&spoils, &Air { blind: false, ..air }).plan();
        let census = plan.census.unwrap();
        prop_assert_eq!(census.dates.len(), 21);
        prop_assert_eq!(census.counts().values().sum::<u32>(), 21);
        let in_gaps: u32 = census.gaps.iter().map(|gap| gap.dates).sum();
        let gaps = census.dates.iter().filter(|verdict| verdict.status.is_gap()).count();
        prop_assert_eq!(in_gaps as usize, gaps);
        for verdict in &census.dates {
            let below = census.whole_through.is_some_and(|through| verdict.date <= through);
            prop_assert!(!below || verdict.status.is_whole(), "{:?}", verdict);
        }
    }

    #[test]
    fn healing_an_old_date_never_makes_a_newer_hole_look_smaller(
        spoils in spoils(),
        air in air(),
    ) {
        let census = world(&spoils, &Air { blind: false, ..air }).plan().census.unwrap();
        let newest = census.dates.iter().rev().find(|verdict| verdict.status.is_gap());
        let Some(newest) = newest else { return Ok(()) };
        let behind = census.dates.iter().filter(|verdict| {
            verdict.date >= newest.date && lag::is_due(verdict.status)
        });
        prop_assert!(census.dates_behind as usize >= behind.count());
        let running = |status: DateStatus| status == DateStatus::Running;
        prop_assert!(census.dates.iter().filter(|v| running(v.status)).count() <= 2);
    }

    #[test]
    fn the_next_look_is_neither_past_nor_later_than_the_next_slot(
        spoils in spoils(),
        air in air(),
    ) {
        let world = world(&spoils, &air);
        let plan = world.plan();
        prop_assert!(plan.wake_at >= world.now);
        prop_assert!(plan.wake_at <= world.night.ends_at);
        if let Err(rest) = &plan.step {
            prop_assert!(plan.wake_at > world.now, "it would spin: {}", rest);
        }
    }
}
