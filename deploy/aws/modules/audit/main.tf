# Who did what (CloudTrail), what changed (Config), what looks wrong (GuardDuty, Inspector).

resource "aws_cloudtrail" "this" {
  name                          = var.name
  s3_bucket_name                = var.bucket
  s3_key_prefix                 = "trail"
  is_multi_region_trail         = true
  include_global_service_events = true
  enable_log_file_validation    = true
  kms_key_id                    = var.log_kms_key_arn
  insight_selector {
    insight_type = "ApiCallRateInsight"
  }
  insight_selector {
    insight_type = "ApiErrorRateInsight"
  }
  event_selector {
    read_write_type           = "All"
    include_management_events = true
    data_resource {
      type   = "AWS::S3::Object"
      values = [for arn in var.watched_bucket_arns : "${arn}/"]
    }
  }
  tags = merge(var.tags, { Name = var.name, DEP = "135" })
}

resource "aws_iam_role" "config" {
  name = "${var.name}-config"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "config.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
  tags                 = merge(var.tags, { Name = "${var.name}-config", DEP = "136" })
  permissions_boundary = "arn:aws:iam::${var.account_id}:policy/${replace(var.name, "/-[a-z]+$/", "")}-boundary"
}

# DEP-136
resource "aws_iam_role_policy_attachment" "config" {
  role       = aws_iam_role.config.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AWS_ConfigRole"
}

# DEP-136
resource "aws_iam_role_policy" "config" {
  name = "deliver"
  role = aws_iam_role.config.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = "s3:PutObject", Resource = "arn:aws:s3:::${var.bucket}/config/*" },
      { Effect = "Allow", Action = "s3:GetBucketAcl", Resource = "arn:aws:s3:::${var.bucket}" },
      { Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = var.log_kms_key_arn },
    ]
  })
}

# DEP-136
resource "aws_config_configuration_recorder" "this" {
  name     = var.name
  role_arn = aws_iam_role.config.arn
  recording_group {
    all_supported                 = true
    include_global_resource_types = true
  }
}

# DEP-136
resource "aws_config_delivery_channel" "this" {
  name           = var.name
  s3_bucket_name = var.bucket
  s3_key_prefix  = "config"
  depends_on     = [aws_config_configuration_recorder.this]
}

# DEP-136
resource "aws_config_configuration_recorder_status" "this" {
  name       = aws_config_configuration_recorder.this.name
  is_enabled = true
  depends_on = [aws_config_delivery_channel.this]
}

resource "aws_config_config_rule" "this" {
  for_each = toset(var.config_rules)
  name     = "${var.name}-${lower(replace(each.key, "_", "-"))}"
  source {
    owner             = "AWS"
    source_identifier = each.key
  }
  tags       = merge(var.tags, { Name = each.key, DEP = "136" })
  depends_on = [aws_config_configuration_recorder.this]
}

resource "aws_guardduty_detector" "this" {
  enable                       = true
  finding_publishing_frequency = "FIFTEEN_MINUTES"
  tags                         = merge(var.tags, { Name = var.name, DEP = "137" })
}

# DEP-137
resource "aws_guardduty_detector_feature" "this" {
  for_each    = toset(["S3_DATA_EVENTS", "EKS_AUDIT_LOGS", "RDS_LOGIN_EVENTS", "LAMBDA_NETWORK_LOGS", "RUNTIME_MONITORING"])
  detector_id = aws_guardduty_detector.this.id
  name        = each.key
  status      = "ENABLED"
}

# DEP-115, DEP-137
resource "aws_inspector2_enabler" "this" {
  account_ids    = [var.account_id]
  resource_types = ["ECR", "EC2", "LAMBDA"]
}

resource "aws_accessanalyzer_analyzer" "this" {
  count         = var.access_analyzer ? 1 : 0
  analyzer_name = var.name
  type          = "ACCOUNT"
  tags          = merge(var.tags, { Name = var.name, DEP = "137" })
}

# DEP-137
resource "aws_securityhub_account" "this" {
  count                    = var.security_hub ? 1 : 0
  enable_default_standards = true
}
