# What stands behind a hold: a switch that enables the rule again although the daemon is dead.

locals {
  # The daemon arms a switch before each hold; the nightly release needs the same role.
  holds = contains(var.grants, "hold") || var.nightly_release != null

  rules = { for name, pipeline in local.pipelines : name => pipeline.rule if pipeline.rule != null }
}

resource "aws_scheduler_schedule_group" "this" {
  count = local.holds ? 1 : 0

  name = var.name
  tags = var.tags
}

resource "aws_iam_role" "dead_man" {
  count = local.holds ? 1 : 0

  name                 = "${var.name}-dead-man"
  description          = "Enables the one rule again when gapmend cannot"
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      Condition = { StringEquals = {
        "aws:SourceAccount" = local.account
        "aws:SourceArn"     = aws_scheduler_schedule_group.this[0].arn
      } }
    }]
  })
}

resource "aws_iam_role_policy" "dead_man" {
  count = local.holds ? 1 : 0

  name = "enable-the-rule"
  role = aws_iam_role.dead_man[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "EnableTheRule"
      Effect   = "Allow"
      Action   = "events:EnableRule"
      Resource = flatten([for pipeline in module.policies : [for one in pipeline.statements["dead-man"] : one.Resource]])
    }]
  })
}

resource "aws_scheduler_schedule" "nightly_release" {
  #checkov:skip=CKV_AWS_297:Its input is the name of a rule
  for_each = { for name, rule in local.rules : name => rule if var.nightly_release != null }

  # Not gapmend-…: the daemon may delete its own switches, and must not be able to delete this.
  name                         = each.key == local.first ? "nightly-release" : "nightly-release-${each.key}"
  group_name                   = aws_scheduler_schedule_group.this[0].name
  description                  = "Enables the live run's rule every night, whoever disabled it"
  schedule_expression          = var.nightly_release
  schedule_expression_timezone = "UTC"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = "arn:aws:scheduler:::aws-sdk:eventbridge:enableRule"
    role_arn = aws_iam_role.dead_man[0].arn
    input = jsonencode({
      Name         = element(split("/", each.value), length(split("/", each.value)) - 1)
      EventBusName = length(split("/", each.value)) > 1 ? split("/", each.value)[0] : "default"
    })

    retry_policy {
      maximum_retry_attempts       = 185
      maximum_event_age_in_seconds = 86400
    }
  }
}
