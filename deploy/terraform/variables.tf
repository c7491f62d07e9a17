variable "name" {
  description = "What everything here is called."
  type        = string
  default     = "gapmend"
}

variable "image" {
  description = "The image that deploy/Dockerfile builds, by digest or by a tag that never moves."
  type        = string

  validation {
    condition     = !endswith(var.image, ":latest") && can(regex("[:@]", var.image))
    error_message = "Name a version or a digest: a tag that moves restarts the daemon with other code."
  }
}

variable "config" {
  description = "The text of gapmend.toml. The ledger's address, the region and the HTTP address are set by this module."
  type        = string
}

variable "grants" {
  description = "The blocks of deploy/iam that the daemon is granted beside `observe` and `ledger`. Begin with none: IAM then forbids what mode observe does not do."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.grants, ["heal", "repair", "hold", "upload", "purge"])) == 0
    error_message = "The blocks are heal, repair, hold, upload and purge."
  }

  validation {
    condition     = !contains(var.grants, "upload") || contains(var.grants, "hold")
    error_message = "upload writes into the landing bucket, which fires the live run: grant hold with it."
  }

  validation {
    condition = !contains(var.grants, "heal") || contains(var.grants, "repair") || alltrue(
      [for pipeline in concat([var.pipeline], values(var.more_pipelines)) : pipeline.workflow == null]
    )
    error_message = "A date whose workflow start is lost on the way could not be published: grant repair with heal."
  }

  validation {
    condition = !contains(var.grants, "hold") || anytrue(
      [for pipeline in concat([var.pipeline], values(var.more_pipelines)) : pipeline.rule != null]
    )
    error_message = "hold is about the rule that fires the live run, and no pipeline names one."
  }
}

variable "running" {
  description = "Whether the daemon runs. Set it to false to turn gapmend off; what runs in AWS goes on, and nothing is lost."
  type        = bool
  default     = true
}

variable "pipeline" {
  description = "What the pipeline's parts are called: deploy/iam/liberator.json has the Liberator's, without the names that this module makes itself. What a feed does not have is left out."
  type = object({
    cluster         = string # the ECS cluster of the load task
    task_definition = string # its family
    task_role       = string # its two roles, which RunTask hands over
    execution_role  = string
    task_log_group  = optional(string) # its log, whose end explains a failed run
    landing_bucket  = string           # where the dumps land
    landing_prefix  = string           # with a trailing slash
    dump_names      = string           # a pattern
    landing_keys    = list(string)     # the KMS keys of that bucket; [] only if it has none of its own
    export_bucket   = optional(string) # the snapshot exports
    # Patterns of export ids, as export.snapshot_id and export.live_id make them.
    export_prefixes = optional(list(string), ["sql-to-parquet-*"])
    copy_bucket     = optional(string) # where the export's files lie before they are published
    # Above the tables' folders, with trailing slashes.
    copy_prefixes = optional(list(string), [])
    raw_bucket    = string
    raw_databases = list(string)     # every source's Glue database
    raw_tables    = list(string)     # database/pattern
    raw_prefixes  = list(string)     # in the raw bucket, with trailing slashes
    workflow      = optional(string) # the backdated workflow
    live_workflow = optional(string)
    rule          = optional(string) # the rule that fires the live run; BUS/RULE on another bus than the default one
  })
}

variable "more_pipelines" {
  description = "Other datasets of the same daemon, by their names: what their pipelines' parts are called."
  type = map(object({
    cluster         = string # the ECS cluster of the load task
    task_definition = string # its family
    task_role       = string # its two roles, which RunTask hands over
    execution_role  = string
    task_log_group  = optional(string) # its log, whose end explains a failed run
    landing_bucket  = string           # where the dumps land
    landing_prefix  = string           # with a trailing slash
    dump_names      = string           # a pattern
    landing_keys    = list(string)     # the KMS keys of that bucket; [] only if it has none of its own
    export_bucket   = optional(string) # the snapshot exports
    # Patterns of export ids, as export.snapshot_id and export.live_id make them.
    export_prefixes = optional(list(string), ["sql-to-parquet-*"])
    copy_bucket     = optional(string) # where the export's files lie before they are published
    # Above the tables' folders, with trailing slashes.
    copy_prefixes = optional(list(string), [])
    raw_bucket    = string
    raw_databases = list(string)     # every source's Glue database
    raw_tables    = list(string)     # database/pattern
    raw_prefixes  = list(string)     # in the raw bucket, with trailing slashes
    workflow      = optional(string) # the backdated workflow
    live_workflow = optional(string)
    rule          = optional(string) # the rule that fires the live run; BUS/RULE on another bus than the default one
  }))
  default = {}

  validation {
    condition     = alltrue([for name in keys(var.more_pipelines) : can(regex("^[A-Za-z0-9_-]+$", name)) && name != "pipeline"])
    error_message = "A dataset's name has letters, digits, - and _, and is not \"pipeline\"."
  }
}

