output "dr_endpoints" {
  description = "Endpoints of the recovery region."
  value       = module.dr.dr_endpoints
}

output "cloudwatch_dashboard_url" {
  description = "The standby's dashboard."
  value       = module.observability.cloudwatch_dashboard_url
}
