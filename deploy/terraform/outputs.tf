output "ledger_url" {
  description = "For ledger.url of a gapmend on a person's own machine: `gapmend status` and `history` read it."
  value       = "s3://${aws_s3_bucket.ledger.id}/${var.ledger_prefix}"
}

output "task_role_arn" {
  description = "The role of the daemon."
  value       = aws_iam_role.task.arn
}

output "dead_man_role_arn" {
  description = "For trigger.dead_man.role_arn; null unless `hold` is granted."
  value       = one(aws_iam_role.dead_man[*].arn)
}

output "schedule_group" {
  description = "For trigger.dead_man.group; null unless `hold` is granted."
  value       = one(aws_scheduler_schedule_group.this[*].name)
}

output "security_group_id" {
  description = "The daemon's security group."
  value       = aws_security_group.this.id
}

output "log_group" {
  description = "The daemon's log."
  value       = aws_cloudwatch_log_group.this.name
}

output "service" {
  description = "The ECS service, for `aws ecs update-service --desired-count 0` in a hurry."
  value       = aws_ecs_service.this.name
}

output "policies" {
  description = "Every policy of deploy/iam with these names, granted or not, for reviewers."
  value       = local.policies
}
