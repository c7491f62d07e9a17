//! The rule, the trail, the dead man's switch.

use super::*;
use crate::sim::{Profile, RuleSetting, ScheduleRecord, SimResult, Times, WriteIf};

const BUCKET: &str = "dataplatform-prod-liberator-data-storage";

fn write(world: &mut World, name: &str) {
    world.put_object(BUCKET, &format!("parking/{name}"), "words", false).unwrap();
}

fn set(world: &mut World, enabled: bool) {
    let (name, bus) = (world.names.rule.clone(), world.names.event_bus.clone());
    let changed: SimResult<()> =
        if enabled { world.enable_rule(&name, &bus) } else { world.disable_rule(&name, &bus) };
    changed.unwrap();
}

#[test]
fn any_write_into_the_bucket_fires_a_live_task_after_the_delay() {
    let sim = WorldBuilder::at(morning()).build();
    let mut world = sim.lock();
    write(&mut world, "README.txt");
    assert!(world.tasks().is_empty());
    pass_minutes(&mut world, 13);
    assert_eq!(world.tasks().len(), 1);
    let task = world.tasks()[0].clone();
    assert!(task.live);
    assert_eq!(task.started_by.as_deref(), Some("events-rule/liberator-to-rds-snapshot-event"));
    assert!(task.created_at >= morning() + TimeDelta::minutes(1));
    pass_minutes(&mut world, 10);
    assert_eq!(exit_code(&world, &task.arn), Some(1), "today's dump is not there yet");
}

#[test]
fn copies_and_completed_uploads_fire_and_parts_do_not() {
    let sim = WorldBuilder::at(morning()).build();
    let mut world = sim.lock();
    let upload = world.create_multipart_upload(BUCKET, "parking/x.zip", None).unwrap();
    let etag = world.upload_part(&upload, 1, bytes::Bytes::from_static(b"words")).unwrap();
    pass_minutes(&mut world, 13);
    assert!(world.tasks().is_empty());
    world.complete_multipart_upload(&upload, &[(1, etag)], WriteIf::Absent).unwrap();
    world.copy_object(BUCKET, "parking/x.zip", BUCKET, "parking/y.zip", true).unwrap();
    pass_minutes(&mut world, 13);
    assert_eq!(world.tasks().len(), 2);
    let names: Vec<_> = world.our_dump_writes().iter().map(|event| event.event_name).collect();
    assert_eq!(names, ["CompleteMultipartUpload", "CopyObject"]);
}

#[test]
fn a_write_while_the_rule_is_disabled_fires_nothing() {
    let sim = WorldBuilder::at(morning()).build();
    let mut world = sim.lock();
    set(&mut world, false);
    pass_minutes(&mut world, 2);
    write(&mut world, "README.txt");
    pass_minutes(&mut world, 15);
    set(&mut world, true);
    pass_minutes(&mut world, 60);
    assert!(world.tasks().is_empty());
    assert!(world.trail()[0].was_lost());
}

#[test]
fn enabling_before_the_event_has_arrived_fires_all_the_same() {
    let sim = WorldBuilder::at(morning()).build();
    let mut world = sim.lock();
    world.timing.cloudtrail.from = world.timing.cloudtrail.to;
    set(&mut world, false);
    pass_minutes(&mut world, 2);
    write(&mut world, "README.txt");
    set(&mut world, true);
    pass_minutes(&mut world, 13);
    assert_eq!(world.tasks().len(), 1);
}

#[test]
fn a_change_of_the_rule_is_felt_only_after_a_while() {
    let sim = WorldBuilder::at(morning()).build();
    let mut world = sim.lock();
    world.timing.propagation.from = world.timing.propagation.to;
    set(&mut world, false);
    assert!(world.trigger_matches());
    pass_minutes(&mut world, 1);
    assert!(!world.trigger_matches());
}

#[test]
fn a_live_dump_that_comes_while_the_rule_is_disabled_is_lost() {
    let sim = WorldBuilder::at(morning()).build();
    let mut world = sim.lock();
    pass_hours(&mut world, 15);
    set(&mut world, false);
    pass_hours(&mut world, 1);
    set(&mut world, true);
    pass_hours(&mut world, 8);
    assert_eq!(world.lost_live_dumps().len(), 1);
    assert_eq!(copies(&world, date("2026-11-22")), [0; 7]);
}

#[test]
fn the_dead_man_enables_the_rule_and_deletes_itself() {
    let sim = WorldBuilder::at(morning()).build();
    let mut world = sim.lock();
    world.create_schedule(switch("2026-11-22T10:00:00")).unwrap();
    set(&mut world, false);
    pass_minutes(&mut world, 119);
    assert!(!world.trigger_matches());
    pass_minutes(&mut world, 3);
    assert!(world.trigger_matches());
    assert_eq!(world.rule_history().last().unwrap().who, "schedule dead-man");
    assert_eq!(
        world.schedule("gapmend", "dead-man").unwrap_err().code,
        "ResourceNotFoundException"
    );
}

#[test]
fn a_disarmed_dead_man_does_nothing_and_a_new_one_keeps_its_own_time() {
    let sim = WorldBuilder::at(morning()).build();
    let mut world = sim.lock();
    set(&mut world, false);
    world.create_schedule(switch("2026-11-22T10:00:00")).unwrap();
    let again = world.create_schedule(switch("2026-11-22T11:00:00")).unwrap_err();
    assert_eq!(again.code, "ConflictException");
    world.delete_schedule("gapmend", "dead-man").unwrap();
    world.create_schedule(switch("2026-11-22T12:00:00")).unwrap();
    pass_hours(&mut world, 3);
    assert!(!world.trigger_matches());
    pass_hours(&mut world, 2);
    assert!(world.trigger_matches());
}

