output "secret_arns" {
  description = "Secrets by <unit>/<what>; never values."
  value       = { for key, secret in aws_secretsmanager_secret.this : key => secret.arn }
}

output "rotation_function_arn" {
  description = "The rotation function; null without an image."
  value       = one(aws_lambda_function.rotation[*].arn)
}