variable "cluster_arn" {
  description = "The ECS cluster in which gapmend itself runs; the one of the load task will do."
  type        = string
}

variable "vpc_id" {
  description = "The network of the daemon."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets from which AWS's endpoints can be reached, by a NAT gateway or by interface endpoints."
  type        = list(string)
}

variable "egress_cidr_blocks" {
  description = "Where the daemon may open connections to, on port 443 only. Narrow it to the endpoints' network where there are interface endpoints for all services."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "scraped_by" {
  description = "Security groups whose members may read port 9464: Prometheus, or a load balancer for the status page. Nothing can be changed there."
  type        = map(string)
  default     = {}
}

variable "remote_write" {
  description = "Sends the metrics to Amazon Managed Prometheus by an ADOT collector beside the daemon; null where something scrapes port 9464."
  type = object({
    workspace_arn = string
    url           = string # …/api/v1/remote_write
    image         = optional(string, "public.ecr.aws/aws-observability/aws-otel-collector:v0.43.3")
    job           = optional(string, "gapmend")
    labels        = optional(map(string), {}) # such as environment: what the alerts tell gapmends apart by
  })
  default = null
}

variable "ledger_bucket" {
  description = "The name of the ledger's bucket, which this module makes. It must not be a landing bucket: any write there fires the live run."
  type        = string

  validation {
    condition = alltrue([
      for pipeline in concat([var.pipeline], values(var.more_pipelines)) : var.ledger_bucket != pipeline.landing_bucket
    ])
    error_message = "The ledger needs a bucket of its own: any write into the landing bucket fires the live run."
  }
}

variable "ledger_prefix" {
  description = "The folder of the ledger in its bucket."
  type        = string
  default     = "gapmend"
}

variable "ledger_lock_days" {
  description = "Object Lock for the ledger: for so many days nobody, not even the account's root, deletes an entry or its versions (compliance mode). null for none. It can only be chosen when the bucket is made."
  type        = number
  default     = null

  validation {
    condition     = var.ledger_lock_days == null || try(var.ledger_lock_days >= 1, false)
    error_message = "ledger_lock_days is a whole number of days, or null."
  }
}

variable "kms_key_arn" {
  description = "A KMS key for the ledger and the log group; null for S3's own encryption and CloudWatch's."
  type        = string
  default     = null
}

variable "log_retention_days" {
  description = "How long the daemon's log is kept. The ledger, which says why everything was done, is kept for ever."
  type        = number
  default     = 365
}

variable "nightly_release" {
  description = "When the rule is enabled every night whoever disabled it, as a cron expression of EventBridge Scheduler in UTC, e.g. cron(0 18 * * ? *); null for never. It covers a lost ledger and a daemon that never comes back, but it also undoes the hand of an operator."
  type        = string
  default     = null
}

variable "cpu" {
  description = "CPU units of the task."
  type        = number
  default     = 256
}

variable "memory" {
  description = "Memory of the task, in MiB."
  type        = number
  default     = 512
}

variable "cpu_architecture" {
  description = "X86_64 or ARM64, as the image was built."
  type        = string
  default     = "X86_64"
}

variable "log_level" {
  description = "What the daemon logs, as its --log option takes it."
  type        = string
  default     = "warn,gapmend=info"
}

variable "permissions_boundary" {
  description = "The ARN of a boundary for the roles that are made here."
  type        = string
  default     = null
}

variable "tags" {
  description = "For everything that can be tagged."
  type        = map(string)
  default     = {}
}
