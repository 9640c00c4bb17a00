mock_provider "aws" {}

variables {
  name                  = "florin-production"
  environment           = "production"
  budget_monthly_usd    = 7600
  alert_email_addresses = ["ops@example.com"]
  cost_topic_arn        = "arn:aws:sns:us-west-2:111122223333:florin-production-cost"
}

run "dep_132_budget" {
  command = plan
  assert {
    condition     = aws_budgets_budget.this.limit_amount == "7600" && length(aws_budgets_budget.this.notification) == 4
    error_message = "50, 80, 100 % of what was spent, 100 % of the forecast"
  }
  assert {
    condition     = length(aws_ce_anomaly_monitor.this) == 1
    error_message = "anomalies are told"
  }
}

run "dep_132_no_monitor" {
  command = plan
  variables {
    anomaly_usd = 0
  }
  assert {
    condition     = length(aws_ce_anomaly_monitor.this) == 0 && length(aws_ce_anomaly_subscription.this) == 0
    error_message = "0 is no monitor"
  }
}
