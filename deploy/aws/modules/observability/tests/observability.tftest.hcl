mock_provider "aws" {}

mock_provider "aws" {
  alias = "us_east_1"
}

variables {
  name                  = "florin-production"
  environment           = "production"
  region                = "us-west-2"
  account_id            = "111122223333"
  alert_email_addresses = ["ops@example.com"]
  log_days              = 30
  kms_key_arn           = "arn:aws:kms:us-west-2:111122223333:key/00000000-0000-4000-8000-000000000001"
  public_load_balancer  = "app/florin-production-public/1"
  certificate_arn       = "arn:aws:acm:us-west-2:111122223333:certificate/1"
  web_acl_name          = "regional"
  database_id           = "florin-production-database"
  cache_id              = "florin-production-cache"
  cache_nodes           = 3
  kafka_name            = "florin-production-kafka"
  database_memory_gib   = 64
  cluster_log_group     = "/aws/eks/florin-production/cluster"
  consumed_topics       = ["transaction-pending"]
  scaling_groups        = { eks-core = "eks-core-1", monitoring = "florin-production-monitoring" }
  units = {
    gateway       = { platform = "ecs", served = true, desired = 3, memory_gib = 1, target_group = "targetgroup/g/1", load_balancer = "app/p/1" }
    wallets       = { platform = "ecs", served = true, desired = 6, memory_gib = 1, target_group = "targetgroup/w/1", load_balancer = "app/i/1" }
    workers       = { platform = "ecs", served = false, desired = 2, memory_gib = 1, target_group = "", load_balancer = "" }
    shadow-events = { platform = "eks", served = true, desired = 2, memory_gib = 1, target_group = "targetgroup/s/1", load_balancer = "app/i/1" }
  }
}

run "dep_120_to_dep_130_observability" {
  command = plan
  assert {
    condition     = aws_cloudwatch_log_group.unit["wallets"].name == "/florin/production/wallets" && aws_cloudwatch_log_group.unit["wallets"].retention_in_days == 30 && aws_cloudwatch_log_group.audit.retention_in_days == 400
    error_message = "DEP-120"
  }
  assert {
    condition     = toset(keys(aws_cloudwatch_dashboard.this)) == toset(["platform", "wallets", "ledger", "shadow", "ticketing", "compliance", "chains", "cost"])
    error_message = "DEP-122"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.errors["notify"].threshold == 1 && aws_cloudwatch_metric_alarm.errors["page"].threshold == 5 && aws_cloudwatch_metric_alarm.single["wallets-p95"].threshold == 0.5 && aws_cloudwatch_metric_alarm.single["certificate-expires"].threshold == 30 && aws_cloudwatch_metric_alarm.single["certificate-expires"].comparison_operator == "LessThanThreshold"
    error_message = "DEP-123"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.single["wallets-cpu"].threshold == 80 && aws_cloudwatch_metric_alarm.single["wallets-cpu"].evaluation_periods == 2 && !contains(keys(aws_cloudwatch_metric_alarm.single), "shadow-events-cpu") && aws_cloudwatch_metric_alarm.single["shadow-events-memory"].threshold == floor(0.8 * 1073741824) && aws_cloudwatch_metric_alarm.single["eks-core-cpu"].threshold == 80 && aws_cloudwatch_metric_alarm.single["monitoring-failed"].threshold == 0 && aws_cloudwatch_metric_alarm.single["eks-pods-pending"].evaluation_periods == 5
    error_message = "DEP-124"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.single["database-connections"].threshold == 1600 && aws_cloudwatch_metric_alarm.single["database-write-latency"].threshold == 0.2 && aws_cloudwatch_metric_alarm.single["database-replica-lag"].threshold == 5000 && aws_cloudwatch_metric_alarm.single["database-free-memory"].comparison_operator == "LessThanThreshold" && aws_cloudwatch_metric_alarm.single["database-free-memory"].threshold == floor(6.4 * 1073741824) && aws_cloudwatch_metric_alarm.single["database-oldest-transaction"].threshold == 60
    error_message = "DEP-125"
  }
  assert {
    condition     = length([for key, a in aws_cloudwatch_metric_alarm.single : key if startswith(key, "cache-")]) == 9 && length([for key, a in aws_cloudwatch_metric_alarm.single : key if startswith(key, "kafka-") && endswith(key, "-disk") && a.threshold == 70]) == 3 && aws_cloudwatch_metric_alarm.single["kafka-3-under-replicated"].dimensions["Broker ID"] == "3" && aws_cloudwatch_metric_alarm.single["kafka-lag-transaction-pending"].threshold == 60
    error_message = "DEP-126"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.single["ledger-invariant"].threshold == 0 && aws_cloudwatch_metric_alarm.single["ledger-invariant"].evaluation_periods == 1 && local.single["ledger-invariant"].action == "page" && aws_cloudwatch_metric_alarm.single["checkpoint-age"].threshold == 300 && aws_cloudwatch_metric_alarm.single["feed-archive"].threshold == 7200 && aws_cloudwatch_metric_alarm.single["dead-letters"].threshold == 0 && aws_cloudwatch_metric_alarm.single["payout-failed"].threshold == 0
    error_message = "DEP-127: a violation pages at once"
  }
  assert {
    condition     = contains(keys(aws_cloudwatch_event_rule.this), "key-in-danger") && contains(keys(aws_cloudwatch_event_rule.this), "trail-stopped") && contains(keys(aws_cloudwatch_event_rule.this), "root-login") && toset(keys(aws_cloudwatch_event_rule.elsewhere)) == toset(["root-login", "break-glass"]) && aws_cloudwatch_metric_alarm.denied.threshold == 10
    error_message = "DEP-128"
  }
  assert {
    condition     = toset(keys(aws_sns_topic.this)) == toset(["page", "notify", "cost", "security"]) && length(aws_cloudwatch_composite_alarm.page) == 3
    error_message = "DEP-129"
  }
  assert {
    condition     = aws_xray_sampling_rule.this.fixed_rate == 0.05
    error_message = "DEP-130"
  }
}

run "dep_129_nobody_to_tell_is_refused" {
  command = plan
  variables {
    alert_email_addresses = []
  }
  expect_failures = [var.alert_email_addresses]
}
