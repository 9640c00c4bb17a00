# Alarms. Single ones notify; what must wake somebody pages, alone or as a composite.

locals {
  t = var.thresholds
  # Alarms over one metric. `action`: the topic.
  single = merge(
    # --- load balancers (DEP-123)
    { for unit, u in local.served : "${unit}-p95" => {
      about      = "p95 of ${unit} is above ${local.t.p95_s} s", namespace = "AWS/ApplicationELB", metric = "TargetResponseTime", statistic = "p95"
      dimensions = { LoadBalancer = u.load_balancer, TargetGroup = u.target_group }, above = local.t.p95_s, periods = 2, period = 300, action = "notify", dep = "123"
    } },
    { for unit, u in local.served : "${unit}-unhealthy" => {
      about      = "a target of ${unit} is unhealthy", namespace = "AWS/ApplicationELB", metric = "UnHealthyHostCount", statistic = "Maximum"
      dimensions = { LoadBalancer = u.load_balancer, TargetGroup = u.target_group }, above = 0, periods = 2, period = 60, action = "notify", dep = "123"
    } },
    { "certificate-expires" = {
      about      = "the certificate expires within ${local.t.certificate_days} days", namespace = "AWS/CertificateManager", metric = "DaysToExpiry", statistic = "Minimum"
      dimensions = { CertificateArn = var.certificate_arn }, above = -local.t.certificate_days, periods = 1, period = 86400, action = "notify", dep = "106 123"
    } },
    # --- units on ECS (DEP-124)
    { for pair in setproduct(keys(local.ecs), ["CPUUtilization", "MemoryUtilization"]) : "${pair[0]}-${lower(replace(pair[1], "Utilization", ""))}" => {
      about      = "${pair[1]} of ${pair[0]} is high", namespace = "AWS/ECS", metric = pair[1], statistic = "Average"
      dimensions = { ClusterName = var.name, ServiceName = pair[0] }, above = pair[1] == "CPUUtilization" ? local.t.cpu_percent : local.t.memory_percent, periods = 2, period = 300, action = "notify", dep = "124"
    } },
    # --- nodes of EKS and the monitoring host (DEP-124): what EC2 and the control plane measure by
    # themselves, without an agent
    { for pair in setproduct(keys(var.scaling_groups), ["CPUUtilization", "StatusCheckFailed"]) : "${pair[0]}-${pair[1] == "CPUUtilization" ? "cpu" : "failed"}" => {
      about      = "${pair[1]} of machines ${pair[0]}", namespace = "AWS/EC2", metric = pair[1], statistic = pair[1] == "CPUUtilization" ? "Average" : "Maximum"
      dimensions = { AutoScalingGroupName = var.scaling_groups[pair[0]] }, above = pair[1] == "CPUUtilization" ? local.t.cpu_percent : 0, periods = 2, period = 300, action = "notify", dep = "124"
    } },
    { "eks-pods-pending" = {
      about      = "pods find no node for more than five minutes", namespace = "AWS/EKS", metric = "scheduler_pending_pods_UNSCHEDULABLE", statistic = "Minimum"
      dimensions = { ClusterName = var.name }, above = 0, periods = 5, period = 60, action = "notify", dep = "124"
    } },
    # Pods tell their own memory; their limit is what the unit is given.
    { for unit, u in var.units : "${unit}-memory" => {
      about      = "memory of a pod of ${unit} is near its limit", namespace = "Florin", metric = "process_resident_memory_bytes", statistic = "Maximum"
      dimensions = { Environment = var.environment, Unit = unit }, above = floor(u.memory_gib * 1073741824 * local.t.memory_percent / 100), periods = 2, period = 300, action = "notify", dep = "124"
    } if u.platform == "eks" },
    # --- database (DEP-125)
    { for key, a in {
      cpu           = { metric = "CPUUtilization", above = local.t.cpu_percent, statistic = "Average" }
      connections   = { metric = "DatabaseConnections", above = local.t.connections, statistic = "Maximum" }
      read-latency  = { metric = "ReadLatency", above = local.t.database_latency_s, statistic = "Average" }
      write-latency = { metric = "WriteLatency", above = local.t.database_latency_s, statistic = "Average" }
      replica-lag   = { metric = "AuroraReplicaLagMaximum", above = local.t.replica_lag_ms, statistic = "Maximum" }
      oldest-xid    = { metric = "MaximumUsedTransactionIDs", above = 1000000000, statistic = "Maximum" }
      swap          = { metric = "SwapUsage", above = 268435456, statistic = "Maximum" }
      free-memory   = { metric = "FreeableMemory", above = -floor(var.database_memory_gib * 1073741824 * local.t.free_memory_percent / 100), statistic = "Minimum" }
      } : "database-${key}" => {
      about      = "${a.metric} of the database", namespace = "AWS/RDS", metric = a.metric, statistic = a.statistic
      dimensions = { DBClusterIdentifier = var.database_id }, above = a.above, periods = 2, period = 300, action = "notify", dep = "125"
    } },
    { "database-oldest-transaction" = {
      about      = "a transaction stays open", namespace = "Florin", metric = "db_oldest_transaction_seconds", statistic = "Maximum"
      dimensions = { Environment = var.environment, Unit = "workers" }, above = local.t.transaction_age_s, periods = 2, period = 60, action = "notify", dep = "125"
    } },
    # --- cache (DEP-126): per node
    { for pair in setproduct(range(var.cache_nodes), ["EngineCPUUtilization", "DatabaseMemoryUsagePercentage", "Evictions"]) : "cache-${pair[0] + 1}-${lower(pair[1])}" => {
      about      = "${pair[1]} of cache node ${pair[0] + 1}", namespace = "AWS/ElastiCache", metric = pair[1], statistic = "Maximum"
      dimensions = { CacheClusterId = format("%s-%03d", var.cache_id, pair[0] + 1) }, above = { EngineCPUUtilization = local.t.cpu_percent, DatabaseMemoryUsagePercentage = local.t.cache_memory_percent, Evictions = 0 }[pair[1]], periods = 2, period = 300, action = "notify", dep = "126"
    } },
    # --- Kafka (DEP-126)
    { "kafka-offline" = {
      about      = "partitions of Kafka are offline", namespace = "AWS/Kafka", metric = "OfflinePartitionsCount", statistic = "Maximum"
      dimensions = { "Cluster Name" = var.kafka_name }, above = 0, periods = 2, period = 300, action = "notify", dep = "126"
    } },
    # Each broker for itself: they are numbered from 1.
    { for pair in setproduct(range(var.kafka_brokers), ["UnderReplicatedPartitions", "KafkaDataLogsDiskUsed"]) : "kafka-${pair[0] + 1}-${pair[1] == "KafkaDataLogsDiskUsed" ? "disk" : "under-replicated"}" => {
      about      = "${pair[1]} of broker ${pair[0] + 1}", namespace = "AWS/Kafka", metric = pair[1], statistic = "Maximum"
      dimensions = { "Cluster Name" = var.kafka_name, "Broker ID" = tostring(pair[0] + 1) }, above = pair[1] == "KafkaDataLogsDiskUsed" ? local.t.kafka_disk_percent : 0, periods = 2, period = 300, action = "notify", dep = "126"
    } },
    { for topic in var.consumed_topics : "kafka-lag-${topic}" => {
      about      = "events of ${topic} wait for longer than ${local.t.event_lag_s} s", namespace = "AWS/Kafka", metric = "EstimatedMaxTimeLag", statistic = "Maximum"
      dimensions = { "Cluster Name" = var.kafka_name, "Consumer Group" = "florin-shadow", Topic = topic }, above = local.t.event_lag_s, periods = 5, period = 60, action = "notify", dep = "126"
    } },
    # --- money (DEP-127)
    { for key, a in {
      ledger-invariant = { metric = "ledger_invariant_violations_total", above = 0, unit = "wallets", action = "page", period = 60, periods = 1 }
      checkpoint-age   = { metric = "ledger_checkpoint_age_seconds", above = local.t.checkpoint_age_s, unit = "wallets", action = "page", period = 60, periods = 2 }
      event-lag        = { metric = "event_lag_seconds", above = local.t.event_lag_s, unit = "workers", action = "notify", period = 60, periods = 5 }
      drift-open       = { metric = "shadow_drift_unexplained", above = 0, unit = "shadow-drift", action = "notify", period = 300, periods = 3 }
      outbox-failed    = { metric = "wallet_outbox_events_failed_total", above = 0, unit = "workers", action = "notify", period = 300, periods = 2 }
      feed-archive     = { metric = "feed_archive_age_seconds", above = local.t.archive_age_s, unit = "workers", action = "notify", period = 300, periods = 1 }
      dead-letters     = { metric = "shadow_dead_letters", above = 0, unit = "shadow-ledger", action = "notify", period = 300, periods = 1 }
      payout-failed    = { metric = "ticketing_payouts_failed_total", above = 0, unit = "ticketing-orders", action = "notify", period = 300, periods = 1 }
      } : key => {
      about      = "${a.metric} of ${a.unit}", namespace = "Florin", metric = a.metric, statistic = "Maximum"
      dimensions = { Environment = var.environment, Unit = a.unit }, above = a.above, periods = a.periods, period = a.period, action = a.action, dep = "121 127"
    } },
    { "check-failed" = {
      about      = "florin aws check found something bad", namespace = "Florin", metric = "aws_check_bad", statistic = "Maximum"
      dimensions = { Environment = var.environment, Unit = "check" }, above = 0, periods = 2, period = 300, action = "notify", dep = "131"
    } },
    # --- secrets (DEP-128)
    { "secret-too-old" = {
      about      = "a secret is older than its period", namespace = "Florin", metric = "aws_check_secret_age_days", statistic = "Maximum"
      dimensions = { Environment = var.environment, Unit = "check" }, above = 90, periods = 1, period = 86400, action = "security", dep = "128"
    } },
  )
}

