# Valkey (or Redis): one shard over several zones, TLS only, a user per unit.

locals {
  version = var.engine == "valkey" ? "8.0" : "7.1"
  family  = var.engine == "valkey" ? "valkey8" : "redis7"
  # Limits and news of revocations are one set of keys for all units: a pattern for each room would
  # tear them apart. INFO is what `florin doctor` and the metrics read.
  users = { for unit in var.units : unit => "off ~florin:* &florin:* +@all -@dangerous -@admin +info" }
}

resource "aws_elasticache_subnet_group" "this" {
  name        = "${var.name}-cache"
  description = "database subnets of ${var.name}"
  subnet_ids  = var.subnet_ids
  tags        = merge(var.tags, { Name = "${var.name}-cache", DEP = "024 074" })
}

resource "aws_elasticache_parameter_group" "this" {
  name        = "${var.name}-${local.family}"
  family      = local.family
  description = "settings of ${var.name}"
  parameter {
    name  = "maxmemory-policy"
    value = "volatile-lru"
  }
  tags = merge(var.tags, { Name = "${var.name}-${local.family}", DEP = "078" })
}

resource "aws_cloudwatch_log_group" "slow" {
  name              = "/${replace(var.name, "-", "/")}/cache-slow"
  retention_in_days = var.log_days
  kms_key_id        = var.log_kms_key_arn
  tags              = merge(var.tags, { Name = "${var.name}-cache-slow", DEP = "078 120" })
}

# Users are made switched off and without a password. `florin aws secrets init` sets the password
# from the unit's secret and switches the user on, so that no value passes through the state.
resource "aws_elasticache_user" "unit" {
  for_each      = local.users
  user_id       = "${var.name}-${each.key}"
  user_name     = "${var.name}-${each.key}"
  engine        = var.engine
  access_string = each.value
  authentication_mode {
    type = "no-password-required"
  }
  tags = merge(var.tags, { Name = "${var.name}-${each.key}", Unit = each.key, DEP = "077 094" })
  lifecycle {
    ignore_changes = [access_string, authentication_mode, passwords]
  }
}

resource "aws_elasticache_user" "nobody" {
  user_id       = "${var.name}-default"
  user_name     = "default"
  engine        = var.engine
  access_string = "off -@all"
  authentication_mode {
    type = "no-password-required"
  }
  tags = merge(var.tags, { Name = "${var.name}-default", DEP = "077" })
}

resource "aws_elasticache_user_group" "this" {
  engine        = var.engine
  user_group_id = "${var.name}-units"
  user_ids      = concat([aws_elasticache_user.nobody.user_id], [for user in aws_elasticache_user.unit : user.user_id])
  tags          = merge(var.tags, { Name = "${var.name}-units", DEP = "077" })
}

resource "aws_elasticache_replication_group" "this" {
  replication_group_id       = "${var.name}-cache"
  description                = "cache of ${var.name}"
  engine                     = var.engine
  engine_version             = local.version
  node_type                  = var.node_type
  num_cache_clusters         = var.nodes
  cluster_mode               = "disabled"
  port                       = 6379
  parameter_group_name       = aws_elasticache_parameter_group.this.name
  subnet_group_name          = aws_elasticache_subnet_group.this.name
  security_group_ids         = var.security_group_ids
  multi_az_enabled           = true
  automatic_failover_enabled = true
  at_rest_encryption_enabled = true
  kms_key_id                 = var.kms_key_arn
  transit_encryption_enabled = true
  transit_encryption_mode    = "required"
  user_group_ids             = [aws_elasticache_user_group.this.user_group_id]
  snapshot_retention_limit   = var.snapshots_kept
  snapshot_window            = "02:00-03:00"
  maintenance_window         = "sun:03:30-sun:04:30"
  auto_minor_version_upgrade = false
  final_snapshot_identifier  = "${var.name}-cache-final"
  notification_topic_arn     = var.notify_topic_arn == "" ? null : var.notify_topic_arn
  log_delivery_configuration {
    destination      = aws_cloudwatch_log_group.slow.name
    destination_type = "cloudwatch-logs"
    log_format       = "json"
    log_type         = "slow-log"
  }
  tags = merge(var.tags, { Name = "${var.name}-cache", DataClass = "data", DEP = "074 075 076 077 078" })
}
