# Copies in the recovery region, with a time control of 15 minutes.

resource "aws_s3_bucket" "copy" {
  for_each            = local.copies
  provider            = aws.dr
  bucket              = "${var.platform_name}-${var.environment}-${each.key}-dr-${local.suffix}"
  object_lock_enabled = contains(keys(local.locked), each.key)
  tags                = merge(var.tags, { Name = "${var.name}-${each.key}-dr", DataClass = each.key, DEP = "086 090" })
  lifecycle {
    prevent_destroy = true
  }
}

# DEP-086
resource "aws_s3_bucket_public_access_block" "copy" {
  for_each                = local.copies
  provider                = aws.dr
  bucket                  = aws_s3_bucket.copy[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# DEP-090
resource "aws_s3_bucket_versioning" "copy" {
  for_each = local.copies
  provider = aws.dr
  bucket   = aws_s3_bucket.copy[each.key].id
  versioning_configuration {
    status = "Enabled"
  }
}

# DEP-086, DEP-090
resource "aws_s3_bucket_server_side_encryption_configuration" "copy" {
  for_each = local.copies
  provider = aws.dr
  bucket   = aws_s3_bucket.copy[each.key].id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.replica_key_arn
    }
  }
}

# DEP-086
resource "aws_s3_bucket_policy" "copy" {
  for_each = local.copies
  provider = aws.dr
  bucket   = aws_s3_bucket.copy[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = { AWS = "*" }
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.copy[each.key].arn, "${aws_s3_bucket.copy[each.key].arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

# DEP-090: versions of copies are kept for a year.
resource "aws_s3_bucket_lifecycle_configuration" "copy" {
  for_each = local.copies
  provider = aws.dr
  bucket   = aws_s3_bucket.copy[each.key].id
  rule {
    id     = "old-versions"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = 365
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
  depends_on = [aws_s3_bucket_versioning.copy]
}

resource "aws_iam_role" "copy" {
  count = length(local.copies) > 0 ? 1 : 0
  name  = "${var.name}-s3-replication"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
  tags                 = merge(var.tags, { Name = "${var.name}-s3-replication", DEP = "090" })
  permissions_boundary = "arn:aws:iam::${var.account_id}:policy/${replace(var.name, "/-[a-z]+$/", "")}-boundary"
}

# DEP-090
resource "aws_iam_role_policy" "copy" {
  count = length(aws_iam_role.copy)
  name  = "replicate"
  role  = aws_iam_role.copy[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["s3:GetReplicationConfiguration", "s3:ListBucket", "s3:GetObjectRetention", "s3:GetObjectLegalHold"]
        Resource = [for purpose in local.copies : aws_s3_bucket.this[purpose].arn]
      },
      {
        Effect   = "Allow"
        Action   = ["s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging", "s3:GetObjectRetention"]
        Resource = [for purpose in local.copies : "${aws_s3_bucket.this[purpose].arn}/*"]
      },
      {
        Effect   = "Allow"
        Action   = ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"]
        Resource = [for purpose in local.copies : "${aws_s3_bucket.copy[purpose].arn}/*"]
      },
      { Effect = "Allow", Action = "kms:Decrypt", Resource = distinct([for purpose in local.copies : var.buckets[purpose]]) },
      { Effect = "Allow", Action = ["kms:Encrypt", "kms:GenerateDataKey"], Resource = var.replica_key_arn },
    ]
  })
}

# DEP-090
resource "aws_s3_bucket_replication_configuration" "this" {
  for_each = local.copies
  bucket   = aws_s3_bucket.this[each.key].id
  role     = aws_iam_role.copy[0].arn
  rule {
    id       = "recovery"
    status   = "Enabled"
    priority = 1
    filter {}
    delete_marker_replication {
      status = "Enabled"
    }
    source_selection_criteria {
      sse_kms_encrypted_objects {
        status = "Enabled"
      }
    }
    destination {
      bucket        = aws_s3_bucket.copy[each.key].arn
      storage_class = "STANDARD_IA"
      encryption_configuration {
        replica_kms_key_id = var.replica_key_arn
      }
      replication_time {
        status = "Enabled"
        time {
          minutes = 15
        }
      }
      metrics {
        status = "Enabled"
        event_threshold {
          minutes = 15
        }
      }
    }
  }
  depends_on = [aws_s3_bucket_versioning.this, aws_s3_bucket_versioning.copy]
}
