output "redis_endpoint" {
  description = "Host of the primary."
  value       = aws_elasticache_replication_group.this.primary_endpoint_address
}

output "redis_id" {
  description = "Identifier of the replication group."
  value       = aws_elasticache_replication_group.this.replication_group_id
}
