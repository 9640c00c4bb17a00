output "grafana_workspace_endpoint" {
  description = "Where Grafana is, whatever runs it."
  value       = var.monitoring == "managed" ? "https://${aws_grafana_workspace.this[0].endpoint}" : "https://grafana.florin.internal"
}

output "autoscaling_group_name" {
  description = "Group of the host; null without one."
  value       = one(aws_autoscaling_group.host[*].name)
}
