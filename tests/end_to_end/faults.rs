//! AWS on a bad day: it slows us down, fails, hangs up before and after the effect; and still
//! every date ends with exactly one copy.

use gapmend::sim::{FaultKind, FaultWhen, Moment, Profile, Timing, WorkflowStart};

use crate::serving::Daemon;
use crate::stage::{SPEED, Stage, days_ago, now, terminate, until, world};

/// What goes wrong: with which calls, when, how, and before or after the effect.
type Trouble<'a> = (&'a str, FaultWhen, FaultKind, Moment);

/// A day on which every tenth or so call fails in one way or another.
const BAD_DAY: [Trouble<'_>; 4] = [
    ("*", FaultWhen::PerMille(60), FaultKind::Server, Moment::Before),
    ("*", FaultWhen::PerMille(40), FaultKind::Dropped, Moment::Before),
    ("*", FaultWhen::PerMille(30), FaultKind::Dropped, Moment::After),
    ("*", FaultWhen::PerMille(20), FaultKind::Server, Moment::After),
];

async fn healed_in_spite_of(faults: &[Trouble<'_>], seed: u64, config: &str) {
    let gaps = [days_ago(10), days_ago(15)];
    let stage = Stage::set_with(world().gap(gaps[0]).gap(gaps[1]).seed(seed), config).await;
    for (operation, when, kind, moment) in faults {
        stage.sim.lock().faults.add(operation, *when, *kind, *moment);
    }
    stage.run(&["heal"]).await.with_code(0);
    stage.assert_healed_once(&gaps);
    assert_eq!(stage.sim.lock().tasks().len(), 2, "every date was loaded once");
}

#[tokio::test]
async fn throttling_is_waited_out() {
    let throttled = ("*", FaultWhen::PerMille(150), FaultKind::Throttle, Moment::Before);
    healed_in_spite_of(&[throttled], 11, "").await;
}

#[tokio::test]
async fn failures_and_lost_answers_are_made_good() {
    healed_in_spite_of(&BAD_DAY, 12, "").await;
}

#[tokio::test]
async fn the_first_answer_of_every_effect_is_lost_and_none_is_repeated() {
    // The copier never starts the workflow, so that we have to.
    let gap = days_ago(10);
    let unstarted = Profile { workflow_start: WorkflowStart::Never, ..Profile::default() };
    let soon = "[datasets.liberator.publish]\nstart_within = \"1s\"\n";
    let stage = Stage::set_with(world().gap(gap).profile(gap, unstarted), soon).await;
    for effect in ["ecs:RunTask", "glue:StartWorkflowRun"] {
        let faults = &mut stage.sim.lock().faults;
        faults.add(effect, FaultWhen::Call(1), FaultKind::Dropped, Moment::After);
    }
    stage.run(&["heal"]).await.with_code(0);
    stage.assert_healed_once(&[gap]);
    assert_eq!(stage.sim.lock().tasks().len(), 1);
    assert_eq!(stage.calls_of("StartWorkflowRun"), 1);
}

#[tokio::test]
async fn a_ledger_in_s3_stays_whole_on_such_a_day() {
    let ledger = "[ledger]\nurl = \"s3://gapmend-ledger/gapmend\"\n";
    healed_in_spite_of(&BAD_DAY, 14, ledger).await;
}

/// ECS lists a live run and describes none: that it is there is enough to make way (H1).
#[tokio::test]
async fn a_live_run_is_made_way_for_though_ecs_describes_nothing() {
    let day = days_ago(12);
    // A live task fetches its dump for minutes before it drops the database: seconds, here.
    let fetch = std::time::Duration::from_secs(4);
    let timing = Timing { fetch, ..Timing::quick().scaled(SPEED) };
    let stage = Stage::set(world().gap(day).timing(timing)).await;
    let daemon = Daemon::start(&stage).await;
    until("the load is asked for", || stage.calls_of("RunTask") == 1).await;
    let denied = (FaultWhen::Always, FaultKind::Denied, Moment::Before);
    stage.sim.lock().faults.add("ecs:DescribeTasks", denied.0, denied.1, denied.2);
    stage.sim.lock().write_dump(now().date_naive());
    until("ours is stopped", || stage.calls_of("StopTask") > 0).await;
    stage.sim.lock().faults.clear();
    let succeeded = "gapmend_runs_total{dataset=\"liberator\",outcome=\"succeeded\"} 1";
    daemon.until_it_tells("/metrics", succeeded).await;
    assert_eq!(terminate(daemon.child).await, 0);
    let world = stage.sim.lock();
    assert!(world.is_whole(day), "{:?}", world.copies(day));
    assert!(world.overlaps().is_empty(), "{:?}", world.overlaps());
}
