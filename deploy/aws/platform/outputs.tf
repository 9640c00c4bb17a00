# Outputs are also parameters below /florin/<environment>/, which Kustomize, deploy.sh and
# `florin aws check` read without access to the state (DEP-098).

locals {
  outputs = {
    application_url            = module.edge.application_url
    alb_arn                    = module.edge.alb_arns["public"]
    web_acl_arn                = module.edge.web_acl_arn
    distribution_id            = module.edge.distribution_id
    acm_certificate_arn        = module.edge.acm_certificate_arn
    vpc_id                     = module.network.vpc_id
    private_subnet_ids         = join(",", module.network.private_subnet_ids)
    ecs_cluster_name           = module.ecs.cluster_name
    eks_cluster_name           = module.eks.cluster_name
    oidc_provider_arn          = module.eks.oidc_provider_arn
    efs_id                     = module.eks.file_system_id
    rds_endpoint               = module.database.rds_endpoint
    reader_endpoint            = module.database.reader_endpoint
    rds_identifier             = module.database.rds_identifier
    redis_endpoint             = module.cache.redis_endpoint
    redis_id                   = module.cache.redis_id
    kafka_arn                  = module.kafka.kafka_arn
    s3_bucket_name             = module.storage.s3_bucket_name
    kms_key_id                 = module.keys.kms_key_id
    trail_arn                  = module.audit.trail_arn
    backup_vault_arn           = module.backup.vault_arns["here"]
    budget_name                = module.cost.budget_name
    grafana_workspace_endpoint = module.monitoring_host.grafana_workspace_endpoint
    cloudwatch_dashboard_url   = module.observability.cloudwatch_dashboard_url
    container_image            = var.container_image
    bootstrap_brokers          = module.kafka.bootstrap_brokers
    internal_domain            = module.edge.internal_domain
    database_name              = var.platform_name
    subnets                    = join(",", concat(var.public_subnet_cidrs, var.private_subnet_cidrs))
    bucket_names               = jsonencode(module.storage.bucket_names)
    rotation_function_arn      = coalesce(module.secrets.rotation_function_arn, "none")
    upstreams                  = local.upstreams
    units                      = jsonencode({ for name, u in local.served : name => u.platform })
    role_arns                  = jsonencode(module.eks.service_account_role_arns)
    target_group_arns          = jsonencode({ for name, key in local.primary : name => module.edge.target_group_arns[key] if local.served[name].platform == "eks" })
  }
}

resource "aws_ssm_parameter" "output" {
  for_each = local.outputs
  name     = "/florin/${var.environment}/${each.key}"
  type     = "String"
  # A parameter cannot be empty.
  value = coalesce(each.value, "none")
  tags  = { Name = "/florin/${var.environment}/${each.key}", DEP = "098" }
}

output "application_url" {
  description = "Address of the API."
  value       = module.edge.application_url
}

output "cloudwatch_dashboard_url" {
  description = "The platform's dashboard."
  value       = module.observability.cloudwatch_dashboard_url
}

output "grafana_workspace_endpoint" {
  description = "Grafana."
  value       = module.monitoring_host.grafana_workspace_endpoint
}

output "ecs_cluster_name" {
  description = "ECS cluster."
  value       = module.ecs.cluster_name
}

output "service_names" {
  description = "ECS services by unit."
  value       = module.ecs.service_names
}

output "eks_cluster_name" {
  description = "EKS cluster."
  value       = module.eks.cluster_name
}

output "rds_endpoint" {
  description = "Writer of the database."
  value       = module.database.rds_endpoint
}

output "reader_endpoint" {
  description = "Readers of the database."
  value       = module.database.reader_endpoint
}

output "rds_identifier" {
  description = "Identifier of the database."
  value       = module.database.rds_identifier
}

output "global_cluster_identifier" {
  description = "Global cluster for the recovery region; null without one."
  value       = module.database.global_cluster_identifier
}

output "redis_endpoint" {
  description = "Primary of the cache."
  value       = module.cache.redis_endpoint
}

output "bootstrap_brokers" {
  description = "Kafka brokers."
  value       = module.kafka.bootstrap_brokers
}

output "s3_bucket_name" {
  description = "Bucket of blobs."
  value       = module.storage.s3_bucket_name
}

output "kms_key_id" {
  description = "Key that unseals Vault."
  value       = module.keys.kms_key_id
}

output "sns_topic_arns" {
  description = "Topics."
  value       = module.observability.sns_topic_arns
}

output "secret_arns" {
  description = "Secrets by <unit>/<what>, for the recovery region, which has their replicas; never values."
  value       = module.secrets.secret_arns
}

output "unit_security_groups" {
  description = "Security groups of units, for fencing in a failover."
  value       = { for name, _ in local.served : name => module.network.security_group_ids["unit-${name}"] }
}

output "pipeline_name" {
  description = "Pipeline; null without a connection."
  value       = module.pipeline.pipeline_name
}

output "issuer_url" {
  description = "OIDC issuer; empty: Florin's own users."
  value       = module.identity.issuer_url
}

output "units" {
  description = "Units: where they run, their size and counts, settings and names of secrets; never values."
  value = { for name, u in local.units : name => {
    platform = u.platform
    size     = u.size
    settings = lookup(local.unit_settings, name, {})
    secrets  = keys(lookup(local.unit_secrets, name, {}))
  } }
}
