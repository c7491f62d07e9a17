//! AWS on a bad day: it slows us down, fails, hangs up before and after the effect; and still
//! every date ends with exactly one copy.

use gapmend::sim::{FaultKind, FaultWhen, Moment};

use crate::stage::{Stage, days_ago, world};

async fn healed_in_spite_of(faults: &[(&str, FaultWhen, FaultKind, Moment)], seed: u64) {
    let gaps = [days_ago(10), days_ago(15)];
    let stage = Stage::set(world().gap(gaps[0]).gap(gaps[1]).seed(seed)).await;
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
    healed_in_spite_of(&[throttled], 11).await;
}

#[tokio::test]
async fn failures_and_lost_answers_are_made_good() {
    healed_in_spite_of(
        &[
            ("*", FaultWhen::PerMille(60), FaultKind::Server, Moment::Before),
            ("*", FaultWhen::PerMille(40), FaultKind::Dropped, Moment::Before),
            ("*", FaultWhen::PerMille(30), FaultKind::Dropped, Moment::After),
            ("*", FaultWhen::PerMille(20), FaultKind::Server, Moment::After),
        ],
        12,
    )
    .await;
}

#[tokio::test]
async fn the_first_answer_of_every_effect_is_lost_and_none_is_repeated() {
    let lost = |operation| (operation, FaultWhen::Call(1), FaultKind::Dropped, Moment::After);
    healed_in_spite_of(&[lost("ecs:RunTask"), lost("glue:StartWorkflowRun")], 13).await;
}