resource "aws_cloudwatch_metric_alarm" "single" {
  for_each            = local.single
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.about
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  dimensions          = each.value.dimensions
  comparison_operator = each.value.above < 0 ? "LessThanThreshold" : "GreaterThanThreshold"
  threshold           = abs(each.value.above)
  period              = each.value.period
  evaluation_periods  = each.value.periods
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this[each.value.action].arn]
  ok_actions          = [aws_sns_topic.this[each.value.action].arn]
  tags                = merge(var.tags, { Name = "${var.name}-${each.key}", DEP = each.value.dep })
}

# Shares of answers, so that one failure in a quiet night wakes nobody.
resource "aws_cloudwatch_metric_alarm" "errors" {
  for_each            = { notify = local.t.error_notify_percent, page = local.t.error_page_percent }
  alarm_name          = "${var.name}-5xx-${each.key}"
  alarm_description   = "more than ${each.value} % of answers are 5xx"
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value
  evaluation_periods  = 2
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this["notify"].arn]
  ok_actions          = [aws_sns_topic.this["notify"].arn]
  metric_query {
    id          = "share"
    expression  = "100 * (targets + balancer) / MAX([all, 1])"
    label       = "share of 5xx"
    return_data = true
  }
  dynamic "metric_query" {
    for_each = { all = "RequestCount", targets = "HTTPCode_Target_5XX_Count", balancer = "HTTPCode_ELB_5XX_Count" }
    content {
      id = metric_query.key
      metric {
        namespace   = "AWS/ApplicationELB"
        metric_name = metric_query.value
        period      = 300
        stat        = "Sum"
        dimensions  = { LoadBalancer = var.public_load_balancer }
      }
    }
  }
  tags = merge(var.tags, { Name = "${var.name}-5xx-${each.key}", DEP = "123" })
}

