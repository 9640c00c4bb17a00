output "bootstrap_brokers" {
  description = "Brokers for clients with SASL/SCRAM over TLS, port 9096."
  value       = aws_msk_cluster.this.bootstrap_brokers_sasl_scram
}

output "kafka_arn" {
  description = "ARN of the cluster."
  value       = aws_msk_cluster.this.arn
}

output "kafka_cluster_name" {
  description = "Name of the cluster."
  value       = aws_msk_cluster.this.cluster_name
}
