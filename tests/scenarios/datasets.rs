//! Several datasets in one configuration: each has its own calendar, queue and trigger; there is
//! one run at a time over all of them, and they take turns.

use std::sync::Arc;

use chrono::Weekday;
use gapmend::config::DatasetSettings;
use gapmend::daemon::{Engine, Errand, heal, take_up};
use gapmend::domain::DateStatus;
use gapmend::ledger::Asked;
use gapmend::sim::{FaultKind, FaultWhen, Moment};
use tokio_util::sync::CancellationToken;

use super::bed::{Bed, date, world};

/// Two datasets over the model's one pipeline: `parking`, and `fines`, which looks at its own raw
/// zone and expects nothing on Sundays.
fn two_datasets(bed: Bed) -> Bed {
    let mut settings = (*bed.settings).clone();
    let both = settings.datasets.remove("liberator").unwrap();
    let of = |name: &str, source: &str| DatasetSettings {
        name: name.to_owned(),
        raw: [(source.to_owned(), both.raw[source].clone())].into(),
        ..(*both).clone()
    };
    let mut fines = of("fines", "env-enforcement");
    fines.calendar.expect.retain(|weekday| *weekday != Weekday::Sun);
    for dataset in [of("parking", "parking"), fines] {
        settings.datasets.insert(dataset.name.clone(), Arc::new(dataset));
    }
    Bed { settings: Arc::new(settings), ..bed }
}

#[tokio::test]
async fn each_has_its_own_calendar_and_its_own_queue() {
    // 14 June is a Sunday.
    let world = world().no_dump(date("2026-06-14")).gap(date("2026-06-16"));
    let bed = two_datasets(Bed::new(world, ""));
    let mut engine = bed.engine(Errand::default()).await;
    for (name, tables, sunday) in
        [("parking", 5, DateStatus::NoDump), ("fines", 2, DateStatus::NotExpected)]
    {
        engine.pass(name).await;
        let plan = engine.last_plan(name).unwrap();
        let census = plan.census.as_ref().unwrap();
        assert_eq!(census.verdict(date("2026-06-14")).unwrap().status, sunday, "{name}");
        assert_eq!(census.tables_expected, tables, "{name}");
        let queue: Vec<_> = plan.queue.iter().map(|candidate| candidate.date).collect();
        assert_eq!(queue, [date("2026-06-16")], "{name}");
    }
}

/// A load of `parking` was asked for, and then `parking` left the configuration.
async fn orphaned(bed: &Bed) -> Engine {
    let mut engine = bed.engine(Errand::default()).await;
    take_up(&mut engine, &CancellationToken::new()).await.unwrap();
    while bed.sim.lock().tasks().is_empty() {
        engine.pass("parking").await;
    }
    let mut left = (*bed.settings).clone();
    left.datasets.remove("parking");
    engine.reconfigure(left);
    engine
}

/// Whether the run of `parking` is in progress.
fn is_open(engine: &Engine) -> bool {
    engine.ledger().state().active_run().is_some_and(|run| run.dataset == "parking")
}

fn assert_stopped_by_us(bed: &Bed) {
    let world = bed.sim.lock();
    let tasks = world.tasks();
    assert!(tasks.iter().any(|task| task.stop_code == Some("UserInitiated")), "{tasks:?}");
}

/// Nobody would yield for it any more: the live run would drop its database, or it the live one's.
#[tokio::test]
async fn a_load_whose_dataset_leaves_the_configuration_is_stopped() {
    let bed = two_datasets(Bed::new(world().gap(date("2026-06-16")), ""));
    let mut engine = orphaned(&bed).await;
    let (call, refusal) = (FaultWhen::Call(1), FaultKind::Server);
    bed.sim.lock().faults.add("ecs:StopTask", call, refusal, Moment::Before);
    for refused in [true, false] {
        engine.pass("fines").await;
        assert_eq!(is_open(&engine), refused, "it is not given up while it loads");
    }
    assert_stopped_by_us(&bed);
}

#[tokio::test]
async fn so_is_one_whose_answer_was_lost() {
    let bed = two_datasets(Bed::new(world().gap(date("2026-06-16")), ""));
    let (call, lost) = (FaultWhen::Call(1), FaultKind::Dropped);
    bed.sim.lock().faults.add("ecs:RunTask", call, lost, Moment::After);
    let mut engine = orphaned(&bed).await;
    let load = engine.ledger().state().active_run().unwrap().load.clone().unwrap();
    assert!(load.task_arn.is_none(), "{load:?}");
    while is_open(&engine) {
        bed.pass_of("fines", &mut engine).await;
    }
    assert_stopped_by_us(&bed);
}

#[tokio::test]
async fn they_take_turns_and_never_run_together() {
    let gaps = ["2026-06-12", "2026-06-15", "2026-06-16", "2026-06-18"];
    let world = gaps.iter().fold(world(), |world, gap| world.gap(date(gap)));
    let bed = two_datasets(Bed::new(world, ""));
    let mut engine = bed.engine(Errand::default()).await;
    let names = ["parking".to_owned(), "fines".to_owned()];
    let asked = Asked { by: "tester".to_owned(), reason: None, ticket: None };
    let healed = heal(&mut engine, &names, &asked, &CancellationToken::new()).await.unwrap();
    let turns: Vec<&str> = healed.runs.iter().map(|run| run.dataset.as_str()).collect();
    assert_eq!(turns.len(), gaps.len(), "{healed:#?}");
    assert!(turns.windows(2).all(|pair| pair[0] != pair[1]), "they take turns: {turns:?}");
    for gap in gaps {
        bed.assert_one_copy(gap);
    }
    let world = bed.sim.lock();
    assert!(world.overlaps().is_empty() && world.wrong_data().is_empty());
}
