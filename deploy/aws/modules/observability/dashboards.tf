# Dashboards as code: each a list of titles and metrics, laid out two in a row.

locals {
  rds   = { for metric in ["CPUUtilization", "DatabaseConnections", "ReadLatency", "WriteLatency", "AuroraReplicaLagMaximum", "FreeableMemory"] : metric => ["AWS/RDS", metric, "DBClusterIdentifier", var.database_id] }
  cache = { for metric in ["EngineCPUUtilization", "BytesUsedForCache", "CurrConnections", "Evictions"] : metric => ["AWS/ElastiCache", metric, "CacheClusterId", "${var.cache_id}-001"] }
  florin = { for metric, unit in {
    wallet_transactions_total         = "wallets"
    wallet_operations_failed_total    = "wallets"
    wallet_holds_placed_total         = "wallets"
    ledger_commit_duration_seconds    = "wallets"
    ledger_queue_depth                = "wallets"
    ledger_last_seq                   = "wallets"
    ledger_invariant_violations_total = "wallets"
    ledger_checkpoint_age_seconds     = "wallets"
    event_lag_seconds                 = "workers"
    webhook_tries_total               = "workers"
  } : metric => ["Florin", metric, "Environment", var.environment, "Unit", unit] }
  alb = { for metric in ["RequestCount", "TargetResponseTime", "HTTPCode_Target_5XX_Count", "HTTPCode_Target_4XX_Count", "HTTPCode_ELB_5XX_Count"] : metric => ["AWS/ApplicationELB", metric, "LoadBalancer", var.public_load_balancer] }
  room = { for room, prefix in { wallets = "wallets", shadow = "shadow-", ticketing = "ticketing-", compliance = "kyc|aml", chains = "chains|networks-|custody|markets" } :
    room => [for unit, u in var.units : unit if can(regex("^(${prefix})", unit))]
  }
  unit_cpu = { for room, units in local.room : room => [for unit in units : var.units[unit].platform == "ecs" ? ["AWS/ECS", "CPUUtilization", "ClusterName", var.name, "ServiceName", unit] : ["Florin", "process_cpu_usage", "Environment", var.environment, "Unit", unit]] }
  unit_p95 = { for room, units in local.room : room => [for unit in units : ["AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", var.units[unit].load_balancer, "TargetGroup", var.units[unit].target_group] if var.units[unit].served] }

  boards = {
    platform = [
      { title = "requests", metrics = [local.alb.RequestCount], stat = "Sum" },
      { title = "p95", metrics = [local.alb.TargetResponseTime], stat = "p95" },
      { title = "5xx", metrics = [local.alb.HTTPCode_Target_5XX_Count, local.alb.HTTPCode_ELB_5XX_Count], stat = "Sum" },
      { title = "4xx (refusals are among them)", metrics = [local.alb.HTTPCode_Target_4XX_Count], stat = "Sum" },
      { title = "nodes", metrics = [for group in values(var.scaling_groups) : ["AWS/EC2", "CPUUtilization", "AutoScalingGroupName", group]], stat = "Average" },
      { title = "blocked by the web ACL", metrics = [["AWS/WAFV2", "BlockedRequests", "WebACL", var.web_acl_name, "Region", var.region, "Rule", "ALL"]], stat = "Sum" },
    ]
    wallets = [
      { title = "transactions", metrics = [local.florin.wallet_transactions_total], stat = "Sum" },
      { title = "failed", metrics = [local.florin.wallet_operations_failed_total], stat = "Sum" },
      { title = "holds placed", metrics = [local.florin.wallet_holds_placed_total], stat = "Sum" },
      { title = "CPU", metrics = local.unit_cpu.wallets, stat = "Average" },
      { title = "p95", metrics = local.unit_p95.wallets, stat = "p95" },
      { title = "event lag", metrics = [local.florin.event_lag_seconds], stat = "Maximum" },
    ]
    ledger = [
      { title = "records", metrics = [local.florin.ledger_last_seq], stat = "Maximum" },
      { title = "commit", metrics = [local.florin.ledger_commit_duration_seconds], stat = "p95" },
      { title = "waiting calls", metrics = [local.florin.ledger_queue_depth], stat = "Maximum" },
      { title = "violations and checkpoint age", metrics = [local.florin.ledger_invariant_violations_total, local.florin.ledger_checkpoint_age_seconds], stat = "Maximum" },
      { title = "database CPU", metrics = [local.rds.CPUUtilization], stat = "Average" },
      { title = "database connections", metrics = [local.rds.DatabaseConnections], stat = "Maximum" },
      { title = "database latency", metrics = [local.rds.ReadLatency, local.rds.WriteLatency], stat = "Average" },
      { title = "replica lag", metrics = [local.rds.AuroraReplicaLagMaximum], stat = "Maximum" },
      { title = "cache", metrics = [local.cache.EngineCPUUtilization, local.cache.CurrConnections], stat = "Average" },
      { title = "cache bytes", metrics = [local.cache.BytesUsedForCache], stat = "Maximum" },
    ]
    shadow     = [for view in ["cpu", "p95"] : { title = view, metrics = view == "cpu" ? local.unit_cpu.shadow : local.unit_p95.shadow, stat = view == "cpu" ? "Average" : "p95" }]
    ticketing  = [for view in ["cpu", "p95"] : { title = view, metrics = view == "cpu" ? local.unit_cpu.ticketing : local.unit_p95.ticketing, stat = view == "cpu" ? "Average" : "p95" }]
    compliance = [for view in ["cpu", "p95"] : { title = view, metrics = view == "cpu" ? local.unit_cpu.compliance : local.unit_p95.compliance, stat = view == "cpu" ? "Average" : "p95" }]
    chains     = [for view in ["cpu", "p95"] : { title = view, metrics = view == "cpu" ? local.unit_cpu.chains : local.unit_p95.chains, stat = view == "cpu" ? "Average" : "p95" }]
    cost       = [{ title = "estimated charges", metrics = [["AWS/Billing", "EstimatedCharges", "Currency", "USD"]], stat = "Maximum" }]
  }
}

# DEP-122
resource "aws_cloudwatch_dashboard" "this" {
  for_each       = local.boards
  dashboard_name = "${var.name}-${each.key}"
  dashboard_body = jsonencode({
    widgets = [for i, widget in each.value : {
      type   = "metric"
      x      = (i % 2) * 12
      y      = floor(i / 2) * 6
      width  = 12
      height = 6
      properties = {
        title   = widget.title
        metrics = widget.metrics
        stat    = widget.stat
        period  = 300
        region  = each.key == "cost" ? "us-east-1" : var.region
        view    = "timeSeries"
      }
    }]
  })
}