fn switch(at: &str) -> ScheduleRecord {
    ScheduleRecord {
        name: "dead-man".into(),
        group: "gapmend".into(),
        expression: format!("at({at})"),
        timezone: Some("UTC".into()),
        target_arn: "arn:aws:scheduler:::aws-sdk:eventbridge:enableRule".into(),
        input: Some(
            r#"{"Name":"liberator-to-rds-snapshot-event","EventBusName":"default"}"#.into(),
        ),
        role_arn: "arn:aws:iam::111122223333:role/dead-man".into(),
        state: "ENABLED".into(),
        delete_after: true,
        client_token: None,
        created_at: morning(),
    }
}

#[test]
fn schedules_that_the_model_does_not_know_are_refused() {
    let sim = WorldBuilder::at(morning()).build();
    let mut world = sim.lock();
    let bad = ScheduleRecord { expression: "rate(1 hour)".into(), ..switch("2026-11-22T10:00:00") };
    assert_eq!(world.create_schedule(bad).unwrap_err().code, "ValidationException");
    let lost = ScheduleRecord { group: "nowhere".into(), ..switch("2026-11-22T10:00:00") };
    assert_eq!(world.create_schedule(lost).unwrap_err().code, "ResourceNotFoundException");
}

#[test]
fn a_managed_rule_cannot_be_changed() {
    let sim = WorldBuilder::at(morning()).rule_managed_by("vpc-lattice.amazonaws.com").build();
    let mut world = sim.lock();
    let (name, bus) = (world.names.rule.clone(), world.names.event_bus.clone());
    assert_eq!(world.disable_rule(&name, &bus).unwrap_err().code, "ManagedRuleException");
    assert_eq!(world.disable_rule("x", &bus).unwrap_err().code, "ResourceNotFoundException");
}

#[test]
fn the_history_of_the_rule_says_who() {
    let sim = WorldBuilder::at(morning()).build();
    let mut world = sim.lock();
    set(&mut world, false);
    world.terraform_enables_trigger();
    world.operator_disables_trigger();
    let history: Vec<_> =
        world.rule_history().iter().map(|change| (change.who.as_str(), change.state)).collect();
    let (off, on) = (RuleSetting::Disabled, RuleSetting::Enabled);
    assert_eq!(history, [("caller", off), ("terraform", on), ("operator", off)]);
}

#[test]
fn a_target_that_was_refused_is_tried_again_later() {
    let refused = Profile { capacity_refused: Times::First(2), ..Profile::default() };
    let sim = WorldBuilder::at(morning()).profile(date("2026-11-22"), refused).build();
    let mut world = sim.lock();
    pass_hours(&mut world, 24);
    assert_eq!(world.fired_live_dumps().len(), 1);
    assert!(world.lost_live_dumps().is_empty());
}

#[test]
fn an_event_may_fire_the_rule_twice_and_the_two_tasks_collide() {
    let twice = Profile { fires_again: 1, ..Profile::default() };
    let sim = WorldBuilder::at(morning()).profile(date("2026-11-22"), twice).build();
    let mut world = sim.lock();
    pass_hours(&mut world, 24);
    assert_eq!(world.fired_live_dumps()[0].fired.len(), 2);
    assert_eq!(world.overlaps().len(), 1);
}

#[test]
fn a_refused_write_fires_as_well() {
    let sim = WorldBuilder::at(morning()).build();
    let mut world = sim.lock();
    let key = world.names.dump_key_of(date("2026-11-20"));
    assert_eq!(world.put_object(BUCKET, &key, "words", true).unwrap_err().status, 412);
    pass_minutes(&mut world, 13);
    assert!(world.trail()[0].refused);
    assert_eq!(world.tasks().len(), 1);
}

#[test]
fn a_redelivered_old_dump_fires_todays_run_and_not_its_own() {
    let sim = WorldBuilder::at(morning()).build();
    let mut world = sim.lock();
    world.write_dump(date("2026-11-10"));
    pass_minutes(&mut world, 20);
    assert_eq!(world.tasks()[0].date, Some(date("2026-11-22")));
    assert_eq!(world.tasks()[0].exit_code, Some(1));
}

#[test]
fn an_event_that_the_trail_loses_leaves_a_gap_behind() {
    let lost = Profile { event_lost: Times::First(1), ..Profile::default() };
    let sim = WorldBuilder::at(morning()).profile(date("2026-11-22"), lost).build();
    let mut world = sim.lock();
    pass_hours(&mut world, 24);
    assert!(world.tasks().is_empty());
    assert_eq!(copies(&world, date("2026-11-22")), [0; 7]);
}

#[test]
fn a_target_that_is_always_refused_is_given_up_after_a_day() {
    let full = Profile { capacity_refused: Times::Always, ..Profile::default() };
    let builder = WorldBuilder::at(morning());
    let sim = ["2026-11-22", "2026-11-23", "2026-11-24"]
        .into_iter()
        .fold(builder, |builder, day| builder.profile(date(day), full.clone()))
        .build();
    let mut world = sim.lock();
    pass_hours(&mut world, 62);
    assert!(world.tasks().is_empty());
    assert!(world.incidents().iter().any(|each| each.what.contains("given up")));
}
