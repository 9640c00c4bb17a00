mock_provider "aws" {}

variables {
  name             = "florin-production"
  environment      = "production"
  region           = "us-west-2"
  account_id       = "111122223333"
  container_image  = "111122223333.dkr.ecr.us-west-2.amazonaws.com/florin@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  vpc_id           = "vpc-1"
  subnet_ids       = ["subnet-1", "subnet-2", "subnet-3"]
  key_arns         = { for p in ["data", "documents", "secrets", "logs", "archive", "backup"] : p => "arn:aws:kms:us-west-2:111122223333:key/00000000-0000-4000-8000-000000000001" }
  bucket_arns      = { for p in ["blobs", "documents", "archive", "backups"] : p => "arn:aws:s3:::florin-production-${p}" }
  repository_arn   = "arn:aws:ecr:us-west-2:111122223333:repository/florin"
  notify_topic_arn = "arn:aws:sns:us-west-2:111122223333:florin-production-notify"
  drill_secret_arn = "arn:aws:secretsmanager:us-west-2:111122223333:secret:florin/production/workers/db-aaaaaa"
  drill_schedule   = "cron(0 4 1 1,4,7,10 ? *)"

  drill_security_group_id = "sg-3"
  units = {
    wallets = {
      roles             = ["wallets"], vcpu = 4, memory_gib = 8, min = 3, desired = 6, max = 20
      cpu_target        = 70, requests_per_minute = 60000, request_label = "app/lb/1/targetgroup/tg/2"
      release           = "blue-green", spot = false, grants = "none"
      secrets           = { FLORIN_SECRET_DATABASE_URL = "arn:aws:secretsmanager:us-west-2:111122223333:secret:florin/production/wallets/db-aaaaaa:url::" }
      kafka             = "arn:aws:secretsmanager:us-west-2:111122223333:secret:florin/production/wallets/kafka-aaaaaa"
      target_groups     = { blue = { arn = "arn:aws:elasticloadbalancing:us-west-2:111122223333:targetgroup/b/1", name = "b" }, green = { arn = "arn:aws:elasticloadbalancing:us-west-2:111122223333:targetgroup/g/1", name = "g" } }
      listener_arn      = "arn:aws:elasticloadbalancing:us-west-2:111122223333:listener/app/l/1/2"
      security_group_id = "sg-1", environment = { FLORIN__DATABASE__URL = "env:FLORIN_SECRET_DATABASE_URL" }, log_group = "/florin/production/wallets", rollback_alarms = ["a"]
    }
    kyc = {
      roles             = ["kyc"], vcpu = 1, memory_gib = 2, min = 2, desired = 2, max = 8
      cpu_target        = 70, requests_per_minute = 0, request_label = ""
      release           = "rolling", spot = true, grants = "kyc", secrets = {}
      target_groups     = { blue = { arn = "arn:aws:elasticloadbalancing:us-west-2:111122223333:targetgroup/k/1", name = "k" } }
      listener_arn      = "arn:aws:elasticloadbalancing:us-west-2:111122223333:listener/app/l/1/2"
      security_group_id = "sg-2", environment = {}, log_group = "/florin/production/kyc", rollback_alarms = ["a"]
    }
  }
}

run "dep_011_dep_053_to_dep_059_tasks" {
  command = plan
  assert {
    condition     = aws_service_discovery_private_dns_namespace.this.name == "svc.florin.internal" && alltrue([for s in aws_service_discovery_service.unit : s.dns_config[0].dns_records[0].type == "A" && s.dns_config[0].dns_records[0].ttl == 15])
    error_message = "DEP-059: an A record per task, for scraping"
  }
  assert {
    condition     = alltrue([for u in ["wallets", "kyc"] : local.containers[u][0].portMappings[0].containerPort == 8443])
    error_message = "DEP-011: one port, TLS"
  }
  assert {
    condition     = alltrue([for u in ["wallets", "kyc"] : local.containers[u][0].readonlyRootFilesystem && local.containers[u][0].user == "65532:65532" && !local.containers[u][0].privileged && local.containers[u][0].linuxParameters.capabilities.drop[0] == "ALL" && local.containers[u][0].stopTimeout == 60])
    error_message = "DEP-054"
  }
  assert {
    condition     = aws_ecs_task_definition.unit["wallets"].cpu == "4096" && aws_ecs_task_definition.unit["wallets"].memory == "8192" && aws_ecs_task_definition.unit["wallets"].network_mode == "awsvpc"
    error_message = "DEP-003, DEP-054: size"
  }
  assert {
    condition     = alltrue([for s in aws_ecs_service.unit : s.platform_version == "1.4.0" && !s.network_configuration[0].assign_public_ip && s.desired_count == 0])
    error_message = "DEP-030, DEP-054: no public address; releases start tasks"
  }
  assert {
    condition     = alltrue([for p in aws_appautoscaling_policy.cpu : p.target_tracking_scaling_policy_configuration[0].target_value == 70 && p.target_tracking_scaling_policy_configuration[0].scale_out_cooldown == 60]) && keys(aws_appautoscaling_policy.requests) == ["wallets"]
    error_message = "DEP-056"
  }
  assert {
    condition     = aws_ecs_service.unit["kyc"].deployment_circuit_breaker[0].rollback && aws_ecs_service.unit["kyc"].deployment_minimum_healthy_percent == 100 && aws_ecs_service.unit["kyc"].deployment_maximum_percent == 200
    error_message = "DEP-057"
  }
  assert {
    condition     = aws_ecs_service.unit["wallets"].deployment_controller[0].type == "CODE_DEPLOY" && aws_codedeploy_deployment_config.this.traffic_routing_config[0].time_based_linear[0].percentage == 10 && aws_codedeploy_deployment_group.unit["wallets"].auto_rollback_configuration[0].enabled
    error_message = "DEP-058"
  }
  assert {
    condition     = length(local.grants["none"]) == 0 && !strcontains(jsonencode(local.grants["workers"]), "Delete") && strcontains(jsonencode(local.grants["kyc"]), "s3:DeleteObjectVersion")
    error_message = "DEP-055: units without a row get nothing, workers delete nothing, kyc can erase"
  }
  assert {
    condition     = aws_scheduler_schedule.check.schedule_expression == "rate(5 minutes)"
    error_message = "DEP-131"
  }
}

