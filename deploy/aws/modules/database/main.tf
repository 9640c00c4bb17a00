# Aurora PostgreSQL (or one Multi-AZ instance): encrypted, TLS only, durable commits.

locals {
  aurora    = var.engine_mode == "aurora"
  secondary = var.global_cluster_identifier != ""
  family    = local.aurora ? "aurora-postgresql17" : "postgres17"
  # One list of server settings for both engines. Apply method: static ones need a restart.
  parameters = concat([
    { name = "rds.force_ssl", value = "1", method = "pending-reboot" },
    { name = "max_connections", value = tostring(var.database_max_connections), method = "pending-reboot" },
    { name = "shared_preload_libraries", value = "pg_stat_statements", method = "pending-reboot" },
    { name = "synchronous_commit", value = "on", method = "immediate" },
    { name = "log_min_duration_statement", value = "500", method = "immediate" },
    { name = "idle_in_transaction_session_timeout", value = "10000", method = "immediate" },
    { name = "autovacuum_vacuum_scale_factor", value = "0.02", method = "immediate" },
    { name = "autovacuum_vacuum_cost_limit", value = "2000", method = "immediate" },
    { name = "log_connections", value = "1", method = "immediate" },
    { name = "log_statement", value = "ddl", method = "immediate" },
  ])
  instances = local.aurora ? merge(
    { writer = { class = var.database_writer_instance_class, tier = 0, az = var.azs[0] } },
    { for i in range(var.database_reader_count) : "reader-${i + 1}" => {
      class = var.database_reader_instance_class, tier = 1 + i, az = var.azs[(i + 1) % length(var.azs)]
    } },
  ) : {}
}

resource "aws_db_subnet_group" "this" {
  name        = "${var.name}-database"
  description = "database subnets of ${var.name}"
  subnet_ids  = var.subnet_ids
  tags        = merge(var.tags, { Name = "${var.name}-database", DEP = "024 062" })
}

resource "aws_rds_cluster_parameter_group" "this" {
  count       = local.aurora ? 1 : 0
  name        = "${var.name}-17"
  family      = local.family
  description = "settings of ${var.name}"
  dynamic "parameter" {
    for_each = local.parameters
    content {
      name         = parameter.value.name
      value        = parameter.value.value
      apply_method = parameter.value.method
    }
  }
  tags = merge(var.tags, { Name = "${var.name}-17", DEP = "066 067" })
}

resource "aws_iam_role" "monitoring" {
  name = "${var.name}-database-monitoring"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "monitoring.rds.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
  tags                 = merge(var.tags, { Name = "${var.name}-database-monitoring", DEP = "073" })
  permissions_boundary = "arn:aws:iam::${var.account_id}:policy/${replace(var.name, "/-[a-z]+$/", "")}-boundary"
}

# DEP-073: the policy that AWS keeps for this one task.
resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}

resource "aws_rds_cluster" "this" {
  count                               = local.aurora ? 1 : 0
  cluster_identifier                  = "${var.name}-database"
  engine                              = "aurora-postgresql"
  engine_version                      = var.engine_version
  database_name                       = local.secondary ? null : var.platform_name
  master_username                     = local.secondary ? null : var.platform_name
  manage_master_user_password         = local.secondary ? null : true
  master_user_secret_kms_key_id       = local.secondary ? null : var.secrets_kms_key_arn
  global_cluster_identifier           = local.secondary ? var.global_cluster_identifier : null
  db_subnet_group_name                = aws_db_subnet_group.this.name
  db_cluster_parameter_group_name     = aws_rds_cluster_parameter_group.this[0].name
  vpc_security_group_ids              = var.security_group_ids
  port                                = 5432
  storage_encrypted                   = true
  kms_key_id                          = var.kms_key_arn
  storage_type                        = var.storage_type
  backup_retention_period             = var.database_backup_retention_period
  preferred_backup_window             = "03:00-04:00"
  preferred_maintenance_window        = "sun:04:30-sun:05:30"
  deletion_protection                 = true
  copy_tags_to_snapshot               = true
  skip_final_snapshot                 = false
  final_snapshot_identifier           = "${var.name}-final"
  iam_database_authentication_enabled = true
  enabled_cloudwatch_logs_exports     = ["postgresql"]
  performance_insights_enabled        = true
  performance_insights_kms_key_id     = var.kms_key_arn
  tags = merge(var.tags, {
    Name = "${var.name}-database", DataClass = "data", DEP = "062 063 065 066 068 069 073"
  })
  lifecycle {
    prevent_destroy = true
    # Joining a global cluster afterwards is the global cluster's doing.
    ignore_changes = [global_cluster_identifier, replication_source_identifier]
  }
}

resource "aws_rds_cluster_instance" "this" {
  for_each                        = local.instances
  identifier                      = "${var.name}-${each.key}"
  cluster_identifier              = aws_rds_cluster.this[0].id
  engine                          = aws_rds_cluster.this[0].engine
  engine_version                  = aws_rds_cluster.this[0].engine_version
  instance_class                  = each.value.class
  availability_zone               = each.value.az
  promotion_tier                  = each.value.tier
  publicly_accessible             = false
  db_subnet_group_name            = aws_db_subnet_group.this.name
  auto_minor_version_upgrade      = var.auto_minor_version_upgrade
  monitoring_interval             = 60
  monitoring_role_arn             = aws_iam_role.monitoring.arn
  performance_insights_enabled    = true
  performance_insights_kms_key_id = var.kms_key_arn
  copy_tags_to_snapshot           = true
  tags                            = merge(var.tags, { Name = "${var.name}-${each.key}", DEP = "062 063 070 073" })
}

