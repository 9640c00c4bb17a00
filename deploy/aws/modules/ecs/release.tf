# Blue/green releases by CodeDeploy, and the check that runs as a scheduled task.

locals {
  blue_green = { for unit, u in var.units : unit => u if u.release == "blue-green" }
}

resource "aws_iam_role" "release" {
  name = "${var.name}-release"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "codedeploy.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
  tags                 = merge(var.tags, { Name = "${var.name}-release", DEP = "058" })
  permissions_boundary = "arn:aws:iam::${var.account_id}:policy/${replace(var.name, "/-[a-z]+$/", "")}-boundary"
}

# DEP-058
resource "aws_iam_role_policy" "release" {
  name = "shift"
  role = aws_iam_role.release.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Services", Effect = "Allow", Action = ["ecs:DescribeServices", "ecs:CreateTaskSet", "ecs:UpdateServicePrimaryTaskSet", "ecs:DeleteTaskSet"], Resource = ["arn:aws:ecs:${var.region}:${var.account_id}:service/${var.name}/*", "arn:aws:ecs:${var.region}:${var.account_id}:task-set/${var.name}/*"] },
      { Sid = "Traffic", Effect = "Allow", Action = ["elasticloadbalancing:ModifyListener", "elasticloadbalancing:ModifyRule"], Resource = ["arn:aws:elasticloadbalancing:${var.region}:${var.account_id}:listener/app/${var.name}-*", "arn:aws:elasticloadbalancing:${var.region}:${var.account_id}:listener-rule/app/${var.name}-*"] },
      { Sid = "Look", Effect = "Allow", Action = ["elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeListeners", "elasticloadbalancing:DescribeRules", "cloudwatch:DescribeAlarms"], Resource = "*" },
      { Sid = "Roles", Effect = "Allow", Action = "iam:PassRole", Resource = [for unit, _ in local.blue_green : aws_iam_role.task[unit].arn], Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } } },
    ]
  })
}

resource "aws_codedeploy_app" "this" {
  name             = var.name
  compute_platform = "ECS"
  tags             = merge(var.tags, { Name = var.name, DEP = "058" })
}

# DEP-058: a tenth of the calls each minute.
resource "aws_codedeploy_deployment_config" "this" {
  deployment_config_name = "${var.name}-linear-10-percent"
  compute_platform       = "ECS"
  traffic_routing_config {
    type = "TimeBasedLinear"
    time_based_linear {
      interval   = 1
      percentage = 10
    }
  }
}

resource "aws_codedeploy_deployment_group" "unit" {
  for_each               = local.blue_green
  app_name               = aws_codedeploy_app.this.name
  deployment_group_name  = each.key
  deployment_config_name = aws_codedeploy_deployment_config.this.deployment_config_name
  service_role_arn       = aws_iam_role.release.arn
  auto_rollback_configuration {
    enabled = true
    events  = ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"]
  }
  alarm_configuration {
    enabled = length(each.value.rollback_alarms) > 0
    alarms  = each.value.rollback_alarms
  }
  blue_green_deployment_config {
    deployment_ready_option {
      action_on_timeout = "CONTINUE_DEPLOYMENT"
    }
    terminate_blue_instances_on_deployment_success {
      action                           = "TERMINATE"
      termination_wait_time_in_minutes = 15
    }
  }
  deployment_style {
    deployment_option = "WITH_TRAFFIC_CONTROL"
    deployment_type   = "BLUE_GREEN"
  }
  ecs_service {
    cluster_name = aws_ecs_cluster.this.name
    service_name = aws_ecs_service.unit[each.key].name
  }
  load_balancer_info {
    target_group_pair_info {
      prod_traffic_route {
        listener_arns = [each.value.listener_arn]
      }
      target_group {
        name = each.value.target_groups["blue"].name
      }
      target_group {
        name = each.value.target_groups["green"].name
      }
    }
  }
  tags = merge(var.tags, { Name = "${var.name}-${each.key}", Unit = each.key, DEP = "058" })
}

# --- `florin aws check` every five minutes

resource "aws_cloudwatch_log_group" "check" {
  name              = "/${replace(var.name, "-", "/")}/check"
  retention_in_days = 30
  kms_key_id        = var.key_arns["logs"]
  tags              = merge(var.tags, { Name = "${var.name}-check", DEP = "120 131" })
}

resource "aws_iam_role" "check" {
  name                 = "${var.name}-check"
  assume_role_policy   = local.trust
  tags                 = merge(var.tags, { Name = "${var.name}-check", DEP = "131 152" })
  permissions_boundary = "arn:aws:iam::${var.account_id}:policy/${replace(var.name, "/-[a-z]+$/", "")}-boundary"
}

# DEP-152, part D1: looks at everything, reads no secret, writes one canary object.
resource "aws_iam_role_policy" "check" {
  name = "look"
  role = aws_iam_role.check.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Look"
        Effect = "Allow"
        Action = [
          "backup:ListRecoveryPointsByBackupVault", "cloudtrail:GetTrailStatus", "cloudwatch:DescribeAlarms", "cloudwatch:GetMetricStatistics", "ecs:DescribeServices", "ecs:DescribeTaskDefinition",
          "elasticache:DescribeReplicationGroups", "elasticloadbalancing:DescribeLoadBalancers", "elasticloadbalancing:DescribeTargetHealth",
          "guardduty:ListDetectors", "kafka:DescribeCluster", "kms:DescribeKey", "kms:GetKeyRotationStatus", "kms:ListAliases",
          "rds:DescribeDBClusters", "s3:GetBucketPublicAccessBlock", "s3:GetEncryptionConfiguration", "s3:ListAllMyBuckets",
          "secretsmanager:ListSecrets", "sns:ListSubscriptionsByTopic", "ssm:GetParametersByPath", "wafv2:GetWebACLForResource",
        ]
        Resource = "*"
      },
      { Sid = "Canary", Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject"], Resource = "${var.bucket_arns["blobs"]}/_check/*" },
      { Sid = "CanaryKey", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = var.key_arns["data"], Condition = local.via_s3 },
    ]
  })
}

resource "aws_iam_role" "check_execution" {
  name                 = "${var.name}-check-execution"
  assume_role_policy   = local.trust
  tags                 = merge(var.tags, { Name = "${var.name}-check-execution", DEP = "131" })
  permissions_boundary = "arn:aws:iam::${var.account_id}:policy/${replace(var.name, "/-[a-z]+$/", "")}-boundary"
}

# DEP-131: pull the image, write the log.
resource "aws_iam_role_policy" "check_execution" {
  name = "start"
  role = aws_iam_role.check_execution.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Login", Effect = "Allow", Action = ["ecr:GetAuthorizationToken"], Resource = "*" },
      { Sid = "Image", Effect = "Allow", Action = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"], Resource = var.repository_arn },
      { Sid = "Log", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = "${aws_cloudwatch_log_group.check.arn}:*" },
    ]
  })
}

resource "aws_ecs_task_definition" "check" {
  family                   = "${var.name}-check"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = aws_iam_role.check_execution.arn
  task_role_arn            = aws_iam_role.check.arn
  container_definitions = jsonencode([{
    name                   = "florin"
    image                  = var.container_image
    essential              = true
    command                = ["aws", "check", "--environment", var.environment, "--from", "vpc", "--output", "json"]
    user                   = "65532:65532"
    privileged             = false
    readonlyRootFilesystem = true
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    logConfiguration = {
      logDriver = "awslogs"
      options   = { "awslogs-group" = aws_cloudwatch_log_group.check.name, "awslogs-region" = var.region, "awslogs-stream-prefix" = "check" }
    }
  }])
  tags = merge(var.tags, { Name = "${var.name}-check", DEP = "054 131" })
}

resource "aws_iam_role" "schedule" {
  name = "${var.name}-schedule"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
  tags                 = merge(var.tags, { Name = "${var.name}-schedule", DEP = "113 131" })
  permissions_boundary = "arn:aws:iam::${var.account_id}:policy/${replace(var.name, "/-[a-z]+$/", "")}-boundary"
}

# DEP-131
resource "aws_iam_role_policy" "schedule" {
  name = "start"
  role = aws_iam_role.schedule.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Run", Effect = "Allow", Action = "ecs:RunTask", Resource = [for family in concat([aws_ecs_task_definition.check.family], aws_ecs_task_definition.drill[*].family) : "arn:aws:ecs:${var.region}:${var.account_id}:task-definition/${family}:*"], Condition = { ArnEquals = { "ecs:cluster" = aws_ecs_cluster.this.arn } } },
      { Sid = "Roles", Effect = "Allow", Action = "iam:PassRole", Resource = concat([aws_iam_role.check.arn, aws_iam_role.check_execution.arn], aws_iam_role.drill[*].arn, aws_iam_role.drill_execution[*].arn), Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } } },
    ]
  })
}

# DEP-113, DEP-131
resource "aws_scheduler_schedule" "check" {
  name                = "${var.name}-check"
  description         = "florin aws check"
  schedule_expression = var.check_schedule
  kms_key_arn         = var.key_arns["data"]
  flexible_time_window {
    mode = "OFF"
  }
  target {
    arn      = aws_ecs_cluster.this.arn
    role_arn = aws_iam_role.schedule.arn
    ecs_parameters {
      task_definition_arn = aws_ecs_task_definition.check.arn
      launch_type         = "FARGATE"
      network_configuration {
        subnets          = var.subnet_ids
        security_groups  = [values(var.units)[0].security_group_id]
        assign_public_ip = false
      }
    }
    retry_policy {
      maximum_retry_attempts = 0
    }
  }
}
