# Buckets: one per class of data, versioned, encrypted, TLS only, nothing public.

locals {
  suffix = substr(sha256(var.account_id), 0, 8)
  names  = { for purpose, _ in var.buckets : purpose => "${var.platform_name}-${var.environment}-${purpose}-${local.suffix}" }
  copies = var.replica_region == "" ? toset([]) : toset([for p in var.replicated : p if contains(keys(var.buckets), p)])
  locked = { for purpose, lock in {
    archive = { mode = var.object_lock_mode, years = var.object_lock_years, days = var.object_lock_years == 0 ? 1 : 0 }
    audit   = { mode = "GOVERNANCE", years = 0, days = var.audit_lock_days }
  } : purpose => lock if contains(keys(var.buckets), purpose) }
  # How the objects of a purpose age.
  tiering = ["blobs", "documents", "static"]
  ladder  = ["archive", "backups", "logs"]
  expiry  = { logs = 400, backups = 365 }

  # Services that write into a bucket in their own name.
  deliveries = {
    logs = [
      { sid = "LoadBalancer", service = "logdelivery.elasticloadbalancing.amazonaws.com", action = "s3:PutObject" },
      { sid = "FlowLogs", service = "delivery.logs.amazonaws.com", action = "s3:PutObject" },
      { sid = "FlowLogsAcl", service = "delivery.logs.amazonaws.com", action = "s3:GetBucketAcl" },
      { sid = "AccessLogs", service = "logging.s3.amazonaws.com", action = "s3:PutObject" },
    ]
    audit = [
      { sid = "TrailAcl", service = "cloudtrail.amazonaws.com", action = "s3:GetBucketAcl" },
      { sid = "Trail", service = "cloudtrail.amazonaws.com", action = "s3:PutObject" },
      { sid = "ConfigAcl", service = "config.amazonaws.com", action = "s3:GetBucketAcl" },
      { sid = "Config", service = "config.amazonaws.com", action = "s3:PutObject" },
    ]
  }
}

resource "aws_s3_bucket" "this" {
  for_each            = var.buckets
  bucket              = local.names[each.key]
  object_lock_enabled = contains(keys(local.locked), each.key)
  tags                = merge(var.tags, { Name = local.names[each.key], DataClass = each.key, DEP = "085 086" })
  lifecycle {
    prevent_destroy = true
  }
}

# DEP-086
resource "aws_s3_bucket_public_access_block" "this" {
  for_each                = var.buckets
  bucket                  = aws_s3_bucket.this[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# DEP-086
resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = var.buckets
  bucket   = aws_s3_bucket.this[each.key].id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

# DEP-086
resource "aws_s3_bucket_versioning" "this" {
  for_each = var.buckets
  bucket   = aws_s3_bucket.this[each.key].id
  versioning_configuration {
    status = "Enabled"
  }
}

# DEP-086, DEP-092
resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = var.buckets
  bucket   = aws_s3_bucket.this[each.key].id
  rule {
    bucket_key_enabled = each.value != ""
    apply_server_side_encryption_by_default {
      sse_algorithm     = each.value == "" ? "AES256" : "aws:kms"
      kms_master_key_id = each.value == "" ? null : each.value
    }
  }
}

# DEP-086: TLS only; and what services of AWS may write.
resource "aws_s3_bucket_policy" "this" {
  for_each = var.buckets
  bucket   = aws_s3_bucket.this[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.this[each.key].arn, "${aws_s3_bucket.this[each.key].arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
      [for d in lookup(local.deliveries, each.key, []) : {
        Sid       = d.sid
        Effect    = "Allow"
        Principal = { Service = d.service }
        Action    = d.action
        Resource  = d.action == "s3:PutObject" ? "${aws_s3_bucket.this[each.key].arn}/*" : aws_s3_bucket.this[each.key].arn
        Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
      }],
    )
  })
  depends_on = [aws_s3_bucket_public_access_block.this]
}

# DEP-086: who read what. The log bucket does not log itself.
resource "aws_s3_bucket_logging" "this" {
  for_each      = { for purpose, _ in var.buckets : purpose => true if !contains(["logs"], purpose) }
  bucket        = aws_s3_bucket.this[each.key].id
  target_bucket = aws_s3_bucket.this["logs"].id
  target_prefix = "access/${each.key}/"
  depends_on    = [aws_s3_bucket_policy.this]
}

# DEP-086, DEP-087, DEP-088
resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = var.buckets
  bucket   = aws_s3_bucket.this[each.key].id
  rule {
    id     = "broken-uploads"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
  dynamic "rule" {
    for_each = contains(local.tiering, each.key) ? [1] : []
    content {
      id     = "tiering"
      status = "Enabled"
      filter {}
      transition {
        days          = 0
        storage_class = "INTELLIGENT_TIERING"
      }
      noncurrent_version_expiration {
        noncurrent_days = 90
      }
    }
  }
  dynamic "rule" {
    for_each = contains(local.ladder, each.key) ? [1] : []
    content {
      id     = "ladder"
      status = "Enabled"
      filter {}
      transition {
        days          = var.ladder_days[0]
        storage_class = "STANDARD_IA"
      }
      transition {
        days          = var.ladder_days[1]
        storage_class = "GLACIER"
      }
      transition {
        days          = var.ladder_days[2]
        storage_class = "DEEP_ARCHIVE"
      }
      dynamic "expiration" {
        for_each = lookup(local.expiry, each.key, 0) > 0 ? [local.expiry[each.key]] : []
        content {
          days = expiration.value
        }
      }
    }
  }
  depends_on = [aws_s3_bucket_versioning.this]
}

# DEP-089, DEP-135: proof outlives the database.
resource "aws_s3_bucket_object_lock_configuration" "this" {
  for_each = local.locked
  bucket   = aws_s3_bucket.this[each.key].id
  rule {
    default_retention {
      mode  = each.value.mode
      years = each.value.years > 0 ? each.value.years : null
      days  = each.value.days > 0 ? each.value.days : null
    }
  }
  depends_on = [aws_s3_bucket_versioning.this]
}

# DEP-091: browsers upload and show from the console only.
resource "aws_s3_bucket_cors_configuration" "this" {
  for_each = toset([for purpose in ["blobs", "documents"] : purpose if contains(keys(var.buckets), purpose)])
  bucket   = aws_s3_bucket.this[each.key].id
  cors_rule {
    allowed_origins = var.cors_origins
    allowed_methods = ["GET", "PUT"]
    allowed_headers = ["content-type", "content-md5", "x-amz-checksum-sha256"]
    expose_headers  = ["ETag"]
    max_age_seconds = 600
  }
}

# DEP-128: uploads and deletions as events.
resource "aws_s3_bucket_notification" "this" {
  for_each    = toset([for purpose in ["documents", "archive", "audit"] : purpose if contains(keys(var.buckets), purpose)])
  bucket      = aws_s3_bucket.this[each.key].id
  eventbridge = true
}
