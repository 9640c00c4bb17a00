# `florin dr drill --aws` by the calendar: the newest snapshot is restored into a cluster of its own,
# recomputed, compared, and removed (DEP-139). The report lies beside the backups.

resource "aws_cloudwatch_log_group" "drill" {
  count             = local.drill
  name              = "/${replace(var.name, "-", "/")}/drill"
  retention_in_days = 400
  kms_key_id        = var.key_arns["logs"]
  tags              = merge(var.tags, { Name = "${var.name}-drill", DEP = "120 139" })
}

resource "aws_iam_role" "drill" {
  count                = local.drill
  name                 = "${var.name}-drill"
  assume_role_policy   = local.trust
  permissions_boundary = "arn:aws:iam::${var.account_id}:policy/${replace(var.name, "/-[a-z]+$/", "")}-boundary"
  tags                 = merge(var.tags, { Name = "${var.name}-drill", DEP = "139" })
}

locals {
  drill          = var.drill ? 1 : 0
  drill_database = "${var.name}-database-drill"
  rds            = "arn:aws:rds:${var.region}:${var.account_id}"
}

# DEP-139: makes and removes one cluster with one instance, whose names end with -drill.
resource "aws_iam_role_policy" "drill" {
  count = local.drill
  name  = "restore"
  role  = aws_iam_role.drill[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Look", Effect = "Allow", Action = ["rds:DescribeDBClusters", "rds:DescribeDBClusterSnapshots", "rds:DescribeDBInstances"], Resource = "*" },
      { Sid = "Outputs", Effect = "Allow", Action = ["ssm:GetParametersByPath"], Resource = "arn:aws:ssm:${var.region}:${var.account_id}:parameter/florin/${var.environment}/*" },
      { Sid = "Restore", Effect = "Allow", Action = ["rds:AddTagsToResource", "rds:CreateDBInstance", "rds:RestoreDBClusterFromSnapshot"], Resource = ["${local.rds}:cluster:${local.drill_database}", "${local.rds}:db:${local.drill_database}-1", "${local.rds}:cluster-snapshot:*", "${local.rds}:subgrp:*", "${local.rds}:cluster-pg:*", "${local.rds}:pg:*"] },
      { Sid = "Remove", Effect = "Allow", Action = ["rds:DeleteDBCluster", "rds:DeleteDBInstance"], Resource = ["${local.rds}:cluster:${local.drill_database}", "${local.rds}:db:${local.drill_database}-1"] },
      { Sid = "Key", Effect = "Allow", Action = ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey"], Resource = var.key_arns["data"], Condition = { StringEquals = { "kms:ViaService" = "rds.${var.region}.amazonaws.com" } } },
      { Sid = "Report", Effect = "Allow", Action = ["s3:PutObject"], Resource = "${var.bucket_arns["backups"]}/exports/drills/*" },
      { Sid = "ReportKey", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = var.key_arns["backup"], Condition = local.via_s3 },
    ]
  })
}

resource "aws_iam_role" "drill_execution" {
  count                = local.drill
  name                 = "${var.name}-drill-execution"
  assume_role_policy   = local.trust
  permissions_boundary = "arn:aws:iam::${var.account_id}:policy/${replace(var.name, "/-[a-z]+$/", "")}-boundary"
  tags                 = merge(var.tags, { Name = "${var.name}-drill-execution", DEP = "139" })
}

# DEP-139: pull the image, write the log, learn how the database is reached for reading.
resource "aws_iam_role_policy" "drill_execution" {
  count = local.drill
  name  = "start"
  role  = aws_iam_role.drill_execution[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Login", Effect = "Allow", Action = ["ecr:GetAuthorizationToken"], Resource = "*" },
      { Sid = "Image", Effect = "Allow", Action = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"], Resource = var.repository_arn },
      { Sid = "Log", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = "${aws_cloudwatch_log_group.drill[0].arn}:*" },
      { Sid = "Source", Effect = "Allow", Action = ["secretsmanager:GetSecretValue"], Resource = var.drill_secret_arn },
      { Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt"], Resource = var.key_arns["secrets"], Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" } } },
    ]
  })
}

resource "aws_ecs_task_definition" "drill" {
  count                    = local.drill
  family                   = "${var.name}-drill"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 1024
  memory                   = 4096
  execution_role_arn       = aws_iam_role.drill_execution[0].arn
  task_role_arn            = aws_iam_role.drill[0].arn
  container_definitions = jsonencode([{
    name                   = "florin"
    image                  = var.container_image
    essential              = true
    command                = ["dr", "drill", "--aws", var.environment, "--output", "json"]
    user                   = "65532:65532"
    privileged             = false
    readonlyRootFilesystem = true
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    mountPoints            = [{ sourceVolume = "tmp", containerPath = "/tmp", readOnly = false }]
    secrets                = [{ name = "FLORIN_DRILL_SOURCE", valueFrom = "${var.drill_secret_arn}:replica_url::" }]
    logConfiguration = {
      logDriver = "awslogs"
      options   = { "awslogs-group" = aws_cloudwatch_log_group.drill[0].name, "awslogs-region" = var.region, "awslogs-stream-prefix" = "drill" }
    }
  }])
  volume {
    name = "tmp"
  }
  # The verification keeps an index of the ledger while it runs.
  ephemeral_storage {
    size_in_gib = 100
  }
  tags = merge(var.tags, { Name = "${var.name}-drill", DEP = "054 139" })
}

# DEP-139: weekly in staging, quarterly in production.
resource "aws_scheduler_schedule" "drill" {
  count               = local.drill
  name                = "${var.name}-drill"
  description         = "florin dr drill --aws"
  schedule_expression = var.drill_schedule
  kms_key_arn         = var.key_arns["data"]
  flexible_time_window {
    mode = "OFF"
  }
  target {
    arn      = aws_ecs_cluster.this.arn
    role_arn = aws_iam_role.schedule.arn
    ecs_parameters {
      task_definition_arn = aws_ecs_task_definition.drill[0].arn
      launch_type         = "FARGATE"
      network_configuration {
        subnets          = var.subnet_ids
        security_groups  = [var.drill_security_group_id]
        assign_public_ip = false
      }
    }
    retry_policy {
      maximum_retry_attempts = 0
    }
  }
}
