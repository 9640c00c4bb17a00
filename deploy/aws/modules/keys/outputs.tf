output "key_arns" {
  description = "Keys by purpose."
  value       = { for purpose, key in aws_kms_key.this : purpose => key.arn }
}

output "kms_key_id" {
  description = "The key that unseals Vault, by the name that the guides use."
  value       = aws_kms_key.this["vault-unseal"].key_id
}

output "dr_key_arn" {
  description = "Key of copies in the recovery region."
  value       = aws_kms_key.dr.arn
}

output "dr_replica_arns" {
  description = "Replicas of multi-region keys by purpose."
  value       = { for purpose, key in aws_kms_replica_key.dr : purpose => key.arn }
}
