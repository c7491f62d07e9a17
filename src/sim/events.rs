//! EventBridge and its Scheduler: the rule that fires the live run, one-time schedules, the trail.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::ecs::RunTask;
use super::error::{SimError, SimResult};
use super::inspect::{TrailEvent, Writer};
use super::world::{Happening, World};
use crate::domain::Network;

/// The state of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleSetting {
    /// `ENABLED`.
    Enabled,
    /// `DISABLED`.
    Disabled,
    /// `ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS`: an `EnableRule` would not restore it.
    EnabledWithManagementEvents,
}

impl RuleSetting {
    /// As EventBridge writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "ENABLED",
            Self::Disabled => "DISABLED",
            Self::EnabledWithManagementEvents => "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS",
        }
    }
}

/// The ECS target of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRecord {
    /// Its id.
    pub id: String,
    /// The cluster's ARN.
    pub cluster_arn: String,
    /// The role that EventBridge takes.
    pub role_arn: String,
    /// With the revision.
    pub task_definition_arn: String,
    /// How many tasks.
    pub task_count: i32,
    /// `FARGATE`.
    pub launch_type: String,
    /// The Fargate platform version.
    pub platform_version: Option<String>,
    /// Where its tasks run.
    pub network: Option<Network>,
    /// What its tasks are given in place of the event.
    pub input: Option<String>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleRecord {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its bus.
    pub event_bus: String,
    /// Its state.
    pub state: RuleSetting,
    /// Set when an AWS service manages it.
    pub managed_by: Option<String>,
    /// JSON.
    pub event_pattern: String,
    /// Words.
    pub description: String,
    /// Its targets.
    pub targets: Vec<TargetRecord>,
    /// The ARNs of targets that are no ECS tasks.
    pub other_targets: Vec<String>,
}

/// A change of the rule's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleChange {
    /// The rule.
    pub rule: String,
    /// When it was asked for.
    pub at: DateTime<Utc>,
    /// When it took effect.
    pub effective_at: DateTime<Utc>,
    /// Who: `caller`, `schedule NAME`, `operator`, `terraform`.
    pub who: String,
    /// To what.
    pub state: RuleSetting,
}

/// A schedule of the Scheduler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleRecord {
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// `at(yyyy-mm-ddThh:mm:ss)`.
    pub expression: String,
    /// The zone of the expression; `None` is UTC, and nothing else is modelled.
    pub timezone: Option<String>,
    /// `arn:aws:scheduler:::aws-sdk:eventbridge:enableRule`.
    pub target_arn: String,
    /// JSON with `Name` and `EventBusName`.
    pub input: Option<String>,
    /// The role that the Scheduler takes.
    pub role_arn: String,
    /// `ENABLED` or `DISABLED`.
    pub state: String,
    /// Whether it deletes itself when it has fired.
    pub delete_after: bool,
    /// For the same request again.
    pub client_token: Option<String>,
    /// When it was made; the model sets it.
    pub created_at: DateTime<Utc>,
}

/// EventBridge tries a target again for a day.
const TARGET_RETRY_HOURS: i64 = 24;

#[derive(Clone, Debug, Default)]
pub(super) struct Events {
    pub(super) rules: BTreeMap<(String, String), RuleRecord>,
    /// The state of each rule before its first change.
    pub(super) initial: BTreeMap<String, RuleSetting>,
    pub(super) history: Vec<RuleChange>,
    pub(super) schedules: BTreeMap<(String, String), ScheduleRecord>,
    pub(super) groups: BTreeSet<String>,
}

impl World {
    /// `events:DescribeRule` and `events:ListTargetsByRule`; the bus by name or ARN.
    pub fn rule(&self, name: &str, event_bus: &str) -> SimResult<&RuleRecord> {
        let rule = self.events.rules.get(&rule_key(name, event_bus));
        rule.ok_or_else(|| no_such_rule(name, event_bus))
    }

    /// A rule, to change what no operation of ours changes: its targets, who manages it.
    pub fn rule_mut(&mut self, name: &str, event_bus: &str) -> SimResult<&mut RuleRecord> {
        let rule = self.events.rules.get_mut(&rule_key(name, event_bus));
        rule.ok_or_else(|| no_such_rule(name, event_bus))
    }

    /// `events:EnableRule`; idempotent.
    pub fn enable_rule(&mut self, name: &str, event_bus: &str) -> SimResult<()> {
        self.change_rule(name, event_bus, RuleSetting::Enabled, "caller")
    }

    /// `events:DisableRule`; idempotent.
    pub fn disable_rule(&mut self, name: &str, event_bus: &str) -> SimResult<()> {
        self.change_rule(name, event_bus, RuleSetting::Disabled, "caller")
    }

    /// Somebody else changes the trigger: `operator`, `terraform` (H15).
    pub fn set_trigger(&mut self, state: RuleSetting, who: &str) {
        let (name, bus) = (self.names.rule.clone(), self.names.event_bus.clone());
        if self.change_rule(&name, &bus, state, who).is_err() {
            self.incident(format!("{who} could not change the rule {name}"));
        }
    }

