# gapmend beside the Liberator pipeline, observing: it changes nothing but its own ledger, and
# IAM would not let it. docs/going-live.md says when to grant more.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0, < 7.0"
    }
  }
}

provider "aws" {
  region = "eu-west-2"
}

variable "image" {
  description = "The image, with its version."
  type        = string
}

variable "vpc_id" {
  description = "The data platform's network."
  type        = string
}

variable "subnet_ids" {
  description = "Its private subnets."
  type        = list(string)
}

variable "landing_keys" {
  description = "The ARN of the KMS key that encrypts the landing bucket: without it no dump can be read, and every date's dump is called bad. `aws s3api get-bucket-encryption --bucket dataplatform-prod-liberator-data-storage` names it; [] only if that names none."
  type        = list(string)
}

variable "grants" {
  description = "What it may do beside observing: heal, repair, hold, upload, purge."
  type        = set(string)
  default     = []
}

data "aws_caller_identity" "this" {}

locals {
  account = data.aws_caller_identity.this.account_id
  names   = jsondecode(file("${path.module}/../../../iam/liberator.json"))
}

module "gapmend" {
  source = "../.."

  image      = var.image
  vpc_id     = var.vpc_id
  subnet_ids = var.subnet_ids
  grants     = var.grants

  # The configuration of the repository, for this account. Put your own file here.
  config = replace(file("${path.module}/../../../../config/liberator.toml"), "111122223333", local.account)

  cluster_arn   = "arn:aws:ecs:eu-west-2:${local.account}:cluster/${local.names.cluster}"
  ledger_bucket = "dataplatform-prod-gapmend-ledger"
  pipeline      = merge(local.names, { landing_keys = var.landing_keys })
}

output "ledger_url" {
  description = "Where the ledger is."
  value       = module.gapmend.ledger_url
}

output "policies" {
  description = "What was, or could be, granted."
  value       = module.gapmend.policies
}
