output "pipeline_name" {
  description = "The pipeline; null without a connection."
  value       = one(aws_codepipeline.this[*].name)
}
