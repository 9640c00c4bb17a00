# The Fargate cluster: a task definition, service, scaling and two roles per unit.

locals {
  execution_log = "/${replace(var.name, "-", "/")}/exec"
}

resource "aws_cloudwatch_log_group" "exec" {
  name              = local.execution_log
  retention_in_days = 400
  kms_key_id        = var.key_arns["logs"]
  tags              = merge(var.tags, { Name = local.execution_log, DEP = "053 120" })
}

resource "aws_ecs_cluster" "this" {
  name = var.name
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
  configuration {
    execute_command_configuration {
      kms_key_id = var.key_arns["logs"]
      logging    = "OVERRIDE"
      log_configuration {
        cloud_watch_encryption_enabled = true
        cloud_watch_log_group_name     = aws_cloudwatch_log_group.exec.name
      }
    }
  }
  tags = merge(var.tags, { Name = var.name, DEP = "053" })
}

# DEP-053
resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
  default_capacity_provider_strategy {
    capacity_provider = "FARGATE"
    weight            = 1
  }
}

resource "aws_service_discovery_private_dns_namespace" "this" {
  name        = "svc.florin.internal"
  description = "tasks, for scraping only"
  vpc         = var.vpc_id
  tags        = merge(var.tags, { Name = "svc.florin.internal", DEP = "059" })
}

resource "aws_service_discovery_service" "unit" {
  for_each = var.units
  name     = each.key
  dns_config {
    namespace_id   = aws_service_discovery_private_dns_namespace.this.id
    routing_policy = "MULTIVALUE"
    dns_records {
      type = "A"
      ttl  = 15
    }
  }
  tags = merge(var.tags, { Name = each.key, Unit = each.key, DEP = "059" })
}

locals {
  # The one container of a unit, and the collector beside it where an image of it is given.
  containers = { for unit, u in var.units : unit => concat(
    [{
      name                   = "florin"
      image                  = var.container_image
      essential              = true
      command                = concat(["serve"], flatten([for role in u.roles : ["--role", role]]))
      user                   = "65532:65532"
      privileged             = false
      readonlyRootFilesystem = true
      stopTimeout            = 60
      portMappings           = [{ containerPort = 8443, hostPort = 8443, protocol = "tcp" }]
      linuxParameters = {
        capabilities       = { drop = ["ALL"] }
        initProcessEnabled = false
      }
      mountPoints = [{ sourceVolume = "tmp", containerPath = "/tmp", readOnly = false }]
      ulimits     = [{ name = "nofile", softLimit = 65536, hardLimit = 65536 }]
      healthCheck = {
        command     = ["CMD", "/florin", "probe", "--url", "https://127.0.0.1:8443/health"]
        interval    = 10
        timeout     = 5
        retries     = 3
        startPeriod = 60
      }
      environment = [for key in sort(keys(u.environment)) : { name = key, value = u.environment[key] }]
      secrets     = [for key in sort(keys(u.secrets)) : { name = key, valueFrom = u.secrets[key] }]
      logConfiguration = {
        logDriver = "awslogs"
        options   = { "awslogs-group" = u.log_group, "awslogs-region" = var.region, "awslogs-stream-prefix" = "florin" }
      }
    }],
    [for image in [var.collector_image] : {
      name                   = "collector"
      image                  = image
      essential              = false
      command                = ["--config=env:OTEL_CONFIG"]
      environment            = [{ name = "AWS_REGION", value = var.region }, { name = "OTEL_CONFIG", value = var.collector_config }]
      user                   = "65532:65532"
      privileged             = false
      readonlyRootFilesystem = true
      linuxParameters        = { capabilities = { drop = ["ALL"] } }
      logConfiguration = {
        logDriver = "awslogs"
        options   = { "awslogs-group" = u.log_group, "awslogs-region" = var.region, "awslogs-stream-prefix" = "collector" }
      }
    } if image != ""],
  ) }
  # ARNs without the member that follows them.
  secret_arns = { for unit, u in var.units : unit => distinct([for value in values(u.secrets) : join(":", slice(split(":", value), 0, 7))]) }
}

resource "aws_ecs_task_definition" "unit" {
  for_each                 = var.units
  family                   = "${var.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = each.value.vcpu * 1024
  memory                   = each.value.memory_gib * 1024
  execution_role_arn       = aws_iam_role.execution[each.key].arn
  task_role_arn            = aws_iam_role.task[each.key].arn
  container_definitions    = jsonencode(local.containers[each.key])
  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }
  # Fargate has no tmpfs: a volume of the task, gone with it, is the one place that can be written.
  volume {
    name = "tmp"
  }
  tags = merge(var.tags, { Name = "${var.name}-${each.key}", Unit = each.key, DEP = "011 054 055 130" })
}

