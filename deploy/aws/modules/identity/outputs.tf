output "issuer_url" {
  description = "OIDC issuer; empty: Florin's own users."
  value       = var.cognito ? "https://cognito-idp.${var.region}.amazonaws.com/${aws_cognito_user_pool.this[0].id}" : var.issuer_url
}

output "user_pool_id" {
  description = "The user pool; null without one."
  value       = one(aws_cognito_user_pool.this[*].id)
}
