//! Holding the trigger through the door of AWS: `upload`, staging, runs under a hold, the dead
//! man's switch and yielding, with the order of the calls, and with `kill -9` at each of them.

use std::path::PathBuf;

use chrono::NaiveDate;
use gapmend::sim::{FaultKind, FaultWhen, Moment, RuleSetting, Timing, zip};

use crate::serving::Daemon;
use crate::stage::{Came, Stage, days_ago, now, signal, terminate, until, world};

/// Waits as short as the model's own: an event takes less than a fifth of a second here.
const HOLD: &str = r#"
[datasets.liberator.trigger]
hold = "upload"
propagation = "300ms"
settle = "700ms"
max_hold = "40s"
dead_man = { group = "gapmend", role_arn = "arn:aws:iam::111122223333:role/dead-man", after = "1m" }
"#;

/// The calls of a hold around a write, in order.
const ORDER: [&str; 5] =
    ["CreateSchedule", "DisableRule", "CompleteMultipartUpload", "EnableRule", "DeleteSchedule"];

async fn stage_without(date: NaiveDate) -> Stage {
    Stage::set_with(world().no_dump(date), HOLD).await
}

/// The dump of a date as a local file.
fn file_of(stage: &Stage, date: NaiveDate, size: usize) -> PathBuf {
    let path = stage.path("dump.zip");
    std::fs::write(&path, zip::dump_of(date, size)).unwrap();
    path
}

/// The effects that came through the door, in order, each only once in a row.
fn effects(stage: &Stage, wanted: &[&str]) -> Vec<String> {
    let calls = stage.door.calls().into_iter().map(|call| call.operation);
    let mut effects: Vec<String> = calls.filter(|name| wanted.contains(&name.as_str())).collect();
    effects.dedup();
    effects
}

fn key_of(stage: &Stage, date: NaiveDate) -> (String, String) {
    let world = stage.sim.lock();
    (world.names.dump_bucket.clone(), world.names.dump_key_of(date))
}

fn is_there(stage: &Stage, date: NaiveDate) -> bool {
    let (bucket, key) = key_of(stage, date);
    stage.sim.lock().object(&bucket, &key, None).is_ok()
}

/// The rule is enabled, no switch and no part is left, and no write of ours fired anything.
#[track_caller]
fn assert_as_before(stage: &Stage, about: &str) {
    stage.sim.advance_to(now());
    let world = stage.sim.lock();
    let rule = world.rule(&world.names.rule, &world.names.event_bus).unwrap();
    assert_eq!(rule.state, RuleSetting::Enabled, "{about}: {:?}", world.rule_history());
    assert_eq!(world.schedules(Some("gapmend")), [], "{about}");
    assert_eq!(world.uploads(&world.names.dump_bucket), [], "{about}: parts are left");
    assert!(world.our_dump_writes().iter().all(|write| !write.matched), "{about}");
    assert!(world.overlaps().is_empty(), "{about}: {:?}", world.overlaps());
    assert!(world.wrong_data().is_empty(), "{about}: {:?}", world.wrong_data());
}

fn upload<'a>(file: &'a str, date: &'a str) -> Vec<&'a str> {
    vec!["upload", file, "--date", date, "--reason", "the supplier sent it by mail"]
}

