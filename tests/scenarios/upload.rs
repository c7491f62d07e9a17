//! `upload`: a missing dump is put into the landing bucket, and the live ingestion never hears
//! of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use gapmend::config::Mode;
use gapmend::daemon::{Engine, Errand, SendError, Sending, see_upload_through, send_parts};
use gapmend::domain::DateStatus;
use gapmend::ledger::{Asked, Upload, UploadOutcome};
use gapmend::platform::Clock;
use gapmend::sim::{DumpKind, FaultKind, FaultWhen, Moment, Span, zip};
use tokio_util::sync::CancellationToken;

use super::bed::{Bed, date, world};
use super::trigger::{
    UPLOAD_ONLY, assert_no_live_dump_lost, assert_released, felt_holding, holding, operations,
    rule_is,
};
use gapmend::sim::RuleSetting;

const DAY: &str = "2026-06-15";

/// A world that lacks one dump.
fn bed() -> Bed {
    Bed::new(world().no_dump(date(DAY)), UPLOAD_ONLY)
}

fn errand() -> Errand {
    Errand { only: Some(BTreeSet::new()), serves_uploads: true, ..Errand::default() }
}

fn dump() -> Bytes {
    zip::dump(DumpKind::Whole, date(DAY), 4096).unwrap().bytes()
}

fn sending(bed: &Bed) -> Sending {
    Sending {
        date: date(DAY),
        key: bed.sim.lock().names.dump_key_of(date(DAY)),
        replaces: None,
        live: false,
        size: dump().len() as u64,
        sha256: "00".to_owned(),
        parts: 1,
        asked: Asked { by: "tester".to_owned(), reason: None, ticket: None },
    }
}

/// The command, as far as the parts are there.
async fn sent(bed: &Bed) -> Result<(Engine, String), SendError> {
    sent_as(bed, &sending(bed)).await
}

async fn sent_as(bed: &Bed, sending: &Sending) -> Result<(Engine, String), SendError> {
    let mut engine = bed.engine(errand()).await;
    let dataset = Arc::clone(&bed.settings.datasets["liberator"]);
    let part = |_| async { Ok(dump()) };
    let id = send_parts(&mut engine, &dataset, sending, part, &CancellationToken::new()).await?;
    Ok((engine, id))
}

/// The command to its end.
async fn upload(bed: &Bed) -> Upload {
    let (mut engine, id) = sent(bed).await.unwrap();
    see_through(&mut engine, &id).await
}

async fn see_through(engine: &mut Engine, id: &str) -> Upload {
    let token = CancellationToken::new();
    see_upload_through(engine, id, &mut |_| {}, &token).await.unwrap()
}

fn outcome(upload: &Upload) -> UploadOutcome {
    upload.end.as_ref().unwrap().outcome
}

fn assert_nothing_left(bed: &Bed) {
    let world = bed.sim.lock();
    assert_eq!(world.uploads(&world.names.dump_bucket), [], "no parts are left");
}

/// The rule never saw a write of ours.
fn assert_fired_nothing(bed: &Bed) {
    let world = bed.sim.lock();
    assert!(world.our_dump_writes().iter().all(|write| !write.matched), "{:?}", world.trail());
}

async fn assert_ended_well(bed: &Bed) {
    assert_nothing_left(bed);
    assert_fired_nothing(bed);
    assert_released(bed).await;
    assert_no_live_dump_lost(bed).await;
}

#[tokio::test]
async fn a_dump_is_written_between_arming_and_disarming_and_then_healed() {
    let bed = bed();
    assert_eq!(bed.status(DAY).await, DateStatus::NoDump);
    let upload = upload(&bed).await;
    assert_eq!(outcome(&upload), UploadOutcome::Written, "{upload:#?}");
    let order = [
        "s3:UploadPart",
        "scheduler:CreateSchedule",
        "events:DisableRule",
        "s3:CompleteMultipartUpload",
        "events:EnableRule",
        "scheduler:DeleteSchedule",
    ];
    assert_eq!(operations(&bed, &order), order);
    {
        let world = bed.sim.lock();
        let [write] = world.our_dump_writes()[..] else { panic!("one write") };
        let history = world.rule_history();
        assert!(write.written_at - history[0].at >= TimeDelta::minutes(2), "propagation");
        assert!(history[1].at - write.written_at >= TimeDelta::minutes(15), "settle");
    }
    let hold = upload.hold.unwrap();
    assert!(hold.fired.is_empty() && hold.enabled_at.is_some(), "{hold:?}");
    assert!(bed.heal().await.is_whole());
    bed.assert_one_copy(DAY);
    assert_ended_well(&bed).await;
}

#[tokio::test]
async fn a_lost_answer_to_the_write_is_looked_up_and_nothing_is_written_twice() {
    for kind in [FaultKind::Timeout, FaultKind::Dropped, FaultKind::Server] {
        let bed = bed();
        let operation = "s3:CompleteMultipartUpload";
        bed.sim.lock().faults.add(operation, FaultWhen::Calls(1, 2), kind, Moment::After);
        let upload = upload(&bed).await;
        assert_eq!(outcome(&upload), UploadOutcome::Written, "{kind:?} {upload:#?}");
        assert_eq!(bed.sim.lock().our_dump_writes().len(), 1);
        assert!(bed.heal().await.is_whole());
        assert_ended_well(&bed).await;
    }
}

