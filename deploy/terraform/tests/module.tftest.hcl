# `check/check.sh` runs these, against a provider that knows the schema and calls nobody.

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

run "observes_and_nothing_else" {
  command = plan

  assert {
    condition     = toset(keys(aws_iam_role_policy.task)) == toset(["ledger", "observe"])
    error_message = "Without grants the role has observe and ledger."
  }

  assert {
    condition = (
      aws_ecs_service.this.desired_count == 1
      && aws_ecs_service.this.deployment_minimum_healthy_percent == 0
      && aws_ecs_service.this.deployment_maximum_percent == 100
      && !aws_ecs_service.this.enable_execute_command
    )
    error_message = "One task, the old one ended before the new one begins, and nobody enters it."
  }

  assert {
    condition     = length(aws_scheduler_schedule_group.this) == 0 && length(aws_scheduler_schedule.nightly_release) == 0
    error_message = "Who does not hold needs no dead man, and the nightly release is asked for by name."
  }

  assert {
    condition     = aws_s3_bucket_versioning.ledger.versioning_configuration[0].status == "Enabled"
    error_message = "The ledger is versioned."
  }
}

# The module and deploy/iam/render.py make the same policies; the tests of the repository ask them.
run "renders_as_render_py_does" {
  command = plan

  assert {
    condition = alltrue([
      for block, policy in output.policies :
      jsondecode(policy) == jsondecode(file("expected/${block}.json"))
    ])
    error_message = "deploy/iam/render.py and the module disagree."
  }
}

run "holds_with_a_dead_man" {
  command = plan

  variables {
    grants          = ["heal", "repair", "hold"]
    nightly_release = "cron(0 18 * * ? *)"
  }

  assert {
    condition     = aws_iam_role.dead_man[0].name == "gapmend-dead-man" && aws_scheduler_schedule_group.this[0].name == "gapmend"
    error_message = "The names are those of config/liberator.toml."
  }

  assert {
    condition     = !startswith(aws_scheduler_schedule.nightly_release["pipeline"].name, "gapmend-")
    error_message = "The daemon may delete gapmend-*, so the nightly release is not called so."
  }

  assert {
    condition     = jsondecode(aws_scheduler_schedule.nightly_release["pipeline"].target[0].input).Name == "liberator-to-rds-snapshot-event"
    error_message = "It enables the one rule."
  }
}

run "is_turned_off" {
  command = plan

  variables {
    running = false
  }

  assert {
    condition     = aws_ecs_service.this.desired_count == 0
    error_message = "running = false stops the daemon."
  }
}

run "refuses_uploads_without_holds" {
  command = plan

  variables {
    grants = ["upload"]
  }

  expect_failures = [var.grants]
}

run "refuses_a_ledger_in_the_landing_bucket" {
  command = plan

  variables {
    ledger_bucket = "dataplatform-prod-liberator-data-storage"
  }

  expect_failures = [var.ledger_bucket]
}

run "refuses_an_image_that_moves" {
  command = plan

  variables {
    image = "registry.example/gapmend:latest"
  }

  expect_failures = [var.image]
}

run "refuses_to_heal_without_what_a_lost_start_needs" {
  command = plan

  variables {
    grants = ["heal"]
  }

  expect_failures = [var.grants]
}

# A feed with nothing but dumps, a task and a raw zone.
run "grants_nothing_of_what_a_feed_does_not_have" {
  command = plan

  variables {
    grants = ["heal"]
    pipeline = {
      cluster         = "workers"
      task_definition = "fines-load"
      task_role       = "fines-load-task"
      execution_role  = "fines-load-execution"
      landing_bucket  = "fines-landing"
      landing_prefix  = "fines/"
      dump_names      = "fines_*"
      landing_keys    = []
      raw_bucket      = "raw-zone"
      raw_databases   = ["fines-raw-zone"]
      raw_tables      = ["fines-raw-zone/*"]
      raw_prefixes    = ["fines/"]
    }
  }

  assert {
    condition = alltrue([
      for policy in aws_iam_role_policy.task : !strcontains(policy.policy, "$${") && !strcontains(policy.policy, "null")
    ])
    error_message = "A name without a value leaves no trace."
  }

  assert {
    condition = length(setintersection(
      toset(flatten([for policy in aws_iam_role_policy.task : [for one in jsondecode(policy.policy).Statement : one.Sid]])),
      ["ExportList", "WorkflowRead", "RuleRead", "PublishRead", "DumpDecrypt", "TaskLog"],
    )) == 0
    error_message = "Neither export nor workflow nor rule nor key is named, so nothing of them is granted."
  }
}

run "grants_each_dataset_its_own" {
  command = plan

  variables {
    grants          = ["heal", "repair", "hold"]
    nightly_release = "cron(0 18 * * ? *)"
    more_pipelines = { fines = merge(jsondecode(file("../iam/liberator.json")), {
      raw_databases = ["fines-raw-zone"], raw_tables = ["fines-raw-zone/*"], rule = "fines-landed", landing_bucket = "fines-landing"
    }) }
  }

  assert {
    condition     = toset(keys(aws_iam_policy.more)) == toset(["fines-observe", "fines-grants"])
    error_message = "A further dataset has two policies."
  }

  assert {
    condition = (
      strcontains(aws_iam_policy.more["fines-observe"].policy, "database/fines-raw-zone")
      && !strcontains(aws_iam_policy.more["fines-observe"].policy, "dataplatform-prod-liberator-raw-zone")
      && alltrue([for policy in aws_iam_policy.more : length(policy.policy) <= 6144])
    )
    error_message = "They are about that dataset, and fit into a managed policy."
  }

  assert {
    condition = toset([for one in jsondecode(aws_iam_role_policy.dead_man[0].policy).Statement : one.Resource][0]) == toset([
      "arn:aws:events:eu-west-2:111122223333:rule/fines-landed",
      "arn:aws:events:eu-west-2:111122223333:rule/liberator-to-rds-snapshot-event",
    ])
    error_message = "The dead man's role enables both rules."
  }

  assert {
    condition     = jsondecode(aws_scheduler_schedule.nightly_release["fines"].target[0].input).Name == "fines-landed"
    error_message = "Each rule has its own nightly release."
  }
}

run "locks_the_ledger_when_asked" {
  command = plan

  variables {
    ledger_lock_days = 400
  }

  assert {
    condition = (
      aws_s3_bucket.ledger.object_lock_enabled
      && aws_s3_bucket_object_lock_configuration.ledger[0].rule[0].default_retention[0].days == 400
    )
    error_message = "Object Lock is on, with the days that were asked for."
  }
}

# A role's inline policies may have 10,240 characters together.
run "fits_into_the_role" {
  command = plan

  variables {
    grants = ["heal", "repair", "hold", "upload"]
  }

  assert {
    condition     = sum([for policy in aws_iam_role_policy.task : length(policy.policy)]) <= 10240
    error_message = "With every grant the role's inline policies are longer than IAM takes."
  }
}

run "keeps_the_daemon_from_the_ledgers_rules" {
  command = plan

  assert {
    condition = anytrue([
      for statement in jsondecode(output.policies["ledger-bucket"]).Statement :
      statement.Effect == "Deny" && contains(statement.Action, "s3:PutBucket*") && contains(statement.Action, "s3:PutLifecycleConfiguration")
      && statement.Condition.ArnEquals["aws:PrincipalArn"] == ["arn:aws:iam::111122223333:role/gapmend"]
      if can(statement.Condition.ArnEquals)
    ])
    error_message = "The daemon's role may change neither the bucket's policy nor its versioning nor its lifecycle."
  }
}