#[tokio::test]
async fn upload_arms_disables_writes_settles_enables_disarms() {
    let day = days_ago(12);
    let stage = stage_without(day).await;
    let (file, date) = (file_of(&stage, day, 4096), day.to_string());
    let done = stage.json(&upload(file.to_str().unwrap(), &date)).await;
    assert_eq!(done["outcome"], "written", "{done}");
    assert_eq!(done["live_tasks_fired"].as_array().unwrap().len(), 0);
    assert_eq!(done["healable_from"], (day + chrono::Days::new(7)).to_string().as_str());
    let mut order = vec!["CreateMultipartUpload", "UploadPart"];
    order.extend(ORDER);
    assert_eq!(effects(&stage, &order), order);
    {
        let world = stage.sim.lock();
        let history = world.rule_history();
        let [write] = world.our_dump_writes()[..] else { panic!("one write") };
        let milliseconds = |from, to| (to - from) as chrono::TimeDelta;
        assert!(milliseconds(history[0].at, write.written_at).num_milliseconds() >= 300);
        assert!(milliseconds(write.written_at, history[1].at).num_milliseconds() >= 700);
    }
    assert_as_before(&stage, "after the upload");
    assert_eq!(stage.status_of(day).await, "missing");
    stage.run(&["heal"]).await.with_code(0);
    assert!(stage.sim.lock().is_whole(day));
    let again = stage.run(&upload(file.to_str().unwrap(), &date)).await.with_code(1);
    assert!(again.stderr.contains("--replace"), "{}", again.stderr);
}

#[tokio::test]
async fn a_large_dump_is_sent_in_parts_that_are_checked() {
    let day = days_ago(12);
    let stage = stage_without(day).await;
    let (file, date) = (file_of(&stage, day, 20 * 1024 * 1024), day.to_string());
    let mut arguments = upload(file.to_str().unwrap(), &date);
    let refused = stage.run(&arguments).await.with_code(1);
    assert!(refused.stderr.contains("--force-size"), "{}", refused.stderr);
    arguments.push("--force-size");
    let done = stage.json(&arguments).await;
    assert_eq!(stage.calls_of("UploadPart"), 3);
    let (bucket, key) = key_of(&stage, day);
    let world = stage.sim.lock();
    let object = world.object(&bucket, &key, None).unwrap();
    assert_eq!(object.body.bytes(), std::fs::read(file).unwrap());
    assert_eq!(object.mark.as_deref(), done["upload"].as_str());
}

#[tokio::test]
async fn what_must_not_be_uploaded_is_refused_before_anything_is_sent() {
    let (day, present) = (days_ago(12), days_ago(13));
    let stage = stage_without(day).await;
    let whole = file_of(&stage, day, 4096);
    let whole_bytes = std::fs::read(&whole).unwrap();
    stage.write("two.zip", "");
    std::fs::write(stage.path("cut.zip"), &whole_bytes[..whole_bytes.len() - 30]).unwrap();
    let two = zip::stored(&[("a.sql", &[b'x'; 2000]), ("b.sql", &[b'y'; 2000])]);
    std::fs::write(stage.path("two.zip"), two).unwrap();
    let path = |name: &str| stage.path(name).to_str().unwrap().to_owned();
    let (tomorrow, today) = (now().date_naive() + chrono::Days::new(1), now().date_naive());
    for (file, date, more, words) in [
        ("cut.zip", day, None, "not a whole zip"),
        ("two.zip", day, None, "2 .sql files"),
        ("absent.zip", day, None, "cannot be read"),
        ("dump.zip", present, None, "--replace"),
        ("dump.zip", tomorrow, None, "in the future"),
        ("dump.zip", today, None, "--live"),
        ("dump.zip", day, Some("--live"), "today's own dump"),
    ] {
        let (file, date) = (path(file), date.to_string());
        let mut arguments = upload(&file, &date);
        arguments.extend(more);
        let refused = stage.run(&arguments).await.with_code(1);
        assert!(refused.stderr.contains(words), "{arguments:?}: {}", refused.stderr);
    }
    stage.write("conf.d/30-observe.toml", "[datasets.liberator]\nmode = \"observe\"\n");
    let (file, date) = (path("dump.zip"), day.to_string());
    let refused = stage.run(&upload(&file, &date)).await.with_code(1);
    assert!(refused.stderr.contains("mode is observe"), "{}", refused.stderr);
    assert_eq!(stage.calls_of("CreateMultipartUpload"), 0);
    assert!(stage.sim.lock().rule_history().is_empty());
}

