output "cluster_name" {
  description = "The cluster."
  value       = aws_ecs_cluster.this.name
}

output "cluster_arn" {
  description = "ARN of the cluster."
  value       = aws_ecs_cluster.this.arn
}

output "service_names" {
  description = "Services by unit."
  value       = { for unit, service in aws_ecs_service.unit : unit => service.name }
}

output "task_role_arns" {
  description = "Task roles by unit."
  value       = { for unit, role in aws_iam_role.task : unit => role.arn }
}

output "role_arns" {
  description = "All roles that a release may pass to tasks."
  value       = concat([for role in aws_iam_role.task : role.arn], [for role in aws_iam_role.execution : role.arn])
}
