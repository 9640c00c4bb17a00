mock_provider "aws" {}
mock_provider "aws" {
  alias = "dr"
}

variables {
  name             = "florin-production"
  environment      = "production"
  account_id       = "111122223333"
  copy_region      = "us-east-1"
  kms_key_arn      = "arn:aws:kms:us-west-2:111122223333:key/00000000-0000-4000-8000-000000000001"
  copy_kms_key_arn = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-4000-8000-000000000002"
  notify_topic_arn = "arn:aws:sns:us-west-2:111122223333:florin-production-notify"
}

run "dep_138_backups" {
  command = plan
  assert {
    condition     = one(aws_backup_plan.this["database"].rule).lifecycle[0].delete_after == 30 && one(aws_backup_plan.this["networks"].rule).lifecycle[0].delete_after == 7
    error_message = "30 days for the database, 7 for disks of networks"
  }
  assert {
    condition     = length(aws_backup_vault.copy) == 1 && aws_backup_vault_lock_configuration.this.min_retention_days == 7
    error_message = "a copy elsewhere, and a lock"
  }
}
