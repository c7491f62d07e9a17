//! One scenario for each hazard: a model that is wrong proves nothing.

mod door;
mod ingestion;
mod laws;
mod services;
mod trigger;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::{ContainerOverride, RunTask, World, WorldBuilder};

/// Sunday morning: last night's ingestion is over, the next dump comes at 23:05.
fn morning() -> DateTime<Utc> {
    "2026-11-22T08:00:00Z".parse().unwrap()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// A gap, old enough to be healed.
fn gap() -> NaiveDate {
    date("2026-11-10")
}

fn with_gap() -> WorldBuilder {
    WorldBuilder::at(morning()).gap(gap())
}

fn pass_hours(world: &mut World, hours: i64) {
    world.advance_to(world.now() + TimeDelta::hours(hours));
}

fn pass_seconds(world: &mut World, seconds: i64) {
    world.advance_to(world.now() + TimeDelta::seconds(seconds));
}

fn pass_minutes(world: &mut World, minutes: i64) {
    world.advance_to(world.now() + TimeDelta::minutes(minutes));
}

/// The request of a backdated run.
fn backdated(world: &World, date: NaiveDate, token: &str) -> RunTask {
    let mut request = world.target_request().unwrap();
    request.client_token = Some(token.to_owned());
    request.started_by = Some(format!("gapmend/{date}/{token}"));
    let environment = [(world.names.date_variable.clone(), date.to_string())].into();
    let name = world.names.family.clone();
    request.overrides = vec![ContainerOverride { name, environment, command: Vec::new() }];
    request
}

/// Starts a backdated run and returns the task's ARN.
fn start(world: &mut World, date: NaiveDate) -> String {
    let token = format!("{date}-{}", world.tasks().len());
    let request = backdated(world, date, &token);
    world.run_task(&request).unwrap().tasks[0].arn.clone()
}

fn exit_code(world: &World, arn: &str) -> Option<i32> {
    world.tasks().iter().find(|task| task.arn == arn).unwrap().exit_code
}

fn logs(world: &World, arn: &str) -> Vec<String> {
    let id = arn.rsplit('/').next().unwrap();
    let stream = format!("{}/{}/{id}", world.names.log_stream_prefix, world.names.family);
    let lines = world.log_events(&world.names.log_group, &stream).unwrap();
    lines.into_iter().map(|line| line.message).collect()
}

fn copies(world: &World, date: NaiveDate) -> Vec<usize> {
    world.copies(date).into_values().collect()
}
