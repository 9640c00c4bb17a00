# The outputs of ../../platform under the names that the guides use.

output "application_url" {
  description = "Address of the API."
  value       = module.platform.application_url
}

output "cloudwatch_dashboard_url" {
  description = "The platform's dashboard."
  value       = module.platform.cloudwatch_dashboard_url
}

output "grafana_workspace_endpoint" {
  description = "Grafana."
  value       = module.platform.grafana_workspace_endpoint
}

output "ecs_cluster_name" {
  description = "ECS cluster."
  value       = module.platform.ecs_cluster_name
}

output "service_names" {
  description = "ECS services by unit."
  value       = module.platform.service_names
}

output "eks_cluster_name" {
  description = "EKS cluster."
  value       = module.platform.eks_cluster_name
}

output "rds_endpoint" {
  description = "Writer of the database."
  value       = module.platform.rds_endpoint
}

output "reader_endpoint" {
  description = "Readers of the database."
  value       = module.platform.reader_endpoint
}

output "rds_identifier" {
  description = "Identifier of the database."
  value       = module.platform.rds_identifier
}

output "global_cluster_identifier" {
  description = "Global cluster for the recovery region; null without one."
  value       = module.platform.global_cluster_identifier
}

output "redis_endpoint" {
  description = "Primary of the cache."
  value       = module.platform.redis_endpoint
}

output "bootstrap_brokers" {
  description = "Kafka brokers."
  value       = module.platform.bootstrap_brokers
}

output "s3_bucket_name" {
  description = "Bucket of blobs."
  value       = module.platform.s3_bucket_name
}

output "kms_key_id" {
  description = "Key that unseals Vault."
  value       = module.platform.kms_key_id
}

output "sns_topic_arns" {
  description = "Topics."
  value       = module.platform.sns_topic_arns
}

output "unit_security_groups" {
  description = "Security groups of units, for fencing in a failover."
  value       = module.platform.unit_security_groups
}

output "pipeline_name" {
  description = "Pipeline; null without a connection."
  value       = module.platform.pipeline_name
}

output "issuer_url" {
  description = "OIDC issuer; empty: Florin's own users."
  value       = module.platform.issuer_url
}

output "secret_arns" {
  description = "Secrets by <unit>/<what>, for the recovery region, which has their replicas; never values."
  value       = module.platform.secret_arns
}

output "units" {
  description = "Units: where they run, their size and counts, settings and names of secrets; never values."
  value       = module.platform.units
}