resource "aws_cloudwatch_metric_alarm" "running" {
  for_each            = local.ecs
  alarm_name          = "${var.name}-${each.key}-running"
  alarm_description   = "fewer tasks of ${each.key} run than are wanted"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 5
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this["notify"].arn]
  metric_query {
    id          = "missing"
    expression  = "wanted - running"
    label       = "missing tasks"
    return_data = true
  }
  dynamic "metric_query" {
    for_each = { wanted = "DesiredTaskCount", running = "RunningTaskCount" }
    content {
      id = metric_query.key
      metric {
        namespace   = "ECS/ContainerInsights"
        metric_name = metric_query.value
        period      = 60
        stat        = "Average"
        dimensions  = { ClusterName = var.name, ServiceName = each.key }
      }
    }
  }
  tags = merge(var.tags, { Name = "${var.name}-${each.key}-running", Unit = each.key, DEP = "124" })
}

resource "aws_cloudwatch_metric_alarm" "waf" {
  alarm_name          = "${var.name}-waf-blocked"
  alarm_description   = "unusually many requests are blocked"
  comparison_operator = "GreaterThanUpperThreshold"
  threshold_metric_id = "band"
  evaluation_periods  = 3
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this["security"].arn]
  metric_query {
    id          = "band"
    expression  = "ANOMALY_DETECTION_BAND(blocked, 4)"
    label       = "usual range"
    return_data = true
  }
  metric_query {
    id          = "blocked"
    return_data = true
    metric {
      namespace   = "AWS/WAFV2"
      metric_name = "BlockedRequests"
      period      = 300
      stat        = "Sum"
      dimensions  = { WebACL = var.web_acl_name, Region = var.region, Rule = "ALL" }
    }
  }
  tags = merge(var.tags, { Name = "${var.name}-waf-blocked", DEP = "123" })
}

