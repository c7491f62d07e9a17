//! EventBridge Scheduler: the dead man's switch.
//!
//! A one-time schedule that calls `EnableRule` through the universal target and deletes itself.
//! Whatever is read back must be exactly such a schedule, enabled; anything else is an error,
//! because a rule must not be disabled on the strength of a switch that would not work.

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_scheduler::error::BuildError;
use aws_sdk_scheduler::operation::get_schedule::GetScheduleOutput;
use aws_sdk_scheduler::types::{
    ActionAfterCompletion, FlexibleTimeWindow, FlexibleTimeWindowMode, RetryPolicy,
    ScheduleGroupState, ScheduleState, Target,
};
use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};

use super::error::{Failure, if_present};
use super::line::{Line, Repeat};
use crate::platform::{Answer, DeadMan};

/// `scheduler:CreateSchedule`
pub(super) const CREATE_SCHEDULE: &str = "scheduler:CreateSchedule";
/// `scheduler:GetSchedule`
pub(super) const GET_SCHEDULE: &str = "scheduler:GetSchedule";
/// `scheduler:GetScheduleGroup`
pub(super) const GET_SCHEDULE_GROUP: &str = "scheduler:GetScheduleGroup";
/// `scheduler:DeleteSchedule`
pub(super) const DELETE_SCHEDULE: &str = "scheduler:DeleteSchedule";

const ENABLE_RULE_TARGET: &str = "arn:aws:scheduler:::aws-sdk:eventbridge:enableRule";
const EXPRESSION_FORMAT: &str = "at(%Y-%m-%dT%H:%M:%S)";
const TIMEZONE: &str = "UTC";

/// The most that the scheduler allows: the switch tries for a whole day.
const RETRY_ATTEMPTS: i32 = 185;
const RETRY_AGE_SECONDS: i32 = 86_400;

/// The input of `EnableRule`, in the SDK's spelling.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
struct EnableRuleInput {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "EventBusName")]
    event_bus_name: String,
}

/// The dead man's switches.
pub(super) struct Schedules {
    client: aws_sdk_scheduler::Client,
    line: Arc<Line>,
}

impl Schedules {
    pub(super) fn new(shared: &SdkConfig, line: Arc<Line>) -> Self {
        Self { client: aws_sdk_scheduler::Client::new(shared), line }
    }

    /// Creates a switch; a name that exists is `Conflict`.
    ///
    /// The token is new for each call, and the same for the repetitions within it: a token made
    /// from the name could pass a schedule off as created that was deleted since.
    pub(super) async fn arm(&self, switch: &DeadMan) -> Answer<()> {
        let (target, window) = parts(switch)
            .map_err(|error| Failure::invalid(error.to_string()).of(CREATE_SCHEDULE))?;
        let request = self
            .client
            .create_schedule()
            .name(&switch.name)
            .group_name(&switch.group)
            .description("gapmend: enables the rule again if nobody else does")
            .schedule_expression(switch.fires_at.format(EXPRESSION_FORMAT).to_string())
            .schedule_expression_timezone(TIMEZONE)
            .state(ScheduleState::Enabled)
            .target(target)
            .flexible_time_window(window)
            .action_after_completion(ActionAfterCompletion::Delete)
            .client_token(uuid::Uuid::new_v4().to_string());
        self.line.ask(CREATE_SCHEDULE, Repeat::Safe, || request.clone().send()).await.map(drop)
    }

    /// Reads a switch back; `None` when it fired or was deleted.
    pub(super) async fn read(&self, group: &str, name: &str) -> Answer<Option<DeadMan>> {
        let request = self.client.get_schedule().group_name(group).name(name);
        let answer = self.line.read(GET_SCHEDULE, || request.clone().send()).await;
        let Some(schedule) = if_present(answer)? else { return Ok(None) };
        let switch = dead_man(&schedule, group, name).map_err(|fault| {
            let message = format!("schedule {group}/{name} is no dead man's switch: {fault}");
            Failure::invalid(message).of(GET_SCHEDULE)
        })?;
        Ok(Some(switch))
    }

    /// Deletes a switch; absent is fine.
    pub(super) async fn disarm(&self, group: &str, name: &str) -> Answer<()> {
        let token = uuid::Uuid::new_v4().to_string();
        let request =
            self.client.delete_schedule().group_name(group).name(name).client_token(token);
        let answer = self.line.ask(DELETE_SCHEDULE, Repeat::Safe, || request.clone().send()).await;
        if_present(answer).map(drop)
    }

    /// Whether a group is there, and not about to go.
    pub(super) async fn takes(&self, group: &str) -> Answer<bool> {
        let request = self.client.get_schedule_group().name(group);
        let answer = self.line.read(GET_SCHEDULE_GROUP, || request.clone().send()).await;
        let found = if_present(answer)?;
        Ok(found.is_some_and(|group| group.state == Some(ScheduleGroupState::Active)))
    }
}

fn parts(switch: &DeadMan) -> Result<(Target, FlexibleTimeWindow), BuildError> {
    let input =
        EnableRuleInput { name: switch.rule.clone(), event_bus_name: switch.event_bus.clone() };
    let target = Target::builder()
        .arn(ENABLE_RULE_TARGET)
        .role_arn(&switch.role_arn)
        .input(serde_json::to_string(&input).map_err(BuildError::other)?)
        .retry_policy(
            RetryPolicy::builder()
                .maximum_retry_attempts(RETRY_ATTEMPTS)
                .maximum_event_age_in_seconds(RETRY_AGE_SECONDS)
                .build(),
        )
        .build()?;
    let window = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build()?;
    Ok((target, window))
}

fn dead_man(schedule: &GetScheduleOutput, group: &str, name: &str) -> Result<DeadMan, String> {
    if schedule.state != Some(ScheduleState::Enabled) {
        return Err(format!(
            "its state is {:?}",
            schedule.state.as_ref().map(ScheduleState::as_str)
        ));
    }
    if schedule.flexible_time_window.as_ref().is_some_and(|w| w.mode != FlexibleTimeWindowMode::Off)
    {
        return Err("its time is flexible".to_owned());
    }
    if let Some(after) = &schedule.action_after_completion
        && *after != ActionAfterCompletion::Delete
    {
        return Err(format!("its action after completion is {}", after.as_str()));
    }
    if schedule.start_date.is_some() || schedule.end_date.is_some() {
        return Err("it has a start or an end of its own".to_owned());
    }
    let target = schedule.target.as_ref().ok_or("it has no target")?;
    if target.arn != ENABLE_RULE_TARGET {
        return Err(format!("its target is {}", target.arn));
    }
    let input: EnableRuleInput = serde_json::from_str(target.input().unwrap_or_default())
        .map_err(|error| format!("its input is not EnableRule's: {error}"))?;
    Ok(DeadMan {
        name: name.to_owned(),
        group: group.to_owned(),
        rule: input.name,
        event_bus: input.event_bus_name,
        fires_at: fires_at(schedule)?,
        role_arn: target.role_arn.clone(),
    })
}

fn fires_at(schedule: &GetScheduleOutput) -> Result<DateTime<Utc>, String> {
    let timezone = schedule.schedule_expression_timezone().unwrap_or(TIMEZONE);
    if timezone != TIMEZONE {
        return Err(format!("its timezone is {timezone}"));
    }
    let expression = schedule.schedule_expression().unwrap_or_default();
    NaiveDateTime::parse_from_str(expression, EXPRESSION_FORMAT)
        .map(|time| time.and_utc())
        .map_err(|error| format!("its expression {expression:?} is not one time: {error}"))
}
