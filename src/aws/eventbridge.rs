//! EventBridge: the rule that fires the live run, and its switch.
//!
//! Only ever enabled and disabled: `PutRule` and `PutTargets` would overwrite what others set.

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_eventbridge::types::{
    AssignPublicIp, AwsVpcConfiguration, RuleState as SdkRuleState, Target,
};

use super::error::Failure;
use super::line::{Line, Repeat};
use super::pages::Pages;
use crate::domain::{Network, Rule, RuleState, RuleTarget};
use crate::platform::Answer;

/// `events:DescribeRule`
pub(super) const DESCRIBE_RULE: &str = "events:DescribeRule";
/// `events:ListTargetsByRule`
pub(super) const LIST_TARGETS: &str = "events:ListTargetsByRule";
/// `events:DisableRule`
pub(super) const DISABLE_RULE: &str = "events:DisableRule";
/// `events:EnableRule`
pub(super) const ENABLE_RULE: &str = "events:EnableRule";

/// EventBridge's own limit.
const TARGETS_PER_PAGE: i32 = 100;

/// The event rules.
pub(super) struct Rules {
    client: aws_sdk_eventbridge::Client,
    line: Arc<Line>,
}

impl Rules {
    pub(super) fn new(shared: &SdkConfig, line: Arc<Line>) -> Self {
        Self { client: aws_sdk_eventbridge::Client::new(shared), line }
    }

    /// The rule with its ECS targets.
    pub(super) async fn rule(&self, name: &str, event_bus: &str) -> Answer<Rule> {
        let request = self.client.describe_rule().name(name).event_bus_name(event_bus);
        let rule = self.line.read(DESCRIBE_RULE, || request.clone().send()).await?;
        let Some(state) = rule.state else {
            return Err(Failure::nonsense("a rule without a state").of(DESCRIBE_RULE));
        };
        let (targets, others): (Vec<_>, Vec<_>) = self
            .targets(name, event_bus)
            .await?
            .into_iter()
            .partition(|target| target.ecs_parameters.is_some());
        Ok(Rule {
            name: rule.name.unwrap_or_else(|| name.to_owned()),
            state: rule_state(&state),
            managed_by: rule.managed_by,
            targets: targets.into_iter().filter_map(ecs_target).collect(),
            other_targets: others.into_iter().map(|target| target.arn).collect(),
        })
    }

    /// Disables a rule; a repetition changes nothing.
    pub(super) async fn disable(&self, name: &str, event_bus: &str) -> Answer<()> {
        let request = self.client.disable_rule().name(name).event_bus_name(event_bus);
        self.line.ask(DISABLE_RULE, Repeat::Alone, || request.clone().send()).await.map(drop)
    }

    /// Enables a rule; a repetition changes nothing.
    pub(super) async fn enable(&self, name: &str, event_bus: &str) -> Answer<()> {
        let request = self.client.enable_rule().name(name).event_bus_name(event_bus);
        self.line.ask(ENABLE_RULE, Repeat::Alone, || request.clone().send()).await.map(drop)
    }

    async fn targets(&self, rule: &str, event_bus: &str) -> Answer<Vec<Target>> {
        let mut pages = Pages::of(LIST_TARGETS);
        let mut token = None;
        let mut targets = Vec::new();
        loop {
            let request = self
                .client
                .list_targets_by_rule()
                .rule(rule)
                .event_bus_name(event_bus)
                .limit(TARGETS_PER_PAGE)
                .set_next_token(token);
            let page = self.line.read(LIST_TARGETS, || request.clone().send()).await?;
            targets.extend(page.targets.unwrap_or_default());
            token = pages.next(page.next_token)?;
            if token.is_none() {
                return Ok(targets);
            }
        }
    }
}

fn rule_state(state: &SdkRuleState) -> RuleState {
    match state.as_str() {
        "ENABLED" => RuleState::Enabled,
        "DISABLED" => RuleState::Disabled,
        other => RuleState::Other(other.to_owned()),
    }
}

fn ecs_target(target: Target) -> Option<RuleTarget> {
    let ecs = target.ecs_parameters?;
    let set = [
        ("Input", target.input.is_some()),
        ("InputPath", target.input_path.is_some()),
        ("InputTransformer", target.input_transformer.is_some()),
        (
            "CapacityProviderStrategy",
            ecs.capacity_provider_strategy.is_some_and(|it| !it.is_empty()),
        ),
        ("PlacementConstraints", ecs.placement_constraints.is_some_and(|it| !it.is_empty())),
    ];
    let not_copied = set.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name).collect();
    let network = ecs.network_configuration.and_then(|network| network.awsvpc_configuration);
    Some(RuleTarget {
        id: target.id,
        cluster_arn: target.arn,
        task_definition: Some(ecs.task_definition_arn).filter(|arn| !arn.is_empty()),
        platform_version: ecs.platform_version,
        task_count: ecs.task_count,
        network: network.map(network_of),
        not_copied,
    })
}

fn network_of(vpc: AwsVpcConfiguration) -> Network {
    Network {
        subnets: vpc.subnets,
        security_groups: vpc.security_groups.unwrap_or_default(),
        assign_public_ip: vpc.assign_public_ip == Some(AssignPublicIp::Enabled),
    }
}