# DEP-129: fewer false pages. Each names the singles that it is made of.
resource "aws_cloudwatch_composite_alarm" "page" {
  for_each = {
    customers-see-errors = "ALARM(\"${aws_cloudwatch_metric_alarm.errors["page"].alarm_name}\")"
    database-in-trouble = join(" OR ", [
      "(ALARM(\"${aws_cloudwatch_metric_alarm.single["database-cpu"].alarm_name}\") AND ALARM(\"${aws_cloudwatch_metric_alarm.single["database-write-latency"].alarm_name}\"))",
      "ALARM(\"${aws_cloudwatch_metric_alarm.single["database-connections"].alarm_name}\")",
    ])
    events-stand-still = "ALARM(\"${aws_cloudwatch_metric_alarm.single["event-lag"].alarm_name}\") AND ALARM(\"${aws_cloudwatch_metric_alarm.single["kafka-offline"].alarm_name}\")"
  }
  alarm_name        = "${var.name}-${each.key}"
  alarm_description = replace(each.key, "-", " ")
  alarm_rule        = each.value
  alarm_actions     = [aws_sns_topic.this["page"].arn]
  tags              = merge(var.tags, { Name = "${var.name}-${each.key}", DEP = "129" })
}

# --- what happens to the account (DEP-128)

