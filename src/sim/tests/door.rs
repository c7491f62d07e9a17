//! The Platform door and its clock: a whole ingestion as gapmend would drive it.

use std::time::Duration;

use super::*;
use crate::domain::{ErrorClass, ExportStatus, RuleState, TaskState, WorkflowStatus};
use crate::platform::{
    Clock, Created, DeadMan, Listing, ObjectRange, PartitionQuery, Platform, TaskFamily,
    TaskRequest, TaskStart,
};
use crate::sim::{FaultKind, FaultWhen, Moment, Sim, SimClock, SimPlatform};

const BUS: &str = "default";

fn doors(sim: &Sim) -> (SimPlatform, SimClock) {
    (SimPlatform::new(sim.clone()), SimClock::new(sim.clone()))
}

fn family(sim: &Sim) -> TaskFamily {
    let names = &sim.lock().names;
    TaskFamily {
        cluster: names.cluster.clone(),
        family: names.family.clone(),
        container: names.family.clone(),
        date_variable: names.date_variable.clone(),
    }
}

async fn request(platform: &SimPlatform, day: NaiveDate) -> TaskRequest {
    let names = platform.sim().lock().names.clone();
    let rule = platform.rule(&names.rule, BUS).await.unwrap();
    let target = &rule.targets[0];
    TaskRequest {
        cluster: names.cluster.clone(),
        task_definition: target.task_definition.clone().unwrap(),
        container: names.family.clone(),
        environment: [(names.date_variable.clone(), day.to_string())].into(),
        network: target.network.clone().unwrap(),
        platform_version: target.platform_version.clone(),
        client_token: format!("gapmend-{day}"),
        started_by: format!("gapmend/{day}/1"),
    }
}

#[tokio::test]
async fn a_whole_backdated_ingestion_is_seen_through_the_door_in_virtual_time() {
    let sim = with_gap().build();
    let (platform, clock) = doors(&sim);
    let request = request(&platform, gap()).await;
    let TaskStart::Started(arn) = platform.run_task(&request).await.unwrap() else {
        panic!("refused");
    };
    assert_eq!(platform.task(&family(&sim), &arn).await.unwrap(), None, "too new");
    let task = loop {
        clock.sleep(Duration::from_secs(15)).await;
        let tasks = platform.tasks_started_by(&family(&sim), &request.started_by).await.unwrap();
        if let Some(task) = tasks.into_iter().find(|task| task.state == TaskState::Stopped) {
            break task;
        }
    };
    assert_eq!((task.exit_code, task.date_override.as_deref()), (Some(0), Some("2026-11-10")));
    let id = sim.lock().names.backdated_id(gap());
    assert!(!platform.snapshot(&id).await.unwrap().unwrap().is_available(), "still creating");
    clock.sleep(Duration::from_hours(2)).await;
    let export = platform.export(&id).await.unwrap().unwrap();
    assert_eq!(export.status, ExportStatus::Complete);
    clock.sleep(Duration::from_hours(1)).await;
    let workflow = sim.lock().names.backdated_workflow.clone();
    let runs = platform.workflow_runs(&workflow, morning()).await.unwrap();
    let run = platform.workflow_run(&workflow, &runs[0].id).await.unwrap();
    assert_eq!(run.status, WorkflowStatus::Completed);
    assert_eq!((run.nodes.len(), run.properties["import_date"].as_str()), (3, "20261110"));
    assert!(sim.lock().is_whole(gap()));
}

#[tokio::test]
async fn a_lost_answer_of_run_task_is_repeated_without_a_second_task() {
    let sim = with_gap().build();
    let (platform, _) = doors(&sim);
    let request = request(&platform, gap()).await;
    sim.lock().faults.add("ecs:RunTask", FaultWhen::Call(1), FaultKind::Dropped, Moment::After);
    let lost = platform.run_task(&request).await.unwrap_err();
    assert_eq!(lost.class, ErrorClass::Transport);
    assert!(matches!(platform.run_task(&request).await.unwrap(), TaskStart::Started(_)));
    assert_eq!(sim.lock().tasks().len(), 1);
}

#[tokio::test]
async fn a_fault_before_the_effect_leaves_the_world_as_it_was() {
    let sim = with_gap().build();
    let (platform, _) = doors(&sim);
    sim.lock().faults.add("*", FaultWhen::Always, FaultKind::Throttle, Moment::Before);
    let name = sim.lock().names.rule.clone();
    let error = platform.disable_rule(&name, BUS).await.unwrap_err();
    assert_eq!((error.class, error.operation), (ErrorClass::Throttled, "events:DisableRule"));
    assert!(sim.lock().rule_history().is_empty());
}

#[tokio::test]
async fn a_lost_page_is_an_error_and_never_a_short_list() {
    let sim = WorldBuilder::at(morning()).build();
    let (platform, _) = doors(&sim);
    let bucket = sim.lock().names.ledger_bucket.clone();
    for number in 0..1500 {
        let key = format!("log/{number:05}");
        sim.lock().put_object(&bucket, &key, "", true).unwrap();
    }
    let listing = Listing { bucket, prefix: "log/".into(), ..Listing::default() };
    let mut pages = Vec::new();
    platform.list_objects(&listing, &mut |page| pages.push(page.len())).await.unwrap();
    assert_eq!(pages, [1000, 500]);
    sim.lock().faults.add(
        "s3:ListObjectsV2",
        FaultWhen::Call(4),
        FaultKind::Timeout,
        Moment::Before,
    );
    let lost = platform.list_objects(&listing, &mut |_| ()).await.unwrap_err();
    assert_eq!(lost.class, ErrorClass::Timeout);
    let few = Listing { at_most: Some(3), start_after: Some("log/00009".into()), ..listing };
    let mut keys = Vec::new();
    platform.list_objects(&few, &mut |page| keys.extend(page)).await.unwrap();
    assert_eq!(
        keys.iter().map(|info| info.key.as_str()).collect::<Vec<_>>(),
        ["log/00010", "log/00011", "log/00012"]
    );
}