#[tokio::test]
async fn todays_own_dump_is_uploaded_without_a_hold_and_fires_the_live_run() {
    let today = now().date_naive();
    let stage = stage_without(today).await;
    let (file, date) = (file_of(&stage, today, 4096), today.to_string());
    let mut arguments = upload(file.to_str().unwrap(), &date);
    arguments.push("--live");
    let done = stage.json(&arguments).await;
    assert_eq!(done["outcome"], "written", "{done}");
    until("the live run comes of it", || {
        stage.sim.advance_to(now());
        stage.sim.lock().tasks().iter().any(|task| task.live)
    })
    .await;
    assert!(stage.sim.lock().rule_history().is_empty(), "nothing was held");
}

#[tokio::test]
async fn beside_a_daemon_that_acts_the_daemon_writes_and_the_command_tells() {
    let day = days_ago(12);
    let stage = stage_without(day).await;
    let daemon = Daemon::start(&stage).await;
    daemon.until_it_tells("/readyz", "ready: acting").await;
    let (file, date) = (file_of(&stage, day, 4096), day.to_string());
    let done = stage.json(&upload(file.to_str().unwrap(), &date)).await;
    assert_eq!(done["outcome"], "written", "{done}");
    until("the daemon heals it", || stage.sim.lock().is_whole(day)).await;
    assert_eq!(terminate(daemon.child).await, 0);
    let log = std::fs::read_dir(stage.path("ledger/log")).unwrap().flatten();
    let acting = log.filter(|entry| {
        std::fs::read_to_string(entry.path()).is_ok_and(|text| text.contains("\"acting\""))
    });
    assert_eq!(acting.count(), 1, "one holder of the epoch, from beginning to end");
    assert_eq!(effects(&stage, &ORDER), ORDER);
    assert_as_before(&stage, "after all");
}

/// Kills a command as soon as the door has answered an operation, and leaves it dead.
async fn kill_after(stage: &Stage, arguments: &[&str], operation: &str) {
    let before = stage.calls_of(operation);
    let mut command = stage.command(arguments);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    until("the moment to kill", || stage.calls_of(operation) > before).await;
    child.kill().await.unwrap();
}

#[tokio::test]
async fn upload_killed_at_every_step_is_ended_by_the_next_daemon() {
    let day = days_ago(12);
    for operation in [
        "CreateMultipartUpload",
        "UploadPart",
        "CreateSchedule",
        "DisableRule",
        "CompleteMultipartUpload",
        "EnableRule",
        "DeleteSchedule",
    ] {
        let stage = stage_without(day).await;
        let (file, date) = (file_of(&stage, day, 4096), day.to_string());
        let arguments = upload(file.to_str().unwrap(), &date);
        kill_after(&stage, &arguments, operation).await;
        let daemon = Daemon::start(&stage).await;
        let is_over = || {
            let status = std::fs::read_dir(stage.path("ledger/log")).unwrap().flatten();
            let mut text: Vec<String> =
                status.filter_map(|entry| std::fs::read_to_string(entry.path()).ok()).collect();
            text.sort();
            let said = |word: &str| text.iter().any(|entry| entry.contains(word));
            let held = said("\"hold_intended\"");
            said("\"upload_ended\"") && (!held || said("\"hold_closed\""))
        };
        until("the upload and its hold are over", is_over).await;
        assert_eq!(terminate(daemon.child).await, 0);
        let about = format!("killed after {operation}");
        assert_as_before(&stage, &about);
        let sent = !["CreateMultipartUpload", "UploadPart"].contains(&operation);
        if sent {
            assert!(is_there(&stage, day), "{about}: what was ready is written");
        }
        assert!(stage.sim.lock().our_dump_writes().len() <= 1, "{about}: written once");
    }
}

#[tokio::test]
async fn an_upload_repeated_after_its_write_sees_the_hold_to_its_end() {
    let day = days_ago(12);
    let stage = stage_without(day).await;
    let (file, date) = (file_of(&stage, day, 4096), day.to_string());
    let arguments = upload(file.to_str().unwrap(), &date);
    kill_after(&stage, &arguments, "EnableRule").await;
    let done = stage.json(&arguments).await;
    assert_eq!(done["outcome"], "written", "{done}");
    assert_eq!(stage.sim.lock().our_dump_writes().len(), 1);
    assert_as_before(&stage, "after the second command");
}

