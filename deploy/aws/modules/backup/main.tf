# AWS Backup: a locked vault here, a copy in the recovery region.

resource "aws_backup_vault" "this" {
  name        = var.name
  kms_key_arn = var.kms_key_arn
  tags        = merge(var.tags, { Name = var.name, DEP = "138" })
}

# DEP-138
resource "aws_backup_vault_lock_configuration" "this" {
  backup_vault_name  = aws_backup_vault.this.name
  min_retention_days = var.min_retention_days
  max_retention_days = 400
}

resource "aws_backup_vault" "copy" {
  count       = var.copy_region == "" ? 0 : 1
  provider    = aws.dr
  name        = "${var.name}-copy"
  kms_key_arn = var.copy_kms_key_arn
  tags        = merge(var.tags, { Name = "${var.name}-copy", DEP = "138 140" })
}

resource "aws_iam_role" "backup" {
  name = "${var.name}-backup"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "backup.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
  tags                 = merge(var.tags, { Name = "${var.name}-backup", DEP = "138" })
  permissions_boundary = "arn:aws:iam::${var.account_id}:policy/${replace(var.name, "/-[a-z]+$/", "")}-boundary"
}

# DEP-138
resource "aws_iam_role_policy_attachment" "backup" {
  for_each   = toset(["AWSBackupServiceRolePolicyForBackup", "AWSBackupServiceRolePolicyForRestores"])
  role       = aws_iam_role.backup.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/${each.key}"
}

resource "aws_backup_plan" "this" {
  for_each = var.plans
  name     = "${var.name}-${each.key}"
  rule {
    rule_name         = "daily"
    target_vault_name = aws_backup_vault.this.name
    schedule          = "cron(0 1 * * ? *)"
    start_window      = 60
    completion_window = 480
    lifecycle {
      delete_after = each.value.days
    }
    dynamic "copy_action" {
      for_each = each.value.copy_days > 0 ? aws_backup_vault.copy[*].arn : []
      content {
        destination_vault_arn = copy_action.value
        lifecycle {
          delete_after = each.value.copy_days
        }
      }
    }
  }
  tags = merge(var.tags, { Name = "${var.name}-${each.key}", DEP = "138" })
}

# DEP-138: by tag, and the resources that are named.
resource "aws_backup_selection" "this" {
  for_each     = var.plans
  name         = each.key
  plan_id      = aws_backup_plan.this[each.key].id
  iam_role_arn = aws_iam_role.backup.arn
  resources    = lookup(var.resource_arns, each.key, null)
  dynamic "selection_tag" {
    for_each = contains(keys(var.resource_arns), each.key) ? [] : [1]
    content {
      type  = "STRINGEQUALS"
      key   = "Backup"
      value = each.key
    }
  }
}

# DEP-138: a failed backup is told.
resource "aws_backup_vault_notifications" "this" {
  backup_vault_name   = aws_backup_vault.this.name
  sns_topic_arn       = var.notify_topic_arn
  backup_vault_events = ["BACKUP_JOB_FAILED", "COPY_JOB_FAILED", "RESTORE_JOB_COMPLETED"]
}