resource "aws_appautoscaling_target" "readers" {
  count              = local.aurora && var.database_reader_max > var.database_reader_count ? 1 : 0
  service_namespace  = "rds"
  scalable_dimension = "rds:cluster:ReadReplicaCount"
  resource_id        = "cluster:${aws_rds_cluster.this[0].id}"
  min_capacity       = var.database_reader_count
  max_capacity       = var.database_reader_max
  tags               = merge(var.tags, { Name = "${var.name}-readers", DEP = "063" })
}

# DEP-063
resource "aws_appautoscaling_policy" "readers" {
  count              = length(aws_appautoscaling_target.readers)
  name               = "${var.name}-readers-cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = "rds"
  scalable_dimension = "rds:cluster:ReadReplicaCount"
  resource_id        = aws_appautoscaling_target.readers[0].resource_id
  target_tracking_scaling_policy_configuration {
    target_value       = 70
    scale_in_cooldown  = 300
    scale_out_cooldown = 300
    predefined_metric_specification {
      predefined_metric_type = "RDSReaderAverageCPUUtilization"
    }
  }
}

# DEP-140: the primary of the recovery region's copy.
resource "aws_rds_global_cluster" "this" {
  count                        = local.aurora && var.global && !local.secondary ? 1 : 0
  global_cluster_identifier    = "${var.name}-global"
  source_db_cluster_identifier = aws_rds_cluster.this[0].arn
  force_destroy                = false
  tags                         = merge(var.tags, { Name = "${var.name}-global", DEP = "140" })
}

# --- one Multi-AZ instance, for installations of one system

resource "aws_db_parameter_group" "this" {
  count       = local.aurora ? 0 : 1
  name        = "${var.name}-17"
  family      = local.family
  description = "settings of ${var.name}"
  dynamic "parameter" {
    for_each = local.parameters
    content {
      name         = parameter.value.name
      value        = parameter.value.value
      apply_method = parameter.value.method
    }
  }
  tags = merge(var.tags, { Name = "${var.name}-17", DEP = "064 066 067" })
}

resource "aws_db_instance" "this" {
  count                               = local.aurora ? 0 : 1
  identifier                          = "${var.name}-database"
  engine                              = "postgres"
  engine_version                      = var.engine_version
  instance_class                      = var.database_writer_instance_class
  db_name                             = var.platform_name
  username                            = var.platform_name
  manage_master_user_password         = true
  master_user_secret_kms_key_id       = var.secrets_kms_key_arn
  multi_az                            = true
  storage_type                        = "gp3"
  allocated_storage                   = var.allocated_storage_gib
  max_allocated_storage               = 1000
  storage_encrypted                   = true
  kms_key_id                          = var.kms_key_arn
  db_subnet_group_name                = aws_db_subnet_group.this.name
  parameter_group_name                = aws_db_parameter_group.this[0].name
  vpc_security_group_ids              = var.security_group_ids
  publicly_accessible                 = false
  backup_retention_period             = var.database_backup_retention_period
  backup_window                       = "03:00-04:00"
  maintenance_window                  = "sun:04:30-sun:05:30"
  auto_minor_version_upgrade          = var.auto_minor_version_upgrade
  deletion_protection                 = true
  copy_tags_to_snapshot               = true
  skip_final_snapshot                 = false
  final_snapshot_identifier           = "${var.name}-final"
  monitoring_interval                 = 60
  monitoring_role_arn                 = aws_iam_role.monitoring.arn
  performance_insights_enabled        = true
  performance_insights_kms_key_id     = var.kms_key_arn
  enabled_cloudwatch_logs_exports     = ["postgresql", "upgrade"]
  iam_database_authentication_enabled = true
  tags = merge(var.tags, {
    Name = "${var.name}-database", DataClass = "data", DEP = "062 064 066 068 069 073"
  })
  lifecycle {
    prevent_destroy = true
  }
}

# --- optional pooler

resource "aws_iam_role" "proxy" {
  count = var.pooler == "rds_proxy" ? 1 : 0
  name  = "${var.name}-database-proxy"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "rds.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
  tags                 = merge(var.tags, { Name = "${var.name}-database-proxy", DEP = "071" })
  permissions_boundary = "arn:aws:iam::${var.account_id}:policy/${replace(var.name, "/-[a-z]+$/", "")}-boundary"
}

resource "aws_db_proxy" "this" {
  count                  = var.pooler == "rds_proxy" && local.aurora ? 1 : 0
  name                   = "${var.name}-database"
  engine_family          = "POSTGRESQL"
  role_arn               = aws_iam_role.proxy[0].arn
  vpc_subnet_ids         = var.subnet_ids
  vpc_security_group_ids = var.security_group_ids
  require_tls            = true
  auth {
    auth_scheme = "SECRETS"
    iam_auth    = "DISABLED"
    secret_arn  = aws_rds_cluster.this[0].master_user_secret[0].secret_arn
  }
  tags = merge(var.tags, { Name = "${var.name}-database", DEP = "071" })
}