locals {
  events = {
    root-login     = { about = "root login", source = null, pattern = { "detail-type" = ["AWS Console Sign In via CloudTrail"], detail = { userIdentity = { type = ["Root"] } } } }
    break-glass    = { about = "the break-glass role was taken", source = null, pattern = { "detail-type" = ["AWS API Call via CloudTrail"], detail = { eventName = ["AssumeRole", "AssumeRoleWithSAML"], requestParameters = { roleArn = [{ wildcard = "*break-glass*" }] } } } }
    key-in-danger  = { about = "a key was disabled or is to be deleted", source = ["aws.kms"], pattern = { source = ["aws.kms"], detail = { eventName = ["DisableKey", "ScheduleKeyDeletion"] } } }
    trail-stopped  = { about = "the audit trail was stopped", source = ["aws.cloudtrail"], pattern = { source = ["aws.cloudtrail"], detail = { eventName = ["StopLogging", "DeleteTrail", "UpdateTrail"] } } }
    guard-duty     = { about = "GuardDuty finding, medium or worse", source = ["aws.guardduty"], pattern = { source = ["aws.guardduty"], detail = { severity = [{ numeric = [">=", 4] }] } } }
    cache-failover = { about = "the cache failed over", source = ["aws.elasticache"], pattern = { source = ["aws.elasticache"], "detail-type" = ["ElastiCache Replication Group Events"] } }
    database-event = { about = "the database failed over or restarted", source = ["aws.rds"], pattern = { source = ["aws.rds"], detail = { EventCategories = ["failover", "failure"] } } }
  }
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each      = local.events
  name          = "${var.name}-${each.key}"
  description   = each.value.about
  event_pattern = jsonencode(each.value.pattern)
  tags          = merge(var.tags, { Name = "${var.name}-${each.key}", DEP = "013 092 126 128" })
}

# DEP-128
resource "aws_cloudwatch_event_target" "this" {
  for_each = local.events
  rule     = aws_cloudwatch_event_rule.this[each.key].name
  arn      = aws_sns_topic.this["security"].arn
}

# Signing in is recorded in one region alone, and so may be what Identity Center does. From there it
# goes on to the bus of this region, where the rules above see it (DEP-013, DEP-128).
locals {
  elsewhere = { for key in ["root-login", "break-glass"] : key => local.events[key] if var.region != "us-east-1" }
}

resource "aws_cloudwatch_event_rule" "elsewhere" {
  for_each      = local.elsewhere
  provider      = aws.us_east_1
  name          = "${var.name}-${each.key}"
  description   = each.value.about
  event_pattern = jsonencode(each.value.pattern)
  tags          = merge(var.tags, { Name = "${var.name}-${each.key}", DEP = "013 128" })
}

# DEP-128
resource "aws_cloudwatch_event_target" "elsewhere" {
  for_each = local.elsewhere
  provider = aws.us_east_1
  rule     = aws_cloudwatch_event_rule.elsewhere[each.key].name
  arn      = local.bus
  role_arn = aws_iam_role.forward[0].arn
}

locals {
  bus = "arn:aws:events:${var.region}:${var.account_id}:event-bus/default"
}

resource "aws_iam_role" "forward" {
  count = length(local.elsewhere) > 0 ? 1 : 0
  name  = "${var.name}-events"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
  tags                 = merge(var.tags, { Name = "${var.name}-events", DEP = "128" })
  permissions_boundary = "arn:aws:iam::${var.account_id}:policy/${replace(var.name, "/-[a-z]+$/", "")}-boundary"
}

# DEP-128
resource "aws_iam_role_policy" "forward" {
  count = length(local.elsewhere) > 0 ? 1 : 0
  name  = "forward"
  role  = aws_iam_role.forward[0].id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Sid = "Forward", Effect = "Allow", Action = ["events:PutEvents"], Resource = local.bus }]
  })
}

# DEP-128: what the network policies of pods turned away; the add-on writes it to this group.
resource "aws_cloudwatch_log_metric_filter" "denied" {
  name           = "${var.name}-network-policy-denied"
  log_group_name = var.cluster_log_group
  pattern        = "\"Verdict\" \"DENY\""
  metric_transformation {
    name          = "network_policy_denied"
    namespace     = "Florin/Cluster"
    value         = "1"
    default_value = "0"
  }
}

resource "aws_cloudwatch_metric_alarm" "denied" {
  alarm_name          = "${var.name}-network-policy-denied"
  alarm_description   = "a pod was turned away by a network policy, again and again"
  namespace           = "Florin/Cluster"
  metric_name         = aws_cloudwatch_log_metric_filter.denied.metric_transformation[0].name
  statistic           = "Sum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = local.t.denied_packets
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this["security"].arn]
  tags                = merge(var.tags, { Name = "${var.name}-network-policy-denied", DEP = "128" })
}