#[tokio::test]
async fn trigger_release_ends_what_a_killed_upload_held() {
    let day = days_ago(12);
    let stage = stage_without(day).await;
    let (file, date) = (file_of(&stage, day, 4096), day.to_string());
    let arguments = upload(file.to_str().unwrap(), &date);
    kill_after(&stage, &arguments, "DisableRule").await;
    let released = stage.run(&["trigger", "release"]).await.with_code(0);
    assert!(released.stdout.contains("is enabled"), "{}", released.stdout);
    assert!(stage.sim.lock().schedules(Some("gapmend")).is_empty());
    // The same command again takes it up, and ends it under a hold of its own.
    let done = stage.json(&arguments).await;
    assert_eq!(done["outcome"], "written", "{done}");
    assert_eq!(stage.calls_of("CreateMultipartUpload"), 1, "the parts were there already");
    assert_as_before(&stage, "after the second command");
}

#[tokio::test]
async fn a_run_under_a_hold_killed_at_every_step_ends_with_one_copy_and_the_rule_enabled() {
    let day = days_ago(12);
    let hold = HOLD.replace("\"upload\"", "\"run\"");
    for operation in ["CreateSchedule", "DisableRule", "RunTask", "EnableRule", "DeleteSchedule"] {
        let stage = Stage::set_with(world().gap(day), &hold).await;
        kill_after(&stage, &["heal"], operation).await;
        stage.run(&["heal"]).await.with_code(0);
        let about = format!("killed after {operation}");
        assert!(stage.sim.lock().is_whole(day), "{about}");
        assert_as_before(&stage, &about);
        let order = ["CreateSchedule", "DisableRule", "RunTask", "EnableRule", "DeleteSchedule"];
        assert_eq!(effects(&stage, &order), order, "{about}");
    }
}

#[tokio::test]
async fn a_dump_under_another_name_is_staged_between_arming_and_disarming() {
    let day = days_ago(12);
    let more = format!("{HOLD}\n[datasets.liberator.load]\nother_name = \"stage\"\n");
    let stage = Stage::set_with(world().gap(day).old_name(day), &more).await;
    stage.run(&["heal"]).await.with_code(0);
    let order =
        ["CreateSchedule", "DisableRule", "CopyObject", "EnableRule", "DeleteSchedule", "RunTask"];
    assert_eq!(effects(&stage, &order), order);
    assert!(stage.sim.lock().is_whole(day));
    assert_as_before(&stage, "after staging");
}

#[tokio::test]
async fn staging_killed_at_every_step_copies_once_and_ends_with_one_copy() {
    let day = days_ago(12);
    let more = format!("{HOLD}\n[datasets.liberator.load]\nother_name = \"stage\"\n");
    let order =
        ["CreateSchedule", "DisableRule", "CopyObject", "EnableRule", "DeleteSchedule", "RunTask"];
    for operation in order {
        let stage = Stage::set_with(world().gap(day).old_name(day), &more).await;
        kill_after(&stage, &["heal"], operation).await;
        stage.run(&["heal"]).await.with_code(0);
        let about = format!("killed after {operation}");
        assert!(stage.sim.lock().is_whole(day), "{about}");
        assert_as_before(&stage, &about);
        assert_eq!(stage.sim.lock().our_dump_writes().len(), 1, "{about}");
        assert_eq!(effects(&stage, &order), order, "{about}");
    }
}