    fn change_rule(
        &mut self,
        name: &str,
        event_bus: &str,
        state: RuleSetting,
        who: &str,
    ) -> SimResult<()> {
        if let Some(owner) = &self.rule(name, event_bus)?.managed_by {
            let message = format!("Rule {name} is managed by {owner}.");
            return Err(SimError::new("ManagedRuleException", 400, message));
        }
        let delay = self.draw(self.timing.propagation);
        let last = self.changes_of(name).map(|change| change.effective_at).max();
        let effective_at = (self.now + delay).max(last.unwrap_or(self.now));
        self.rule_mut(name, event_bus)?.state = state;
        let (rule, who) = (name.to_owned(), who.to_owned());
        self.events.history.push(RuleChange { rule, at: self.now, effective_at, who, state });
        Ok(())
    }

    fn changes_of<'a>(&'a self, rule: &'a str) -> impl Iterator<Item = &'a RuleChange> {
        self.events.history.iter().filter(move |change| change.rule == rule)
    }

    /// Whether the rule matches at this instant: a change takes a while to be felt.
    pub fn trigger_matches(&self) -> bool {
        let name = &self.names.rule;
        let felt = self.changes_of(name).filter(|change| change.effective_at <= self.now).last();
        let initial = self.events.initial.get(name).copied();
        match felt.map(|change| change.state).or(initial) {
            Some(RuleSetting::Enabled | RuleSetting::EnabledWithManagementEvents) => true,
            Some(RuleSetting::Disabled) | None => false,
        }
    }

    /// `scheduler:CreateSchedule`; returns its ARN. `created_at` is ignored.
    pub fn create_schedule(&mut self, mut schedule: ScheduleRecord) -> SimResult<String> {
        let at = self.check_schedule(&schedule)?;
        let arn =
            self.names.arn("scheduler", &format!("schedule/{}/{}", schedule.group, schedule.name));
        let key = (schedule.group.clone(), schedule.name.clone());
        if let Some(known) = self.events.schedules.get(&key) {
            schedule.created_at = known.created_at;
            if schedule.client_token.is_some() && *known == schedule {
                return Ok(arn);
            }
            let message = format!("Schedule {} already exists.", schedule.name);
            return Err(SimError::new("ConflictException", 409, message));
        }
        schedule.created_at = self.now;
        let (group, name) = key.clone();
        self.events.schedules.insert(key, schedule);
        let lag = self.draw(self.timing.scheduler);
        self.at(at + lag, Happening::ScheduleFires { group, name, at });
        Ok(arn)
    }

    fn check_schedule(&self, schedule: &ScheduleRecord) -> SimResult<DateTime<Utc>> {
        if !self.events.groups.contains(&schedule.group) {
            let message = format!("Schedule group {} does not exist.", schedule.group);
            return Err(SimError::new("ResourceNotFoundException", 404, message));
        }
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !(1..=64).contains(&schedule.name.len()) || !schedule.name.chars().all(word) {
            return Err(invalid_schedule("Invalid schedule name"));
        }
        if schedule.timezone.as_deref().is_some_and(|zone| zone != "UTC") {
            return Err(invalid_schedule("The model knows no time zone but UTC"));
        }
        schedule
            .fires_at()
            .ok_or_else(|| invalid_schedule(format!("Invalid {}", schedule.expression)))
    }

    /// `scheduler:GetSchedule`.
    pub fn schedule(&self, group: &str, name: &str) -> SimResult<&ScheduleRecord> {
        let schedule = self.events.schedules.get(&(group.to_owned(), name.to_owned()));
        schedule.ok_or_else(|| no_such_schedule(name))
    }

    /// `scheduler:DeleteSchedule`.
    pub fn delete_schedule(&mut self, group: &str, name: &str) -> SimResult<()> {
        let deleted = self.events.schedules.remove(&(group.to_owned(), name.to_owned()));
        deleted.map(|_| ()).ok_or_else(|| no_such_schedule(name))
    }

    /// `scheduler:ListSchedules` without paging.
    pub fn schedules(&self, group: Option<&str>) -> Vec<ScheduleRecord> {
        let mut schedules: Vec<_> = self.events.schedules.values().cloned().collect();
        schedules.retain(|schedule| group.is_none_or(|group| schedule.group == group));
        schedules
    }

    /// `scheduler:ListScheduleGroups`: the names.
    pub fn schedule_groups(&self) -> Vec<String> {
        self.events.groups.iter().cloned().collect()
    }

    /// `scheduler:CreateScheduleGroup`; one that exists is a conflict. Returns its ARN.
    pub fn create_schedule_group(&mut self, group: &str) -> SimResult<String> {
        if !self.events.groups.insert(group.to_owned()) {
            let message = format!("Schedule group {group} already exists.");
            return Err(SimError::new("ConflictException", 409, message));
        }
        Ok(self.names.arn("scheduler", &format!("schedule-group/{group}")))
    }

