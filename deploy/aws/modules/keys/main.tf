# Customer keys, one per class of data, so that a mistake with one reaches one class.

locals {
  root = "arn:aws:iam::${var.account_id}:root"
  # Services through which a key may be used. Empty: called directly by roles that are granted it.
  via = {
    data         = ["rds", "elasticache", "kafka", "s3", "ec2", "sqs", "elasticfilesystem", "ecr", "autoscaling"]
    documents    = ["s3"]
    secrets      = ["secretsmanager", "eks", "ssm"]
    logs         = ["logs", "s3", "sns", "cloudtrail"]
    archive      = ["s3"]
    backup       = ["backup", "rds", "s3"]
    networks     = ["s3", "secretsmanager", "ec2", "elasticfilesystem"]
    vault-unseal = []
  }
  # Services that use a key in their own name.
  services = {
    data         = ["ecr.amazonaws.com"]
    documents    = []
    secrets      = []
    logs         = ["logs.${var.region}.amazonaws.com", "delivery.logs.amazonaws.com", "cloudtrail.amazonaws.com", "cloudwatch.amazonaws.com", "events.amazonaws.com", "budgets.amazonaws.com", "costalerts.amazonaws.com", "backup.amazonaws.com", "elasticache.amazonaws.com"]
    archive      = []
    backup       = ["backup.amazonaws.com"]
    networks     = []
    vault-unseal = []
  }
  uses = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey", "kms:CreateGrant"]
}

resource "aws_kms_key" "this" {
  for_each                = local.via
  description             = "${var.name} ${each.key}"
  enable_key_rotation     = true
  rotation_period_in_days = 365
  deletion_window_in_days = var.deletion_window_days
  multi_region            = contains(var.multi_region, each.key)
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "Administration"
        Effect    = "Allow"
        Principal = { AWS = concat([local.root], var.admins) }
        Action    = ["kms:Create*", "kms:Describe*", "kms:Enable*", "kms:List*", "kms:Put*", "kms:Update*", "kms:Revoke*", "kms:Disable*", "kms:Get*", "kms:TagResource", "kms:UntagResource", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion", "kms:ReplicateKey", "kms:RotateKeyOnDemand"]
        Resource  = "*"
      }],
      # Roles are granted this key by name in their own policies.
      [for root in [local.root] : {
        Sid       = "OwnAccountByPolicy"
        Effect    = "Allow"
        Principal = { AWS = root }
        Action    = ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"]
        Resource  = "*"
      } if length(each.value) == 0],
      [for root in [local.root] : {
        Sid       = "ThroughServicesOnly"
        Effect    = "Allow"
        Principal = { AWS = root }
        Action    = local.uses
        Resource  = "*"
        Condition = { StringEquals = {
          "kms:CallerAccount" = var.account_id
          "kms:ViaService"    = [for service in each.value : "${service}.${var.region}.amazonaws.com"]
        } }
      } if length(each.value) > 0],
      # Scaling groups start instances with encrypted disks by a role of AWS's own, which has no
      # policy that we could write.
      [for account in [var.account_id] : {
        Sid       = "ScalingGroups"
        Effect    = "Allow"
        Principal = { AWS = "*" }
        Action    = local.uses
        Resource  = "*"
        Condition = {
          StringEquals = { "kms:CallerAccount" = account }
          ArnLike      = { "aws:PrincipalArn" = "arn:aws:iam::${account}:role/aws-service-role/autoscaling.amazonaws.com/*" }
        }
      } if each.key == "data"],
      length(local.services[each.key]) == 0 ? [] : [{
        Sid       = "Services"
        Effect    = "Allow"
        Principal = { Service = local.services[each.key] }
        Action    = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
      }],
      each.key != "logs" ? [] : [{
        # CloudWatch Logs names its log group instead of an account.
        Sid       = "LogGroups"
        Effect    = "Allow"
        Principal = { Service = "logs.${var.region}.amazonaws.com" }
        Action    = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
        Resource  = "*"
        Condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:aws:logs:${var.region}:${var.account_id}:*" } }
      }],
    )
  })
  tags = merge(var.tags, { Name = "${var.name}-${each.key}", DataClass = each.key, DEP = "092" })
}

# DEP-092: names that people can read.
resource "aws_kms_alias" "this" {
  for_each      = local.via
  name          = "alias/${var.name}-${each.key}"
  target_key_id = aws_kms_key.this[each.key].key_id
}

resource "aws_kms_replica_key" "dr" {
  for_each                = toset(var.multi_region)
  provider                = aws.dr
  description             = "${var.name} ${each.key}, replica"
  primary_key_arn         = aws_kms_key.this[each.key].arn
  deletion_window_in_days = var.deletion_window_days
  tags                    = merge(var.tags, { Name = "${var.name}-${each.key}", DataClass = each.key, DEP = "092 140" })
}

# What is copied to the recovery region is encrypted with a key of that region.
resource "aws_kms_key" "dr" {
  provider                = aws.dr
  description             = "${var.name} copies"
  enable_key_rotation     = true
  rotation_period_in_days = 365
  deletion_window_in_days = var.deletion_window_days
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Account"
      Effect    = "Allow"
      Principal = { AWS = local.root }
      Action    = "kms:*"
      Resource  = "*"
    }]
  })
  tags = merge(var.tags, { Name = "${var.name}-copies", DEP = "090 092 138" })
}
