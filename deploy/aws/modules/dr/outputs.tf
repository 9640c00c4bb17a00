output "dr_endpoints" {
  description = "Endpoints of the recovery region."
  value       = var.endpoints
}