#[tokio::test]
async fn yielding_killed_at_every_step_makes_way_and_ends_with_one_copy() {
    let day = days_ago(12);
    // The live task takes its time before it drops the database: the next daemon is there by then.
    let fetch = std::time::Duration::from_secs(15);
    let timing = Timing { fetch, ..Timing::quick().scaled(0.2) };
    for operation in ["RunTask", "StopTask"] {
        let stage = Stage::set_with(world().gap(day).timing(timing.clone()), HOLD).await;
        let mut command = stage.command(&["run"]);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut killed = command.spawn().unwrap();
        until("the load is asked for", || stage.calls_of("RunTask") == 1).await;
        stage.sim.lock().write_dump(now().date_naive());
        until("the moment to kill", || stage.calls_of(operation) > 0).await;
        killed.kill().await.unwrap();
        let daemon = Daemon::start(&stage).await;
        until("it is whole in the end", || {
            stage.sim.advance_to(now());
            stage.sim.lock().is_whole(day)
        })
        .await;
        assert_eq!(terminate(daemon.child).await, 0);
        assert!(stage.calls_of("StopTask") > 0, "killed after {operation}");
        assert_as_before(&stage, &format!("killed after {operation}"));
    }
}

/// An upload that is stuck at an operation, so that there is time to meddle.
async fn stuck_upload(stage: &Stage, date: NaiveDate, operation: &str) -> tokio::process::Child {
    let file = file_of(stage, date, 4096);
    let slow = (FaultWhen::Always, FaultKind::Throttle, Moment::Before);
    stage.sim.lock().faults.add(&format!("s3:{operation}"), slow.0, slow.1, slow.2);
    let date = date.to_string();
    let mut command = stage.command(&upload(file.to_str().unwrap(), &date));
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    until("it is stuck", || stage.calls_of(operation) > 0).await;
    child
}