#[tokio::test]
async fn a_write_that_fails_at_first_is_made_under_the_same_hold() {
    let bed = bed();
    let operation = "s3:CompleteMultipartUpload";
    bed.sim.lock().faults.add(
        operation,
        FaultWhen::Calls(1, 3),
        FaultKind::Throttle,
        Moment::Before,
    );
    assert_eq!(outcome(&upload(&bed).await), UploadOutcome::Written);
    assert_eq!(bed.sim.lock().rule_history().len(), 2);
    assert!(bed.heal().await.is_whole());
    assert_ended_well(&bed).await;
}

#[tokio::test]
async fn a_write_that_is_denied_ends_and_its_parts_are_removed() {
    let bed = bed();
    let operation = "s3:CompleteMultipartUpload";
    bed.sim.lock().faults.add(operation, FaultWhen::Always, FaultKind::Denied, Moment::Before);
    let upload = upload(&bed).await;
    assert_eq!(outcome(&upload), UploadOutcome::Failed, "{upload:#?}");
    bed.sim.lock().faults.clear();
    assert_ended_well(&bed).await;
    assert_eq!(bed.status(DAY).await, DateStatus::NoDump);
}

#[tokio::test]
async fn a_dump_that_somebody_else_puts_there_first_is_not_written_over() {
    let bed = bed();
    let (mut engine, id) = sent(&bed).await.unwrap();
    let key = sending(&bed).key;
    {
        let mut world = bed.sim.lock();
        let bucket = world.names.dump_bucket.clone();
        world.person_writes(&bucket, &key, "theirs");
    }
    let upload = see_through(&mut engine, &id).await;
    assert_eq!(outcome(&upload), UploadOutcome::Failed, "{upload:#?}");
    assert!(upload.end.unwrap().detail.contains("is there already"));
    assert!(bed.sim.lock().our_dump_writes().is_empty(), "not even a refused write");
    assert_nothing_left(&bed);
    assert!(rule_is(&bed, RuleSetting::Enabled));
}

#[tokio::test]
async fn a_dump_is_replaced_only_while_it_is_the_one_that_was_looked_at() {
    for changed in [false, true] {
        let bed = Bed::new(world().gap(date(DAY)), UPLOAD_ONLY);
        let (bucket, key) = {
            let world = bed.sim.lock();
            (world.names.dump_bucket.clone(), world.names.dump_key_of(date(DAY)))
        };
        let etag = bed.sim.lock().object(&bucket, &key, None).unwrap().etag.clone();
        let sending = Sending { replaces: Some(etag), ..sending(&bed) };
        let (mut engine, id) = sent_as(&bed, &sending).await.unwrap();
        if changed {
            bed.sim.lock().person_writes(&bucket, &key, "theirs");
        }
        let upload = see_through(&mut engine, &id).await;
        let expected = if changed { UploadOutcome::Failed } else { UploadOutcome::Written };
        assert_eq!(outcome(&upload), expected, "{upload:#?}");
        assert_nothing_left(&bed);
        assert_fired_nothing(&bed);
    }
}

#[tokio::test]
async fn a_rule_enabled_behind_our_back_before_the_write_keeps_the_write_from_being_made() {
    let bed = bed();
    let (engine, id) = sent(&bed).await.unwrap();
    drop(engine);
    let mut engine = felt_holding(&bed).await;
    bed.sim.lock().terraform_enables_trigger();
    bed.clock.sleep(Duration::from_mins(3)).await;
    bed.pass_and_sleep(&mut engine).await;
    assert!(bed.sim.lock().our_dump_writes().is_empty(), "the rule was enabled");
    bed.serve_until(&mut engine, bed.clock.now() + TimeDelta::hours(2)).await;
    let state = engine.ledger().state().clone();
    let upload = state.upload(&id).unwrap();
    assert_eq!(outcome(upload), UploadOutcome::Failed, "not disabled again: {upload:#?}");
    let detail = &upload.end.as_ref().unwrap().detail;
    assert!(detail.contains("somebody else enabled the rule"), "{detail}");
    assert_eq!(upload.holds, 1);
    assert_fired_nothing(&bed);
    assert_nothing_left(&bed);
}

#[tokio::test]
async fn an_upload_is_taken_up_wherever_the_process_that_acted_died() {
    for passes in 0..12 {
        let bed = bed();
        let (engine, id) = sent(&bed).await.unwrap();
        drop(engine);
        {
            let mut engine = bed.acting_engine().await;
            for _ in 0..passes {
                bed.pass_and_sleep(&mut engine).await;
            }
        }
        let mut engine = bed.engine(errand()).await;
        let upload = see_through(&mut engine, &id).await;
        assert_eq!(outcome(&upload), UploadOutcome::Written, "after {passes}: {upload:#?}");
        assert_eq!(bed.sim.lock().our_dump_writes().len(), 1, "after {passes} passes");
        assert_nothing_left(&bed);
        assert_fired_nothing(&bed);
        assert!(rule_is(&bed, RuleSetting::Enabled));
    }
}

