//! EventBridge and its Scheduler: the rule that fires the live run, one-time schedules, the trail.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::error::SimResult;
use super::inspect::Writer;
use super::world::World;
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
}

/// A change of the rule's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleChange {
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

#[derive(Clone, Debug, Default)]
pub(super) struct Events {
    pub(super) rules: BTreeMap<(String, String), RuleRecord>,
    pub(super) history: Vec<RuleChange>,
    pub(super) schedules: BTreeMap<(String, String), ScheduleRecord>,
    pub(super) groups: std::collections::BTreeSet<String>,
}

impl World {
    /// `events:DescribeRule` and `events:ListTargetsByRule`; the bus by name or ARN.
    pub fn rule(&self, name: &str, event_bus: &str) -> SimResult<&RuleRecord> {
        let _ = (name, event_bus);
        todo!()
    }

    /// `events:EnableRule`; idempotent.
    pub fn enable_rule(&mut self, name: &str, event_bus: &str) -> SimResult<()> {
        let _ = (name, event_bus);
        todo!()
    }

    /// `events:DisableRule`; idempotent.
    pub fn disable_rule(&mut self, name: &str, event_bus: &str) -> SimResult<()> {
        let _ = (name, event_bus);
        todo!()
    }

    /// `scheduler:CreateSchedule`; returns its ARN. `created_at` is ignored.
    pub fn create_schedule(&mut self, schedule: ScheduleRecord) -> SimResult<String> {
        let _ = schedule;
        todo!()
    }

    /// `scheduler:GetSchedule`.
    pub fn schedule(&self, group: &str, name: &str) -> SimResult<&ScheduleRecord> {
        let _ = (group, name);
        todo!()
    }

    /// `scheduler:DeleteSchedule`.
    pub fn delete_schedule(&mut self, group: &str, name: &str) -> SimResult<()> {
        let _ = (group, name);
        todo!()
    }

    /// `scheduler:ListSchedules` without paging.
    pub fn schedules(&self, group: Option<&str>) -> Vec<ScheduleRecord> {
        let chosen = self.events.schedules.values();
        chosen
            .filter(|schedule| group.is_none_or(|group| schedule.group == group))
            .cloned()
            .collect()
    }

    /// `scheduler:ListScheduleGroups`: the names.
    pub fn schedule_groups(&self) -> Vec<String> {
        self.events.groups.iter().cloned().collect()
    }

    /// `scheduler:CreateScheduleGroup`; one that exists is a conflict.
    pub fn create_schedule_group(&mut self, group: &str) -> SimResult<String> {
        let _ = group;
        todo!()
    }

    pub(super) fn notice_write(
        &mut self,
        bucket: &str,
        key: &str,
        writer: Writer,
        event_name: &'static str,
    ) {
        let _ = (bucket, key, writer, event_name);
        todo!()
    }
}
