# One task, and never two: the old one ends before the new one begins. Two would do no harm, for
# the ledger lets one act, but the second would only stand by.

locals {
  # What this module decides, whatever the text of the configuration says.
  environment = {
    GAPMEND_CONFIG_TEXT          = var.config
    GAPMEND_CONFIG__AWS__REGION  = local.region
    GAPMEND_CONFIG__LEDGER__URL  = "s3://${aws_s3_bucket.ledger.id}/${var.ledger_prefix}"
    GAPMEND_CONFIG__HTTP__LISTEN = "0.0.0.0:9464"
    GAPMEND_LOG                  = var.log_level
    GAPMEND_LOG_FORMAT           = var.alarms == null ? "json" : "emf"
  }

  log = {
    logDriver = "awslogs"
    options = {
      awslogs-group         = aws_cloudwatch_log_group.this.name
      awslogs-region        = local.region
      awslogs-stream-prefix = var.name
    }
  }

  daemon = {
    name                   = "gapmend"
    image                  = var.image
    essential              = true
    command                = ["run"]
    user                   = "65532:65532"
    readonlyRootFilesystem = true
    # Fargate waits at most 120 seconds; the daemon ends within eight.
    stopTimeout      = 30
    linuxParameters  = { initProcessEnabled = false, capabilities = { drop = ["ALL"] } }
    environment      = [for name, value in local.environment : { name = name, value = value }]
    portMappings     = [{ name = "metrics", containerPort = 9464, protocol = "tcp" }]
    logConfiguration = local.log
    healthCheck = {
      command     = ["CMD", "/usr/bin/gapmend", "healthcheck"]
      interval    = 30
      timeout     = 5
      retries     = 3
      startPeriod = 120
    }
  }

  collector = {
    name                   = "collector"
    image                  = try(var.remote_write.image, "")
    essential              = false
    restartPolicy          = { enabled = true, restartAttemptPeriod = 60 }
    readonlyRootFilesystem = true
    logConfiguration       = local.log
    environment            = [{ name = "AOT_CONFIG_CONTENT", value = yamlencode(local.collecting) }]
  }

  collecting = {
    extensions = { sigv4auth = { region = local.region, service = "aps" } }
    receivers = { prometheus = { config = { scrape_configs = [{
      job_name        = try(var.remote_write.job, "gapmend")
      scrape_interval = "30s"
      static_configs  = [{ targets = ["127.0.0.1:9464"], labels = try(var.remote_write.labels, {}) }]
    }] } } }
    exporters = { prometheusremotewrite = {
      endpoint = try(var.remote_write.url, "")
      auth     = { authenticator = "sigv4auth" }
    } }
    service = {
      extensions = ["sigv4auth"]
      pipelines  = { metrics = { receivers = ["prometheus"], exporters = ["prometheusremotewrite"] } }
    }
  }
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:Encrypted with the key that kms_key_arn names; the log holds dates, names and ARNs, and no secrets
  name              = "/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

resource "aws_ecs_task_definition" "this" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  task_role_arn            = aws_iam_role.task.arn
  execution_role_arn       = aws_iam_role.execution.arn
  tags                     = var.tags

  container_definitions = jsonencode(
    [for container in [local.daemon, local.collector] : container if container.image != ""]
  )

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }
}

resource "aws_ecs_service" "this" {
  name                   = var.name
  cluster                = var.cluster_arn
  task_definition        = aws_ecs_task_definition.this.arn
  launch_type            = "FARGATE"
  desired_count          = var.running ? 1 : 0
  enable_execute_command = false
  propagate_tags         = "SERVICE"
  tags                   = var.tags

  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100

  # A daemon that cannot start leaves the last good revision in place.
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.this.id]
    assign_public_ip = false
  }

  dynamic "service_registries" {
    for_each = aws_service_discovery_service.this

    content {
      registry_arn = service_registries.value.arn
    }
  }

  # Without its grants the first start would only see AccessDenied.
  depends_on = [aws_iam_role_policy.task, aws_s3_bucket_policy.ledger]
}

resource "aws_security_group" "this" {
  name        = var.name
  description = "The gapmend daemon: HTTPS out, metrics in"
  vpc_id      = var.vpc_id
  tags        = var.tags
}

resource "aws_vpc_security_group_egress_rule" "https" {
  for_each = toset(var.egress_cidr_blocks)

  security_group_id = aws_security_group.this.id
  description       = "The endpoints of AWS"
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "metrics" {
  for_each = var.scraped_by

  security_group_id            = aws_security_group.this.id
  description                  = "Metrics and status page for ${each.key}, read-only"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 9464
  to_port                      = 9464
  tags                         = var.tags
}