#[tokio::test]
async fn a_person_who_ends_it_before_the_write_gets_the_rule_back_at_once() {
    let bed = bed();
    let (engine, id) = sent(&bed).await.unwrap();
    drop(engine);
    felt_holding(&bed).await.ledger_mut().leave().await.unwrap();
    let token = CancellationToken::new();
    token.cancel();
    let began = bed.clock.now();
    let mut engine = bed.engine(errand()).await;
    let upload = see_upload_through(&mut engine, &id, &mut |_| {}, &token).await.unwrap();
    assert_eq!(outcome(&upload), UploadOutcome::Cancelled, "{upload:#?}");
    assert!(bed.clock.now() - began < TimeDelta::minutes(2), "nothing was written to settle");
    assert!(rule_is(&bed, RuleSetting::Enabled));
    assert!(bed.sim.lock().our_dump_writes().is_empty());
    assert_nothing_left(&bed);
}

#[tokio::test]
async fn parts_that_cannot_be_sent_leave_nothing_behind() {
    for (operation, moment) in [
        ("s3:CreateMultipartUpload", Moment::After),
        ("s3:CreateMultipartUpload", Moment::Before),
        ("s3:UploadPart", Moment::After),
    ] {
        let bed = bed();
        bed.sim.lock().faults.add(operation, FaultWhen::Always, FaultKind::Dropped, moment);
        assert!(sent(&bed).await.is_err(), "{operation}");
        assert_nothing_left(&bed);
        assert!(bed.sim.lock().rule_history().is_empty());
        let engine = bed.engine(errand()).await;
        assert!(engine.ledger().state().open_upload("liberator").is_none());
    }
}

#[tokio::test]
async fn parts_that_nobody_completes_in_a_day_are_removed_by_the_daemon() {
    let bed = bed();
    let part = |_| std::future::pending();
    {
        let mut engine = bed.engine(errand()).await;
        let dataset = Arc::clone(&bed.settings.datasets["liberator"]);
        let token = CancellationToken::new();
        let sending = sending(&bed);
        let hanging = send_parts(&mut engine, &dataset, &sending, part, &token);
        let bucket = bed.sim_bucket();
        let under_way = async {
            while bed.sim.lock().uploads(&bucket).is_empty() {
                tokio::task::yield_now().await;
            }
        };
        // The parts hang for ever; then the process is killed.
        tokio::select! {
            _ = hanging => panic!("they are never sent"),
            () = under_way => {}
        }
    }
    let mut engine = bed.acting_engine().await;
    bed.clock.sleep(Duration::from_hours(25)).await;
    bed.serve_until(&mut engine, bed.clock.now() + TimeDelta::minutes(10)).await;
    assert_nothing_left(&bed);
    assert!(engine.ledger().state().open_upload("liberator").is_none());
}

#[tokio::test]
async fn in_mode_observe_the_daemon_removes_the_parts_and_holds_nothing() {
    let bed = bed();
    drop(sent(&bed).await.unwrap());
    let mut engine = bed.acting_engine().await;
    let mut settings = (*bed.settings).clone();
    Arc::make_mut(settings.datasets.get_mut("liberator").unwrap()).mode = Mode::Observe;
    engine.reconfigure(settings);
    engine.pass("liberator").await;
    assert_nothing_left(&bed);
    assert!(bed.sim.lock().rule_history().is_empty());
}

#[tokio::test]
async fn a_live_run_that_the_write_fires_all_the_same_is_told() {
    let bed = bed();
    // Later than any settle allows for.
    bed.sim.lock().timing.cloudtrail = Span::exactly(Duration::from_mins(25));
    let upload = upload(&bed).await;
    assert_eq!(outcome(&upload), UploadOutcome::Written);
    let fired = upload.hold.unwrap().fired;
    assert_eq!(fired.len(), 1, "{fired:?}");
    assert!(bed.sim.lock().tasks().iter().any(|task| task.arn == fired[0]));
}

#[tokio::test]
async fn an_upload_waits_for_the_hold_of_a_run_and_is_written_after_it() {
    let hold =
        UPLOAD_ONLY.replace("\"upload\"", "\"run\"").replace("90m", "5h").replace("2h", "6h");
    let bed = Bed::new(world().gap(date("2026-06-12")).no_dump(date(DAY)), &hold);
    let mut engine = holding(&bed).await;
    let (other, id) = sent(&bed).await.unwrap();
    drop(other);
    bed.serve_until(&mut engine, bed.clock.now() + TimeDelta::hours(8)).await;
    let state = engine.ledger().state().clone();
    assert_eq!(outcome(state.upload(&id).unwrap()), UploadOutcome::Written);
    bed.assert_one_copy("2026-06-12");
    assert_fired_nothing(&bed);
    assert_nothing_left(&bed);
}
