# Monitoring without a Prometheus: alarms of CloudWatch and rules of EventBridge, to one SNS topic.
# Opt-in by `alarms`. The daemon's metrics come out of its log (the embedded metric format), so its
# role needs nothing more.

variable "alarms" {
  description = "Sends what goes wrong to one SNS topic, by e-mail or whatever subscribes to it; null for none. `datasets` names the datasets of the configuration."
  type = object({
    datasets               = set(string)
    emails                 = optional(set(string), [])
    trigger_disabled_hours = optional(number, 4)  # whoever disabled the rule
    scan_age_hours         = optional(number, 26) # since the last complete scan
    live_rule_silent_hours = optional(number, 30) # the live rule started nothing; 0 for a feed that is not daily
  })
  default = null

  validation {
    condition = var.alarms == null ? true : (
      length(var.alarms.datasets) > 0 && var.alarms.live_rule_silent_hours <= 168
    )
    error_message = "alarms needs the names of the datasets; CloudWatch looks back 168 hours at most."
  }
}

locals {
  alarms  = var.alarms == null ? [] : [var.alarms]
  ledger  = "s3://${aws_s3_bucket.ledger.id}/${var.ledger_prefix}"
  service = "arn:aws:ecs:${local.region}:${local.account}:service/${element(split("/", var.cluster_arn), 1)}/${var.name}"
  live_rules = toset(flatten([
    for alarms in local.alarms : [
      for pipeline in concat([var.pipeline], values(var.more_pipelines)) : pipeline.rule
      if pipeline.rule != null && alarms.live_rule_silent_hours > 0
    ]
  ]))

  # What EventBridge reports, by name.
  reported = {
    task-stopped = {
      description = "A gapmend task stopped: its reason is in the event"
      pattern = {
        source      = ["aws.ecs"]
        detail-type = ["ECS Task State Change"]
        detail      = { clusterArn = [var.cluster_arn], group = ["service:${var.name}"], lastStatus = ["STOPPED"] }
      }
    }
    deployment-failed = {
      description = "A deployment of gapmend failed, and the last good revision is in place"
      pattern = {
        source      = ["aws.ecs"]
        detail-type = ["ECS Deployment State Change"]
        resources   = [local.service]
        detail      = { eventName = ["SERVICE_DEPLOYMENT_FAILED"] }
      }
    }
  }
}

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:Messages hold names and states; a key of its own would need grants for EventBridge and CloudWatch
  count = length(local.alarms)

  name = "${var.name}-alarms"
  tags = var.tags
}

resource "aws_sns_topic_policy" "alarms" {
  count = length(local.alarms)

  arn = aws_sns_topic.alarms[0].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Alarms"
      Effect    = "Allow"
      Action    = "sns:Publish"
      Principal = { Service = ["cloudwatch.amazonaws.com", "events.amazonaws.com"] }
      Resource  = aws_sns_topic.alarms[0].arn
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_sns_topic_subscription" "emails" {
  for_each = toset(flatten([for alarms in local.alarms : tolist(alarms.emails)]))

  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = each.key
}

# The daemon writes `Leader` once a minute. No value is the worst value: it is down, or its loop hangs.
resource "aws_cloudwatch_metric_alarm" "heartbeat" {
  count = length(local.alarms)

  alarm_name          = "${var.name}-no-heartbeat"
  alarm_description   = "No gapmend has been the leader for a quarter of an hour: it is down, or its loop hangs. Runbooks: GapmendDown, GapmendNoLeader."
  namespace           = "gapmend"
  metric_name         = "Leader"
  dimensions          = { Ledger = local.ledger }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 3
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms[0].arn]
  ok_actions          = [aws_sns_topic.alarms[0].arn]
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "scan_age" {
  for_each = toset(flatten([for alarms in local.alarms : tolist(alarms.datasets)]))

  alarm_name          = "${var.name}-${each.key}-scan-age"
  alarm_description   = "The last complete scan is too old: gaps are not noticed. Runbooks: GapmendNobodyActing, GapmendScanBlind."
  namespace           = "gapmend"
  metric_name         = "ScanAge"
  dimensions          = { Ledger = local.ledger, Dataset = each.key }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.alarms.scan_age_hours * 3600
  treat_missing_data  = "ignore" # no value: the heartbeat's alarm tells
  alarm_actions       = [aws_sns_topic.alarms[0].arn]
  ok_actions          = [aws_sns_topic.alarms[0].arn]
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "trigger_disabled" {
  for_each = toset(flatten([for alarms in local.alarms : tolist(alarms.datasets)]))

  alarm_name          = "${var.name}-${each.key}-trigger-disabled"
  alarm_description   = "The rule that fires the live run has been disabled for hours, whoever did it. Runbook: GapmendTriggerDisabledByOther."
  namespace           = "gapmend"
  metric_name         = "TriggerDisabled"
  dimensions          = { Ledger = local.ledger, Dataset = each.key }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.alarms.trigger_disabled_hours * 3600
  treat_missing_data  = "ignore"
  alarm_actions       = [aws_sns_topic.alarms[0].arn]
  ok_actions          = [aws_sns_topic.alarms[0].arn]
  tags                = var.tags
}

# Without the daemon's help: a disabled rule, or a trail that stopped, and the live run does not start.
resource "aws_cloudwatch_metric_alarm" "live_rule_silent" {
  for_each = local.live_rules

  alarm_name          = "${var.name}-${replace(each.key, "/", "-")}-silent"
  alarm_description   = "The rule that fires the live run started nothing for longer than a day. Runbook: GapmendTriggerOffBeforeDump."
  namespace           = "AWS/Events"
  metric_name         = "Invocations"
  dimensions          = length(split("/", each.key)) == 1 ? { RuleName = each.key } : { EventBusName = split("/", each.key)[0], RuleName = split("/", each.key)[1] }
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = var.alarms.live_rule_silent_hours
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms[0].arn]
  ok_actions          = [aws_sns_topic.alarms[0].arn]
  tags                = var.tags
}

resource "aws_cloudwatch_event_rule" "reported" {
  for_each = { for name, one in local.reported : name => one if var.alarms != null }

  name          = "${var.name}-${each.key}"
  description   = each.value.description
  event_pattern = jsonencode(each.value.pattern)
  tags          = var.tags
}

resource "aws_cloudwatch_event_target" "reported" {
  for_each = aws_cloudwatch_event_rule.reported

  rule = each.value.name
  arn  = aws_sns_topic.alarms[0].arn
}

output "alarm_topic_arn" {
  description = "The SNS topic of the alarms, for more subscriptions; null without `alarms`."
  value       = one(aws_sns_topic.alarms[*].arn)
}

# With a Prometheus outside: the task's address changes with each deployment, its name does not.
variable "discovery" {
  description = "Registers the task in a Cloud Map namespace of the network, so that Prometheus' dns_sd_configs (an A record, port 9464) follows its address; null where nothing scrapes from outside."
  type = object({
    namespace_id = string
    name         = optional(string, "gapmend")
  })
  default = null
}

resource "aws_service_discovery_service" "this" {
  count = var.discovery == null ? 0 : 1

  name = var.discovery.name
  tags = var.tags

  dns_config {
    namespace_id   = var.discovery.namespace_id
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "A"
      ttl  = 15
    }
  }
}
