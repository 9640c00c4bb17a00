# Budget and anomalies.

resource "aws_budgets_budget" "this" {
  name         = var.name
  budget_type  = "COST"
  limit_amount = tostring(var.budget_monthly_usd)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"
  dynamic "notification" {
    for_each = concat(
      [for percent in [50, 80, 100] : { percent = percent, kind = "ACTUAL" }],
      [{ percent = 100, kind = "FORECASTED" }],
    )
    content {
      comparison_operator        = "GREATER_THAN"
      threshold                  = notification.value.percent
      threshold_type             = "PERCENTAGE"
      notification_type          = notification.value.kind
      subscriber_email_addresses = var.alert_email_addresses
      subscriber_sns_topic_arns  = [var.cost_topic_arn]
    }
  }
  tags = merge(var.tags, { Name = var.name, DEP = "132" })
}

resource "aws_ce_anomaly_monitor" "this" {
  count             = var.anomaly_usd > 0 ? 1 : 0
  name              = var.name
  monitor_type      = "DIMENSIONAL"
  monitor_dimension = "SERVICE"
  tags              = merge(var.tags, { Name = var.name, DEP = "132" })
}

resource "aws_ce_anomaly_subscription" "this" {
  count            = length(aws_ce_anomaly_monitor.this)
  name             = var.name
  frequency        = "IMMEDIATE"
  monitor_arn_list = [aws_ce_anomaly_monitor.this[0].arn]
  subscriber {
    type    = "SNS"
    address = var.cost_topic_arn
  }
  threshold_expression {
    and {
      dimension {
        key           = "ANOMALY_TOTAL_IMPACT_ABSOLUTE"
        match_options = ["GREATER_THAN_OR_EQUAL"]
        values        = [tostring(var.anomaly_usd)]
      }
    }
    and {
      dimension {
        key           = "ANOMALY_TOTAL_IMPACT_PERCENTAGE"
        match_options = ["GREATER_THAN_OR_EQUAL"]
        values        = ["10"]
      }
    }
  }
  tags = merge(var.tags, { Name = var.name, DEP = "132" })
}
