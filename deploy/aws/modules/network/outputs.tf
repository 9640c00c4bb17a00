output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "public_subnet_ids" {
  description = "Subnets of load balancers and NAT, one per zone."
  value       = [for i in [1, 2, 3] : aws_subnet.this["public-${i}"].id]
}

output "private_subnet_ids" {
  description = "Subnets of tasks, functions and endpoints, one per zone."
  value       = [for i in [1, 2, 3] : aws_subnet.this["private-${i}"].id]
}

output "pod_subnet_ids" {
  description = "Subnets of nodes and pods, one per zone."
  value       = [for i in [1, 2, 3] : aws_subnet.this["pods-${i}"].id]
}

output "database_subnet_ids" {
  description = "Subnets without a way out, one per zone."
  value       = [for i in [1, 2, 3] : aws_subnet.this["database-${i}"].id]
}

output "security_group_ids" {
  description = "Security groups by name: alb-public, alb-internal, nodes, cluster, database, cache, kafka, efs, endpoints, rotation, monitoring, unit-<unit>."
  value       = { for key, group in aws_security_group.this : key => group.id }
}

output "flow_log_id" {
  description = "The flow log."
  value       = aws_flow_log.this.id
}
