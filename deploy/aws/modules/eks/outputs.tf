output "cluster_name" {
  description = "The cluster."
  value       = aws_eks_cluster.this.name
}

output "oidc_provider_arn" {
  description = "Issuer of the service accounts' tokens."
  value       = aws_iam_openid_connect_provider.this.arn
}

output "service_account_role_arns" {
  description = "Roles by service account."
  value       = { for account, role in aws_iam_role.service_account : account => role.arn }
}

output "cert_manager_role_arn" {
  description = "Role of cert-manager; null when the component is not used."
  value       = try(aws_iam_role.service_account["cert-manager"].arn, null)
}

output "file_system_id" {
  description = "Shared files of user networks."
  value       = aws_efs_file_system.this.id
}

output "log_group_name" {
  description = "Where control plane and network agent write."
  value       = aws_cloudwatch_log_group.control_plane.name
}

output "scaling_groups" {
  description = "Scaling group of each node group, as EC2 measures it."
  value       = { for name, group in aws_eks_node_group.this : name => try(group.resources[0].autoscaling_groups[0].name, name) }
}
