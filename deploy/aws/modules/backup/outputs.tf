output "vault_arns" {
  description = "Vaults: here, and the copy."
  value       = merge({ here = aws_backup_vault.this.arn }, { for i, vault in aws_backup_vault.copy : "copy" => vault.arn })
}