resource "aws_ecs_service" "unit" {
  for_each                           = var.units
  name                               = each.key
  cluster                            = aws_ecs_cluster.this.id
  task_definition                    = aws_ecs_task_definition.unit[each.key].arn
  desired_count                      = 0
  platform_version                   = "1.4.0"
  enable_execute_command             = var.exec
  enable_ecs_managed_tags            = true
  propagate_tags                     = "SERVICE"
  health_check_grace_period_seconds  = length(each.value.target_groups) > 0 ? 120 : null
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  capacity_provider_strategy {
    capacity_provider = var.spot && each.value.spot ? "FARGATE_SPOT" : "FARGATE"
    weight            = 1
  }
  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [each.value.security_group_id]
    assign_public_ip = false
  }
  deployment_controller {
    type = each.value.release == "blue-green" ? "CODE_DEPLOY" : "ECS"
  }
  dynamic "deployment_circuit_breaker" {
    for_each = each.value.release == "blue-green" ? [] : [1]
    content {
      enable   = true
      rollback = true
    }
  }
  dynamic "alarms" {
    for_each = each.value.release == "blue-green" || length(each.value.rollback_alarms) == 0 ? [] : [1]
    content {
      enable      = true
      rollback    = true
      alarm_names = each.value.rollback_alarms
    }
  }
  dynamic "load_balancer" {
    for_each = length(each.value.target_groups) > 0 ? [each.value.target_groups["blue"].arn] : []
    content {
      target_group_arn = load_balancer.value
      container_name   = "florin"
      container_port   = 8443
    }
  }
  service_registries {
    registry_arn = aws_service_discovery_service.unit[each.key].arn
  }
  tags = merge(var.tags, { Name = each.key, Unit = each.key, DEP = "030 053 057 058 059" })
  lifecycle {
    # Releases, scaling and CodeDeploy change these; deploy.sh starts the first tasks.
    ignore_changes = [desired_count, task_definition, load_balancer]
  }
  depends_on = [aws_iam_role_policy.execution, aws_ecs_cluster_capacity_providers.this]
}

resource "aws_appautoscaling_target" "unit" {
  for_each           = var.units
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.unit[each.key].name}"
  min_capacity       = each.value.min
  max_capacity       = each.value.max
  tags               = merge(var.tags, { Name = "${var.name}-${each.key}", Unit = each.key, DEP = "056" })
}

# DEP-056
resource "aws_appautoscaling_policy" "cpu" {
  for_each           = { for unit, u in var.units : unit => u if u.cpu_target > 0 }
  name               = "${var.name}-${each.key}-cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = aws_appautoscaling_target.unit[each.key].resource_id
  target_tracking_scaling_policy_configuration {
    target_value       = each.value.cpu_target
    scale_out_cooldown = var.scale_out_cooldown_s
    scale_in_cooldown  = 300
    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}

# DEP-056
resource "aws_appautoscaling_policy" "requests" {
  for_each           = { for unit, u in var.units : unit => u if u.requests_per_minute > 0 }
  name               = "${var.name}-${each.key}-requests"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = aws_appautoscaling_target.unit[each.key].resource_id
  target_tracking_scaling_policy_configuration {
    target_value       = each.value.requests_per_minute
    scale_out_cooldown = var.scale_out_cooldown_s
    scale_in_cooldown  = 300
    predefined_metric_specification {
      predefined_metric_type = "ALBRequestCountPerTarget"
      resource_label         = each.value.request_label
    }
  }
}

# DEP-056: before an on-sale the tasks are there already, after it they may go.
resource "aws_appautoscaling_scheduled_action" "on_sale" {
  for_each = merge([for sale in var.on_sales : {
    "${sale.name}/from"  = { unit = sale.unit, at = sale.from, min = sale.min, max = max(sale.max, var.units[sale.unit].max) }
    "${sale.name}/until" = { unit = sale.unit, at = sale.until, min = var.units[sale.unit].min, max = var.units[sale.unit].max }
  }]...)
  name               = replace("${var.name}-on-sale-${each.key}", "/", "-")
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = aws_appautoscaling_target.unit[each.value.unit].resource_id
  schedule           = "at(${each.value.at})"
  timezone           = "UTC"
  scalable_target_action {
    min_capacity = each.value.min
    max_capacity = each.value.max
  }
}

# DEP-056, DEP-133: nights are quiet in staging.
resource "aws_appautoscaling_scheduled_action" "night" {
  for_each           = var.night_schedule ? merge([for unit, u in var.units : { "${unit}/evening" = { unit = unit, cron = "cron(0 20 * * ? *)", min = 0, max = 1 }, "${unit}/morning" = { unit = unit, cron = "cron(0 6 * * ? *)", min = u.min, max = u.max } }]...) : {}
  name               = replace("${var.name}-${each.key}", "/", "-")
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = aws_appautoscaling_target.unit[each.value.unit].resource_id
  schedule           = each.value.cron
  scalable_target_action {
    min_capacity = each.value.min
    max_capacity = each.value.max
  }
}