    pub(super) fn schedule_fires(&mut self, group: &str, name: &str, at: DateTime<Utc>) {
        let key = (group.to_owned(), name.to_owned());
        let Some(schedule) = self.events.schedules.get(&key).cloned() else { return };
        // Deleted and made anew for another time: this one is not its firing.
        if schedule.fires_at() != Some(at) || schedule.state != "ENABLED" {
            return;
        }
        if let Some((rule, bus)) = schedule.enables_rule() {
            let who = format!("schedule {name}");
            if self.change_rule(&rule, &bus, RuleSetting::Enabled, &who).is_err() {
                self.incident(format!("{who} could not enable {rule}"));
            }
        } else {
            self.incident(format!("schedule {name} fired and its target does nothing"));
        }
        if schedule.delete_after {
            self.events.schedules.remove(&key);
        }
    }

    /// The trail sees a write: its event arrives later, if the bucket is the watched one.
    /// A write that was refused is recorded too, and the rule does not look at that (H12).
    pub(super) fn notice_write(
        &mut self,
        bucket: &str,
        key: &str,
        writer: Writer,
        event_name: &'static str,
        refused: bool,
    ) {
        if bucket != self.names.dump_bucket {
            return;
        }
        let arrives_at = self.now + self.draw(self.timing.cloudtrail);
        let event = self.record.trail.len();
        self.record.trail.push(TrailEvent {
            key: key.to_owned(),
            event_name,
            writer,
            refused,
            written_at: self.now,
            arrives_at,
            arrived: false,
            matched: false,
            fired: Vec::new(),
        });
        self.at(arrives_at, Happening::TrailArrives { event });
    }

    pub(super) fn trail_arrives(&mut self, event: usize) {
        let today = self.now.date_naive();
        if self.script(today, |profile| profile.event_lost.take()) {
            return self
                .incident(format!("the event of {} was lost", self.record.trail[event].key));
        }
        let matched = self.trigger_matches();
        self.record.trail[event].arrived = true;
        self.record.trail[event].matched = matched;
        if !matched {
            return;
        }
        let again = self.script(today, |profile| profile.fires_again);
        for _ in 0..=again {
            self.target_fires(event);
        }
    }

    /// Runs the rule's target; a refusal is tried again later, as EventBridge does for a day (H16).
    pub(super) fn target_fires(&mut self, event: usize) {
        let Some(request) = self.target_request() else { return };
        let arrived_at = self.record.trail[event].arrives_at;
        if arrived_at + TimeDelta::hours(TARGET_RETRY_HOURS) < self.now {
            return self.incident("the rule's target was refused for a day and given up");
        }
        let answer = self.run_task(&request);
        let arn = answer.ok().and_then(|answer| answer.tasks.first().map(|task| task.arn.clone()));
        if let Some(arn) = arn {
            self.record.trail[event].fired.push(arn);
        } else {
            let delay = self.draw(self.timing.cloudtrail) + Duration::from_secs(1);
            self.after(delay, Happening::TargetFires { event });
        }
    }

    /// The request that the rule makes of ECS.
    pub(super) fn target_request(&self) -> Option<RunTask> {
        let rule = self.rule(&self.names.rule, &self.names.event_bus).ok()?;
        let target = rule.targets.first()?;
        Some(RunTask {
            cluster: target.cluster_arn.clone(),
            task_definition: target.task_definition_arn.clone(),
            network: target.network.clone(),
            launch_type: Some(target.launch_type.clone()),
            platform_version: target.platform_version.clone(),
            client_token: None,
            started_by: Some(format!("events-rule/{}", rule.name)),
            overrides: Vec::new(),
            tags: BTreeMap::new(),
        })
    }
}

fn rule_key(name: &str, event_bus: &str) -> (String, String) {
    let bus = event_bus.rsplit('/').next().unwrap_or(event_bus);
    (bus.to_owned(), name.to_owned())
}

/// The target of a schedule that enables a rule.
const ENABLE_RULE: &str = "arn:aws:scheduler:::aws-sdk:eventbridge:enableRule";

impl ScheduleRecord {
    /// The instant of `at(yyyy-mm-ddThh:mm:ss)`; nothing else is modelled.
    pub fn fires_at(&self) -> Option<DateTime<Utc>> {
        let text = self.expression.strip_prefix("at(")?.strip_suffix(')')?;
        Some(NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S").ok()?.and_utc())
    }

    /// The rule that it enables, and its bus.
    pub fn enables_rule(&self) -> Option<(String, String)> {
        if self.target_arn != ENABLE_RULE {
            return None;
        }
        let input: serde_json::Value = serde_json::from_str(self.input.as_deref()?).ok()?;
        let name = input.get("Name")?.as_str()?;
        let bus = input.get("EventBusName").and_then(serde_json::Value::as_str);
        Some((name.to_owned(), bus.unwrap_or("default").to_owned()))
    }
}

fn no_such_rule(name: &str, event_bus: &str) -> SimError {
    let message = format!("Rule {name} does not exist on EventBus {event_bus}.");
    SimError::new("ResourceNotFoundException", 400, message)
}

fn no_such_schedule(name: &str) -> SimError {
    let message = format!("Schedule {name} does not exist.");
    SimError::new("ResourceNotFoundException", 404, message)
}

fn invalid_schedule(message: impl Into<String>) -> SimError {
    SimError::new("ValidationException", 400, message)
}
