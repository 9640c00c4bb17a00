output "cloudwatch_dashboard_url" {
  description = "The platform's dashboard."
  value       = "https://${var.region}.console.aws.amazon.com/cloudwatch/home?region=${var.region}#dashboards:name=${aws_cloudwatch_dashboard.this["platform"].dashboard_name}"
}

output "sns_topic_arns" {
  description = "Topics: page, notify, cost, security."
  value       = { for key, topic in aws_sns_topic.this : key => topic.arn }
}

output "alarm_names" {
  description = "All alarms."
  value = concat(
    [for alarm in aws_cloudwatch_metric_alarm.single : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.errors : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.running : alarm.alarm_name],
    [aws_cloudwatch_metric_alarm.waf.alarm_name],
    [for alarm in aws_cloudwatch_composite_alarm.page : alarm.alarm_name],
  )
}

output "rollback_alarms" {
  description = "Alarms that turn a release back, by unit."
  value = { for unit, u in var.units : unit => concat(
    !u.served ? [] : [aws_cloudwatch_metric_alarm.single["${unit}-p95"].alarm_name],
    [aws_cloudwatch_metric_alarm.errors["page"].alarm_name, aws_cloudwatch_metric_alarm.single["ledger-invariant"].alarm_name],
  ) }
}

output "log_group_names" {
  description = "Log groups by unit."
  value       = { for unit, group in aws_cloudwatch_log_group.unit : unit => group.name }
}
