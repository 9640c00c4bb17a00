# Topics, log groups, alarms, dashboards, traces.

locals {
  path   = "/${replace(var.name, "-", "/")}"
  topics = toset(["page", "notify", "cost", "security"])
  ecs    = { for unit, u in var.units : unit => u if u.platform == "ecs" }
  served = { for unit, u in var.units : unit => u if u.served }
}

resource "aws_sns_topic" "this" {
  for_each          = local.topics
  name              = "${var.name}-${each.key}"
  kms_master_key_id = var.kms_key_arn
  tags              = merge(var.tags, { Name = "${var.name}-${each.key}", DEP = "129" })
}

# DEP-129: services of AWS publish for this account, over TLS.
resource "aws_sns_topic_policy" "this" {
  for_each = local.topics
  arn      = aws_sns_topic.this[each.key].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Services"
        Effect    = "Allow"
        Principal = { Service = ["cloudwatch.amazonaws.com", "events.amazonaws.com", "budgets.amazonaws.com", "costalerts.amazonaws.com", "backup.amazonaws.com", "elasticache.amazonaws.com"] }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this[each.key].arn
        Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
      },
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this[each.key].arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

# DEP-129
resource "aws_sns_topic_subscription" "mail" {
  for_each  = { for pair in setproduct(local.topics, var.alert_email_addresses) : "${pair[0]}/${pair[1]}" => pair }
  topic_arn = aws_sns_topic.this[each.value[0]].arn
  protocol  = "email"
  endpoint  = each.value[1]
}

resource "aws_cloudwatch_log_group" "unit" {
  for_each          = var.units
  name              = "${local.path}/${each.key}"
  retention_in_days = var.log_days
  kms_key_id        = var.kms_key_arn
  tags              = merge(var.tags, { Name = "${local.path}/${each.key}", Unit = each.key, DEP = "120" })
}

resource "aws_cloudwatch_log_group" "audit" {
  name              = "${local.path}/audit"
  retention_in_days = 400
  kms_key_id        = var.kms_key_arn
  tags              = merge(var.tags, { Name = "${local.path}/audit", DEP = "120" })
}

# DEP-120: the three questions that are asked first.
resource "aws_cloudwatch_query_definition" "this" {
  for_each = {
    errors   = "fields @timestamp, unit, code, trace_id | filter level = 'ERROR' | sort @timestamp desc | limit 100"
    trace    = "fields @timestamp, unit, message | filter trace_id = 'put the id here' | sort @timestamp asc"
    slowest  = "fields @timestamp, unit, route, duration_ms | filter duration_ms > 500 | sort duration_ms desc | limit 100"
    refusals = "stats count() by code | filter outcome = 'refused'"
  }
  name            = "${var.name}/${each.key}"
  query_string    = each.value
  log_group_names = [for group in aws_cloudwatch_log_group.unit : group.name]
}

# DEP-130
resource "aws_xray_group" "this" {
  group_name        = var.name
  filter_expression = "annotation.environment = \"${var.environment}\" AND (error OR fault OR responsetime > 0.5)"
  insights_configuration {
    insights_enabled      = true
    notifications_enabled = true
  }
  tags = merge(var.tags, { Name = var.name, DEP = "130" })
}

resource "aws_xray_sampling_rule" "this" {
  rule_name      = substr(var.name, 0, 32)
  priority       = 1000
  version        = 1
  reservoir_size = 1
  fixed_rate     = 0.05
  host           = "*"
  http_method    = "*"
  resource_arn   = "*"
  service_name   = "florin*"
  service_type   = "*"
  url_path       = "*"
  tags           = merge(var.tags, { Name = var.name, DEP = "130" })
}