async fn end_of(child: tokio::process::Child) -> Came {
    tokio::time::timeout(crate::stage::PATIENCE, child.wait_with_output())
        .await
        .unwrap()
        .unwrap()
        .into()
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_sent_is_not_written() {
    let day = days_ago(12);
    let stage = stage_without(day).await;
    // It was summed up, and its first part is not read yet.
    let child = stuck_upload(&stage, day, "CreateMultipartUpload").await;
    let file = stage.path("dump.zip");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[2000] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    stage.sim.lock().faults.clear();
    let came = end_of(child).await.with_code(1);
    assert!(came.stderr.contains("changed while it was sent"), "{}", came.stderr);
    assert!(!is_there(&stage, day));
    assert!(stage.sim.lock().rule_history().is_empty(), "nothing was held");
    assert_as_before(&stage, "after the change");
}

#[tokio::test]
async fn an_upload_that_is_interrupted_among_its_parts_leaves_nothing_behind() {
    let day = days_ago(12);
    let stage = stage_without(day).await;
    let child = stuck_upload(&stage, day, "UploadPart").await;
    signal(&child, "INT").await;
    let came = end_of(child).await.with_code(1);
    assert!(came.stderr.contains("interrupted; nothing was written"), "{}", came.stderr);
    assert!(stage.sim.lock().rule_history().is_empty(), "nothing was held");
    assert_as_before(&stage, "after Ctrl-C");
    stage.sim.lock().faults.clear();
    let (file, date) = (stage.path("dump.zip"), day.to_string());
    let done = stage.json(&upload(file.to_str().unwrap(), &date)).await;
    assert_eq!(done["outcome"], "written", "nothing of the first one is in its way: {done}");
    assert_as_before(&stage, "after the second command");
}

#[tokio::test]
async fn an_upload_that_is_interrupted_before_its_write_gives_the_rule_back() {
    let day = days_ago(12);
    let slowly_felt = HOLD.replace("\"300ms\"", "\"30s\"");
    let stage = Stage::set_with(world().no_dump(day), &slowly_felt).await;
    let (file, date) = (file_of(&stage, day, 4096), day.to_string());
    let mut command = stage.command(&upload(file.to_str().unwrap(), &date));
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    until("the rule is disabled", || stage.calls_of("DisableRule") > 0).await;
    signal(&child, "INT").await;
    end_of(child).await.with_code(1);
    assert!(stage.sim.lock().our_dump_writes().is_empty());
    let world = stage.sim.lock();
    let rule = world.rule(&world.names.rule, &world.names.event_bus).unwrap();
    assert_eq!(rule.state, RuleSetting::Enabled, "{:?}", world.rule_history());
    assert_eq!(world.uploads(&world.names.dump_bucket), []);
}

#[tokio::test]
async fn cancel_ends_an_upload_that_nobody_writes() {
    let day = days_ago(12);
    let slowly_felt = HOLD.replace("\"300ms\"", "\"30s\"");
    let stage = Stage::set_with(world().no_dump(day), &slowly_felt).await;
    let (file, date) = (file_of(&stage, day, 4096), day.to_string());
    kill_after(&stage, &upload(file.to_str().unwrap(), &date), "DisableRule").await;
    let done = stage.run(&["cancel", "--reason", "the wrong file"]).await.with_code(0);
    assert!(done.stdout.contains("is cancelled"), "{}", done.stdout);
    stage.run(&["cancel"]).await.with_code(1);
    let daemon = Daemon::start(&stage).await;
    until("the daemon releases it", || {
        let world = stage.sim.lock();
        world.rule_history().last().is_some_and(|last| last.state == RuleSetting::Enabled)
            && world.schedules(Some("gapmend")).is_empty()
    })
    .await;
    assert_eq!(terminate(daemon.child).await, 0);
    assert!(!is_there(&stage, day));
    assert_as_before(&stage, "after the cancelling");
}

#[tokio::test]
async fn an_upload_whose_rule_may_not_be_disabled_says_so_at_once() {
    let day = days_ago(12);
    let stage = stage_without(day).await;
    let denied = (FaultWhen::Always, FaultKind::Denied, Moment::Before);
    stage.sim.lock().faults.add("events:DisableRule", denied.0, denied.1, denied.2);
    let (file, date) = (file_of(&stage, day, 4096), day.to_string());
    let came = stage.run(&upload(file.to_str().unwrap(), &date)).await.with_code(1);
    assert!(came.stdout.contains("may not be disabled"), "{came:?}");
    assert!(came.stdout.contains("policy of gapmend's role"), "{came:?}");
    assert_eq!(stage.calls_of("DisableRule"), 1, "permissions do not heal by themselves");
    assert!(stage.sim.lock().our_dump_writes().is_empty());
    assert_as_before(&stage, "after the refusal");
}

#[tokio::test]
async fn the_dead_man_enables_the_rule_when_nobody_comes_back() {
    let day = days_ago(12);
    let hold = HOLD.replace("\"40s\"", "\"2s\"").replace("\"1m\"", "\"4s\"");
    let stage = Stage::set_with(world().no_dump(day), &hold).await;
    let (file, date) = (file_of(&stage, day, 4096), day.to_string());
    kill_after(&stage, &upload(file.to_str().unwrap(), &date), "DisableRule").await;
    until("the schedule fires", || {
        stage.sim.advance_to(now());
        let world = stage.sim.lock();
        world.rule_history().last().is_some_and(|last| last.who == "schedule gapmend-liberator")
    })
    .await;
    let daemon = Daemon::start(&stage).await;
    until("the daemon accounts for it", || {
        let entries = std::fs::read_dir(stage.path("ledger/log")).unwrap().flatten();
        let mut texts = entries.filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
        texts.any(|text| text.contains("dead man's switch had fired"))
    })
    .await;
    assert_eq!(terminate(daemon.child).await, 0);
}

#[tokio::test]
async fn a_ledger_that_cannot_be_read_does_not_keep_the_rule_disabled() {
    let day = days_ago(12);
    let stage = stage_without(day).await;
    let (file, date) = (file_of(&stage, day, 4096), day.to_string());
    kill_after(&stage, &upload(file.to_str().unwrap(), &date), "DisableRule").await;
    std::fs::rename(stage.path("ledger"), stage.path("ledger-gone")).unwrap();
    stage.write("ledger", "a file where the ledger was");
    stage.run(&["run"]).await.with_code(1);
    let world = stage.sim.lock();
    let rule = world.rule(&world.names.rule, &world.names.event_bus).unwrap();
    assert_eq!(rule.state, RuleSetting::Enabled);
    assert!(world.schedules(Some("gapmend")).is_empty());
}

#[tokio::test]
async fn a_live_run_in_the_middle_of_a_load_is_made_way_for() {
    let day = days_ago(12);
    // A live task fetches its dump for minutes before it drops the database: seconds, here.
    let fetch = std::time::Duration::from_secs(4);
    let timing = Timing { fetch, ..Timing::quick().scaled(0.2) };
    let stage = Stage::set_with(world().gap(day).timing(timing), HOLD).await;
    let daemon = Daemon::start(&stage).await;
    until("the load is asked for", || stage.calls_of("RunTask") == 1).await;
    stage.sim.lock().write_dump(now().date_naive());
    until("ours is stopped", || stage.calls_of("StopTask") > 0).await;
    let succeeded = "gapmend_runs_total{dataset=\"liberator\",outcome=\"succeeded\"} 1";
    daemon.until_it_tells("/metrics", succeeded).await;
    assert_eq!(terminate(daemon.child).await, 0);
    assert!(stage.sim.lock().is_whole(day));
    assert_as_before(&stage, "after yielding");
    let history = stage.json(&["history"]).await;
    let outcomes: Vec<&str> = history["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["outcome"].as_str().unwrap())
        .collect();
    assert!(outcomes.contains(&"void") && outcomes.contains(&"succeeded"), "{outcomes:?}");
}

/// Of a key that is absent `HeadObject` may answer 403; three holds of 90 minutes came of it.
#[tokio::test]
async fn an_upload_does_not_ask_for_the_head_of_a_key_that_is_absent() {
    let day = days_ago(12);
    let stage = stage_without(day).await;
    let denied = (FaultWhen::Always, FaultKind::Denied, Moment::Before);
    stage.sim.lock().faults.add("s3:HeadObject", denied.0, denied.1, denied.2);
    let (file, date) = (file_of(&stage, day, 4096), day.to_string());
    let done = stage.json(&upload(file.to_str().unwrap(), &date)).await;
    assert_eq!(done["outcome"], "written", "{done}");
    let more = [&upload(file.to_str().unwrap(), &date)[..], &["--replace"]].concat();
    let came = stage.run(&more).await.with_code(1);
    assert!(format!("{}{}", came.stdout, came.stderr).contains("s3:HeadObject"), "{}", came.stderr);
    assert_eq!(stage.calls_of("DisableRule"), 2, "one hold each");
    assert_as_before(&stage, "after a denied head");
}

/// What the rule fires must be seen afterwards: without that right nothing is held, and a hold
/// that lost it on the way still ends.
#[tokio::test]
async fn an_upload_that_may_not_see_tasks_holds_nothing_and_one_that_loses_sight_ends() {
    let day = days_ago(12);
    let stage = stage_without(day).await;
    let (file, date) = (file_of(&stage, day, 4096), day.to_string());
    let denied = (FaultWhen::Always, FaultKind::Denied, Moment::Before);
    stage.sim.lock().faults.add("ecs:ListTasks", denied.0, denied.1, denied.2);
    let came = stage.run(&upload(file.to_str().unwrap(), &date)).await.with_code(1);
    assert!(came.stderr.contains("ecs:ListTasks"), "{}", came.stderr);
    assert_eq!(stage.calls_of("CreateMultipartUpload"), 0);
    stage.sim.lock().faults.clear();
    let losing = async {
        until("the rule is disabled", || stage.calls_of("DisableRule") > 0).await;
        stage.sim.lock().faults.add("ecs:ListTasks", denied.0, denied.1, denied.2);
    };
    let arguments = upload(file.to_str().unwrap(), &date);
    let (came, ()) = tokio::join!(stage.run(&arguments), losing);
    assert!(came.with_code(0).stdout.contains("could not be looked for"));
    stage.sim.lock().faults.clear();
    assert_as_before(&stage, "after losing sight");
}
