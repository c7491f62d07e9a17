# `check/check.sh` runs these, against a provider that knows the schema and calls nobody.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_region" {
    defaults = { region = "eu-west-2" }
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
    grants          = ["heal", "hold"]
    nightly_release = "cron(0 18 * * ? *)"
  }

  assert {
    condition     = aws_iam_role.dead_man[0].name == "gapmend-dead-man" && aws_scheduler_schedule_group.this[0].name == "gapmend"
    error_message = "The names are those of config/liberator.toml."
  }

  assert {
    condition     = !startswith(aws_scheduler_schedule.nightly_release[0].name, "gapmend-")
    error_message = "The daemon may delete gapmend-*, so the nightly release is not called so."
  }

  assert {
    condition     = jsondecode(aws_scheduler_schedule.nightly_release[0].target[0].input).Name == "liberator-to-rds-snapshot-event"
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
