output "rds_endpoint" {
  description = "Host of the writer."
  value       = local.aurora ? aws_rds_cluster.this[0].endpoint : aws_db_instance.this[0].address
}

output "reader_endpoint" {
  description = "Host of the readers; the instance itself with engine_mode rds."
  value       = local.aurora ? aws_rds_cluster.this[0].reader_endpoint : aws_db_instance.this[0].address
}

output "rds_identifier" {
  description = "Identifier of the cluster or instance."
  value       = local.aurora ? aws_rds_cluster.this[0].cluster_identifier : aws_db_instance.this[0].identifier
}

output "cluster_arn" {
  description = "ARN of the cluster or instance."
  value       = local.aurora ? aws_rds_cluster.this[0].arn : aws_db_instance.this[0].arn
}

output "master_secret_arn" {
  description = "Secret of the master user, which RDS makes and rotates; null in a secondary."
  value = try(
    local.aurora ? aws_rds_cluster.this[0].master_user_secret[0].secret_arn : aws_db_instance.this[0].master_user_secret[0].secret_arn,
    null,
  )
}

output "global_cluster_identifier" {
  description = "Global cluster for the recovery region to join; null without one."
  value       = one(aws_rds_global_cluster.this[*].global_cluster_identifier)
}