run "dep_055_secrets_by_reference" {
  command = plan
  assert {
    condition     = local.containers["wallets"][0].secrets[0].valueFrom == "arn:aws:secretsmanager:us-west-2:111122223333:secret:florin/production/wallets/db-aaaaaa:url::" && local.containers["wallets"][0].environment[0].value == "env:FLORIN_SECRET_DATABASE_URL"
    error_message = "DEP-055: a setting points to a variable, the variable to a member of a secret"
  }
  assert {
    condition     = join(",", local.secret_arns["wallets"]) == "arn:aws:secretsmanager:us-west-2:111122223333:secret:florin/production/wallets/db-aaaaaa"
    error_message = "DEP-055: the role reads the secret, without the member"
  }
  assert {
    condition     = length(local.containers["wallets"]) == 1
    error_message = "no image, no collector"
  }
}

run "dep_056_on_sales" {
  command = plan
  variables {
    on_sales = [{ name = "stadium", unit = "kyc", from = "2026-12-01T08:30:00", until = "2026-12-01T12:00:00", min = 6, max = 30 }]
  }
  assert {
    condition     = aws_appautoscaling_scheduled_action.on_sale["stadium/from"].schedule == "at(2026-12-01T08:30:00)" && one(aws_appautoscaling_scheduled_action.on_sale["stadium/from"].scalable_target_action).min_capacity == "6"
    error_message = "DEP-056: tasks stand there before the doors open"
  }
  assert {
    condition     = one(aws_appautoscaling_scheduled_action.on_sale["stadium/until"].scalable_target_action).min_capacity == "2" && one(aws_appautoscaling_scheduled_action.on_sale["stadium/until"].scalable_target_action).max_capacity == "8"
    error_message = "DEP-056: and go back to what the unit has"
  }
}

run "dep_056_a_sale_that_ends_before_it_begins_is_refused" {
  command = plan
  variables {
    on_sales = [{ name = "stadium", unit = "kyc", from = "2026-12-01T12:00:00", until = "2026-12-01T08:30:00", min = 6, max = 30 }]
  }
  expect_failures = [var.on_sales]
}

run "dep_130_the_collector_is_told_everything" {
  command = plan
  variables {
    collector_image  = "111122223333.dkr.ecr.us-west-2.amazonaws.com/mirror/collector@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
    collector_config = "exporters: {awsxray: {}}"
  }
  assert {
    condition     = local.containers["kyc"][1].name == "collector" && local.containers["kyc"][1].command[0] == "--config=env:OTEL_CONFIG" && local.containers["kyc"][1].environment[1].value == "exporters: {awsxray: {}}" && !local.containers["kyc"][1].essential
    error_message = "DEP-130: image by digest, configuration from deploy/otel"
  }
}

run "dep_139_the_drill_stands_in_the_calendar" {
  command = plan
  assert {
    condition     = aws_scheduler_schedule.drill[0].schedule_expression == "cron(0 4 1 1,4,7,10 ? *)" && jsondecode(aws_ecs_task_definition.drill[0].container_definitions)[0].command == ["dr", "drill", "--aws", "production", "--output", "json"]
    error_message = "DEP-139: quarterly, by the command"
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.drill[0].container_definitions)[0].secrets[0].valueFrom == "arn:aws:secretsmanager:us-west-2:111122223333:secret:florin/production/workers/db-aaaaaa:replica_url::"
    error_message = "DEP-139: reads by reference"
  }
}

run "dep_018_a_tag_is_refused" {
  command = plan
  variables {
    container_image = "111122223333.dkr.ecr.us-west-2.amazonaws.com/florin:latest"
  }
  expect_failures = [var.container_image]
}
