# The policies are those of deploy/iam, which tests hold against what gapmend really calls.
# Nothing is granted that is not written there, but for the collector at the end.

data "aws_caller_identity" "this" {}

data "aws_region" "this" {}

locals {
  account = data.aws_caller_identity.this.account_id
  # The one attribute with the region's name that versions 5 and 6 of the provider both have.
  region = data.aws_region.this.id

  blocks    = setunion(["observe", "ledger"], var.grants)
  pipelines = merge({ (local.first) = var.pipeline }, var.more_pipelines)
  first     = "pipeline"

  # What this module names itself.
  own_names = {
    account        = local.account
    region         = local.region
    ledger_bucket  = var.ledger_bucket
    ledger_prefix  = var.ledger_prefix
    ledger_keys    = var.kms_key_arn
    ledger_role    = var.name
    schedule_group = var.name
    dead_man_role  = "${var.name}-dead-man"
  }

  policies = {
    for block, statements in module.policies[local.first].statements : block => jsonencode({
      Version   = "2012-10-17"
      Statement = statements
    })
  }

  # The other pipelines' grants, two policies for each: a role holds ten, of 6,144 characters each.
  more_policies = merge([
    for name in keys(var.more_pipelines) : {
      "${name}-observe" = module.policies[name].statements["observe"]
      "${name}-grants"  = flatten([for block in var.grants : module.policies[name].statements[block]])
    }
  ]...)
}

module "policies" {
  source   = "./policies"
  for_each = local.pipelines

  names = merge(each.value, local.own_names)
}

resource "aws_iam_role" "task" {
  name                 = var.name
  description          = "What the gapmend daemon may do"
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnLike      = { "aws:SourceArn" = "arn:aws:ecs:${local.region}:${local.account}:*" }
      }
    }]
  })
}

resource "aws_iam_role_policy" "task" {
  for_each = local.blocks

  name   = each.key
  role   = aws_iam_role.task.id
  policy = local.policies[each.key]
}

resource "aws_iam_policy" "more" {
  for_each = { for name, statements in local.more_policies : name => statements if length(statements) > 0 }

  name        = "${var.name}-${each.key}"
  description = "What the gapmend daemon may do for one more pipeline"
  policy      = jsonencode({ Version = "2012-10-17", Statement = each.value })
  tags        = var.tags
}

resource "aws_iam_role_policy_attachment" "more" {
  for_each = aws_iam_policy.more

  role       = aws_iam_role.task.name
  policy_arn = each.value.arn
}

# Pulls the image and writes the log; the daemon itself never has it.
resource "aws_iam_role" "execution" {
  name                 = "${var.name}-execution"
  description          = "Starts the gapmend task: pulls its image, writes its log"
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  assume_role_policy = aws_iam_role.task.assume_role_policy
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

resource "aws_iam_role_policy" "remote_write" {
  count = var.remote_write == null ? 0 : 1

  name = "remote-write"
  role = aws_iam_role.task.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "RemoteWrite"
      Effect   = "Allow"
      Action   = "aps:RemoteWrite"
      Resource = var.remote_write.workspace_arn
    }]
  })
}
