//! Releasing waits for nothing: not for a scan, ECS or a ledger that hangs, not for a configuration
//! that is fit for use.

use gapmend::sim::{FaultKind, FaultWhen, Moment, RuleSetting, Timing};
use tokio::time::Instant;

use crate::serving::Daemon;
use crate::stage::{Stage, days_ago, now, signal, until, world};

/// Waits as short as the model's own, and a switch that comes far too late.
pub(crate) fn hold(policy: &str, max_hold: &str) -> String {
    format!(
        r#"
[datasets.liberator.trigger]
hold = "{policy}"
propagation = "300ms"
settle = "700ms"
max_hold = "{max_hold}"
dead_man = {{ group = "gapmend", role_arn = "arn:aws:iam::111122223333:role/dead-man", after = "10m" }}
"#
    )
}

const S3_LEDGER: &str = "[ledger]\nurl = \"s3://gapmend-ledger/gapmend\"\n";
/// Whoever waits for a call that hangs, waits for at least twenty seconds.
const AT_ONCE_SECONDS: u64 = 12;

pub(crate) fn rule_is(stage: &Stage, setting: RuleSetting) -> bool {
    stage.sim.advance_to(now());
    let world = stage.sim.lock();
    world.rule(&world.names.rule, &world.names.event_bus).unwrap().state == setting
}

fn hangs(stage: &Stage, operation: &str) {
    let faults = &mut stage.sim.lock().faults;
    faults.add(operation, FaultWhen::Always, FaultKind::Timeout, Moment::Before);
}

async fn released_at_once(stage: &Stage, about: &str) {
    let began = Instant::now();
    until("the rule is enabled", || rule_is(stage, RuleSetting::Enabled)).await;
    let took = began.elapsed().as_secs();
    assert!(took < AT_ONCE_SECONDS, "{about}: {took} s");
    let by = stage.sim.lock().rule_history().last().unwrap().who.clone();
    assert_eq!(by, "caller", "{about}: not the switch");
}

/// An upload whose dump may be sent, and its arguments.
pub(crate) async fn upload_stage(more: &str) -> (Stage, [String; 4]) {
    let day = days_ago(12);
    let stage = Stage::set_with(world().no_dump(day), more).await;
    let path = stage.path("dump.zip");
    std::fs::write(&path, gapmend::sim::zip::dump_of(day, 4096)).unwrap();
    let words = ["upload".to_owned(), path.display().to_string(), "--date".to_owned()];
    let [command, path, flag] = words;
    (stage, [command, path, flag, day.to_string()])
}

fn started(stage: &Stage, arguments: &[&str]) -> tokio::process::Child {
    let mut command = stage.command(arguments);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    command.spawn().unwrap()
}

#[tokio::test]
async fn a_release_does_not_wait_for_ecs_that_hangs() {
    let (stage, arguments) = upload_stage(&hold("upload", "4s")).await;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut child = started(&stage, &arguments);
    until("the rule is disabled", || rule_is(&stage, RuleSetting::Disabled)).await;
    hangs(&stage, "ecs:*");
    released_at_once(&stage, "ECS hangs").await;
    child.kill().await.unwrap();
}

#[tokio::test]
async fn a_release_does_not_wait_for_a_ledger_that_hangs() {
    for moment in ["DisableRule", "CompleteMultipartUpload"] {
        let (stage, arguments) =
            upload_stage(&format!("{S3_LEDGER}{}", hold("upload", "5s"))).await;
        stage.sim.lock().create_bucket("gapmend-ledger");
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut child = started(&stage, &arguments);
        until("the moment", || stage.calls_of(moment) > 0).await;
        hangs(&stage, "s3:PutObject");
        hangs(&stage, "s3:ListObjectsV2");
        released_at_once(&stage, moment).await;
        child.kill().await.unwrap();
    }
}

#[tokio::test]
async fn a_daemon_whose_ledger_hangs_releases_what_it_holds_for_a_run() {
    let day = days_ago(12);
    let more = format!("{S3_LEDGER}{}", hold("run", "6s"));
    let stage = Stage::set_with(world().gap(day), &more).await;
    stage.sim.lock().create_bucket("gapmend-ledger");
    let mut daemon = Daemon::start(&stage).await;
    until("the rule is disabled", || rule_is(&stage, RuleSetting::Disabled)).await;
    hangs(&stage, "s3:PutObject");
    hangs(&stage, "s3:ListObjectsV2");
    hangs(&stage, "glue:*");
    released_at_once(&stage, "a run's hold").await;
    daemon.child.kill().await.unwrap();
}

#[tokio::test]
async fn our_task_makes_way_although_the_ledger_hangs() {
    let day = days_ago(12);
    // A live task fetches its dump for minutes before it drops the database: seconds, here.
    let fetch = std::time::Duration::from_secs(14);
    let timing = Timing { fetch, ..Timing::quick().scaled(0.2) };
    let more = format!("{S3_LEDGER}{}", hold("upload", "40s"));
    let stage = Stage::set_with(world().gap(day).timing(timing), &more).await;
    stage.sim.lock().create_bucket("gapmend-ledger");
    let mut daemon = Daemon::start(&stage).await;
    until("the load is asked for", || stage.calls_of("RunTask") == 1).await;
    until("its answer is written", || daemon_wrote(&stage, "load_submitted")).await;
    hangs(&stage, "s3:PutObject");
    stage.sim.lock().write_dump(now().date_naive());
    until("ours is stopped", || stage.calls_of("StopTask") > 0).await;
    stage.sim.advance_to(now());
    assert!(stage.sim.lock().overlaps().is_empty(), "{:?}", stage.sim.lock().overlaps());
    signal(&daemon.child, "KILL").await;
    let _ = daemon.child.wait().await;
}

fn daemon_wrote(stage: &Stage, kind: &str) -> bool {
    let world = stage.sim.lock();
    let listed = world.list_objects("gapmend-ledger", "gapmend/log/", None, usize::MAX).unwrap();
    listed.iter().any(|object| {
        let body = world.object("gapmend-ledger", &object.key, None).unwrap().body.bytes();
        String::from_utf8_lossy(&body).contains(kind)
    })
}
