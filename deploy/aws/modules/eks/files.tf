# Shared files of user networks (Fabric): one file system, a mount target per zone, access points made
# by the driver for each claim.

resource "aws_efs_file_system" "this" {
  creation_token   = "${var.name}-networks"
  encrypted        = true
  kms_key_id       = var.volume_key_arn
  throughput_mode  = "elastic"
  performance_mode = "generalPurpose"
  lifecycle_policy {
    transition_to_ia = "AFTER_30_DAYS"
  }
  tags = merge(var.tags, { Name = "${var.name}-networks", Backup = "files", DEP = "048 138" })
}

# DEP-034, DEP-048: reached from nodes alone.
resource "aws_efs_mount_target" "this" {
  count           = length(var.subnet_ids)
  file_system_id  = aws_efs_file_system.this.id
  subnet_id       = var.subnet_ids[count.index]
  security_groups = var.file_security_group_ids
}

# DEP-048: over TLS, through an access point, never as the whole.
resource "aws_efs_file_system_policy" "this" {
  file_system_id = aws_efs_file_system.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "TlsOnly", Effect = "Deny", Principal = { AWS = "*" }, Action = "*", Resource = aws_efs_file_system.this.arn, Condition = { Bool = { "aws:SecureTransport" = "false" } } },
      { Sid = "Nodes", Effect = "Allow", Principal = { AWS = "arn:aws:iam::${var.account_id}:root" }, Action = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"], Resource = aws_efs_file_system.this.arn, Condition = { Bool = { "elasticfilesystem:AccessedViaMountTarget" = "true" } } },
    ]
  })
}
