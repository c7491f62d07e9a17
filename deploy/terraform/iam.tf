# The policies are those of deploy/iam, which tests hold against what gapmend really calls.
# Nothing is granted that is not written there, but for the collector at the end.

data "aws_caller_identity" "this" {}

data "aws_region" "this" {}

locals {
  account = data.aws_caller_identity.this.account_id
  region  = data.aws_region.this.region

  blocks = setunion(["observe", "ledger"], var.grants)

  # Every name that has one value.
  names = merge(
    { for name, value in var.pipeline : name => value if !contains(keys(local.lists), name) },
    {
      account        = local.account
      region         = local.region
      ledger_bucket  = var.ledger_bucket
      ledger_prefix  = var.ledger_prefix
      schedule_group = var.name
      dead_man_role  = "${var.name}-dead-man"
    },
  )

  # Those that have several, or none: a text that holds one stands once for each of its values.
  lists = {
    raw_databases = var.pipeline.raw_databases
    raw_tables    = var.pipeline.raw_tables
    raw_prefixes  = var.pipeline.raw_prefixes
    landing_keys  = var.pipeline.landing_keys
    ledger_keys   = var.kms_key_arn == null ? [] : [var.kms_key_arn]
  }

  templates = toset(["observe", "ledger", "heal", "repair", "hold", "upload", "ledger-bucket", "dead-man"])

  # First the single names; what holds a list keeps its place.
  filled = {
    for block in local.templates : block => jsondecode(templatefile(
      "${path.module}/../iam/${block}.json",
      merge(local.names, { for list in keys(local.lists) : list => "<${list}>" }),
    )).Statement
  }

  # Then the lists, and what is left without a resource goes.
  policies = {
    for block, statements in local.filled : block => jsonencode({
      Version = "2012-10-17"
      Statement = [
        for statement in statements : merge(
          statement,
          { Resource = local.spread[block][statement.Sid].resources },
          try({ Condition = local.spread[block][statement.Sid].conditions }, {}),
        ) if length(local.spread[block][statement.Sid].resources) > 0
      ]
    })
  }

  spread = {
    for block, statements in local.filled : block => {
      for statement in statements : statement.Sid => merge(
        { resources = flatten([for text in flatten([statement.Resource]) : local.values[text]]) },
        try({
          conditions = {
            for operator, asked in statement.Condition : operator => {
              for key, texts in asked : key => flatten([for text in flatten([texts]) : local.values[text]])
            }
          }
        }, {}),
      )
    }
  }

  # By text: what it stands for.
  values = {
    for text in distinct(flatten([
      for statements in values(local.filled) : [
        for statement in statements : [
          statement.Resource,
          try([for asked in values(statement.Condition) : values(asked)], []),
        ]
      ]
      ])) : text => try(
      flatten([
        for value in local.lists[regex("<([a-z_]+)>", text)[0]] :
        replace(text, regex("<[a-z_]+>", text), value)
      ]),
      [text],
    )
  }
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
