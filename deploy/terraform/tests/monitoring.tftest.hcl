# The alarms: none unless asked for, and then all to one topic.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_region" {
    defaults = { id = "eu-west-2" }
  }
}

variables {
  image         = "registry.example/gapmend:0.1.0"
  config        = "# the configuration"
  vpc_id        = "vpc-1"
  subnet_ids    = ["subnet-1", "subnet-2"]
  cluster_arn   = "arn:aws:ecs:eu-west-2:111122223333:cluster/dataplatform-prod-workers"
  ledger_bucket = "gapmend-ledger"
  pipeline      = jsondecode(file("../iam/liberator.json"))
}

run "no_alarms_unless_asked_for" {
  command = plan

  assert {
    condition = (
      length(aws_sns_topic.alarms) == 0 && length(aws_cloudwatch_metric_alarm.heartbeat) == 0
      && length(aws_cloudwatch_metric_alarm.live_rule_silent) == 0 && length(aws_cloudwatch_event_rule.reported) == 0
    )
    error_message = "Alarms are opt-in."
  }

  assert {
    condition     = local.environment.GAPMEND_LOG_FORMAT == "json"
    error_message = "Without alarms the log holds no metrics."
  }
}

run "alarms_of_two_datasets" {
  command = plan

  variables {
    alarms = { datasets = ["liberator", "other"], emails = ["data-platform@council.example"], trigger_disabled_hours = 3 }
  }

  assert {
    condition     = local.environment.GAPMEND_LOG_FORMAT == "emf"
    error_message = "The daemon writes the metrics into its log."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.heartbeat[0].treat_missing_data == "breaching"
      && aws_cloudwatch_metric_alarm.heartbeat[0].metric_name == "Leader"
    )
    error_message = "Silence is the alarm."
  }

  assert {
    condition = alltrue([
      for name in ["liberator", "other"] : (
        aws_cloudwatch_metric_alarm.trigger_disabled[name].threshold == 3 * 3600
        && aws_cloudwatch_metric_alarm.scan_age[name].threshold == 26 * 3600
        && aws_cloudwatch_metric_alarm.scan_age[name].dimensions["Dataset"] == name
      )
    ])
    error_message = "Each dataset has its two alarms."
  }

  assert {
    condition = (
      jsondecode(aws_cloudwatch_event_rule.reported["task-stopped"].event_pattern).detail.group == ["service:gapmend"]
      && jsondecode(aws_cloudwatch_event_rule.reported["deployment-failed"].event_pattern).resources
      == ["arn:aws:ecs:eu-west-2:111122223333:service/dataplatform-prod-workers/gapmend"]
    )
    error_message = "Stopped tasks and failed deployments of this service are reported."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.live_rule_silent) == 1 && length(aws_cloudwatch_event_target.reported) == 2
    error_message = "The live rule is watched, and both event rules have the topic as their target."
  }
}

run "found_by_name_and_labelled" {
  command = plan

  variables {
    discovery = { namespace_id = "ns-1", name = "gapmend-prod" }
    remote_write = {
      workspace_arn = "arn:aws:aps:eu-west-2:111122223333:workspace/ws-1"
      url           = "https://aps.example/api/v1/remote_write"
      labels        = { environment = "prod" }
    }
  }

  assert {
    condition     = length(aws_service_discovery_service.this) == 1
    error_message = "A Prometheus outside follows the task's address by its name."
  }

  assert {
    condition = (
      local.collecting.receivers.prometheus.config.scrape_configs[0].static_configs[0].labels["environment"] == "prod"
      && local.collector.restartPolicy.enabled
    )
    error_message = "The collector adds the labels, and is restarted when it dies."
  }
}