#[tokio::test]
async fn objects_are_created_once_and_read_only_as_they_were_listed() {
    let sim = WorldBuilder::at(morning()).build();
    let (platform, _) = doors(&sim);
    let bucket = sim.lock().names.ledger_bucket.clone();
    let create = |body: &'static str| platform.create_object(&bucket, "k", body.into());
    assert_eq!(create("one").await.unwrap(), Created::Created);
    assert_eq!(create("two").await.unwrap(), Created::Exists);
    assert_eq!(platform.get_object(&bucket, "k").await.unwrap().unwrap(), "one");
    assert_eq!(platform.get_object(&bucket, "none").await.unwrap(), None);
    assert_eq!(platform.copy_object(&bucket, "k", "k2").await.unwrap(), Created::Created);
    assert_eq!(platform.copy_object(&bucket, "k", "k2").await.unwrap(), Created::Exists);
    let etag = sim.lock().object(&bucket, "k", None).unwrap().etag.clone();
    let range = ObjectRange { key: "k".into(), etag, from: 1, length: 9 };
    assert_eq!(platform.read_range(&bucket, &range).await.unwrap(), "ne");
    platform.put_object(&bucket, "k", "three".into()).await.unwrap();
    let changed = platform.read_range(&bucket, &range).await.unwrap_err();
    assert_eq!(changed.class, ErrorClass::Conflict);
}

#[tokio::test]
async fn partitions_come_filtered_and_denied_is_not_empty() {
    let sim = WorldBuilder::at(morning()).build();
    let (platform, _) = doors(&sim);
    let query = PartitionQuery {
        database: sim.lock().names.raw[0].database.clone(),
        table: "liberator_pcn".into(),
        expression: Some("import_date >= '20261115'".into()),
        at_most: None,
    };
    let mut values = Vec::new();
    platform.partitions(&query, &mut |page| values.extend(page)).await.unwrap();
    assert_eq!(values.len(), 7);
    sim.lock().faults.add("glue:*", FaultWhen::Always, FaultKind::Denied, Moment::Before);
    let denied = platform.partitions(&query, &mut |_| ()).await.unwrap_err();
    assert_eq!(denied.class, ErrorClass::Denied);
}

#[tokio::test]
async fn the_dead_man_is_armed_read_back_and_fires() {
    let sim = WorldBuilder::at(morning()).build();
    let (platform, clock) = doors(&sim);
    let rule = sim.lock().names.rule.clone();
    let switch = DeadMan {
        name: "gapmend-1".into(),
        group: "gapmend".into(),
        rule: rule.clone(),
        event_bus: BUS.into(),
        fires_at: morning() + TimeDelta::hours(2),
        role_arn: "arn:aws:iam::111122223333:role/dead-man".into(),
    };
    platform.arm_dead_man(&switch).await.unwrap();
    assert_eq!(platform.arm_dead_man(&switch).await.unwrap_err().class, ErrorClass::Conflict);
    assert_eq!(platform.dead_man("gapmend", "gapmend-1").await.unwrap(), Some(switch));
    platform.disable_rule(&rule, BUS).await.unwrap();
    assert_eq!(platform.rule(&rule, BUS).await.unwrap().state, RuleState::Disabled);
    clock.sleep(Duration::from_hours(3)).await;
    assert_eq!(platform.rule(&rule, BUS).await.unwrap().state, RuleState::Enabled);
    assert_eq!(platform.dead_man("gapmend", "gapmend-1").await.unwrap(), None);
    platform.disarm_dead_man("gapmend", "gapmend-1").await.unwrap();
}

#[tokio::test]
async fn a_task_that_is_being_stopped_is_still_seen_alive() {
    let sim = with_gap().build();
    let (platform, clock) = doors(&sim);
    let request = request(&platform, gap()).await;
    let TaskStart::Started(arn) = platform.run_task(&request).await.unwrap() else {
        panic!("refused");
    };
    clock.sleep(Duration::from_mins(5)).await;
    platform.stop_task(&request.cluster, &arn, "yield").await.unwrap();
    assert_eq!(platform.family_tasks(&family(&sim)).await.unwrap().len(), 1);
    clock.sleep(Duration::from_secs(90)).await;
    assert!(platform.family_tasks(&family(&sim)).await.unwrap().is_empty());
    let task = platform.task(&family(&sim), &arn).await.unwrap().unwrap();
    assert_eq!(task.stopped_reason.as_deref(), Some("UserInitiated: yield"));
}

#[tokio::test]
async fn what_is_absent_is_none_and_what_is_unknown_is_an_error() {
    let sim = WorldBuilder::at(morning()).build();
    let (platform, _) = doors(&sim);
    let names = sim.lock().names.clone();
    assert_eq!(platform.snapshot("none").await.unwrap(), None);
    assert_eq!(platform.export("none").await.unwrap(), None);
    assert_eq!(platform.snapshots(&names.instance).await.unwrap().len(), 2);
    assert!(platform.exports_of("arn:none").await.unwrap().is_empty());
    assert!(platform.log_tail(&names.log_group, "none", 5).await.unwrap().is_empty());
    let classes = [
        platform.tables("none").await.unwrap_err().class,
        platform.rule("none", BUS).await.unwrap_err().class,
        platform.workflow_run(&names.live_workflow, "none").await.unwrap_err().class,
    ];
    assert_eq!(classes, [ErrorClass::NotFound; 3]);
    assert_eq!(platform.caller().await.unwrap().account, "111122223333");
}
