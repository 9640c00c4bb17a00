# Two roles per unit: what starts a task, and what runs in it. Part D1 of the contract.

locals {
  trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = var.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:aws:ecs:${var.region}:${var.account_id}:*" }
      }
    }]
  })
  s3     = "s3.${var.region}.amazonaws.com"
  traces = { Sid = "Traces", Effect = "Allow", Action = ["xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"], Resource = "*" }
  via_s3 = { StringEquals = { "kms:ViaService" = local.s3 } }
  grants = {
    none = []
    ticketing = [
      { Sid = "Files", Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject"], Resource = "${var.bucket_arns["blobs"]}/ticketing/*" },
      { Sid = "Temporary", Effect = "Allow", Action = ["s3:DeleteObject"], Resource = "${var.bucket_arns["blobs"]}/ticketing/tmp/*" },
      { Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = var.key_arns["data"], Condition = local.via_s3 },
    ]
    kyc = [
      { Sid = "Documents", Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"], Resource = "${var.bucket_arns["documents"]}/kyc/*" },
      { Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = var.key_arns["documents"], Condition = local.via_s3 },
    ]
    aml = [
      { Sid = "Lists", Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject"], Resource = "${var.bucket_arns["blobs"]}/lists/*" },
      { Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = var.key_arns["data"], Condition = local.via_s3 },
    ]
    workers = [
      { Sid = "Archive", Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject", "s3:PutObjectRetention"], Resource = ["${var.bucket_arns["archive"]}/feed/*", "${var.bucket_arns["backups"]}/exports/*"] },
      { Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = [var.key_arns["archive"], var.key_arns["backup"]], Condition = local.via_s3 },
      { Sid = "Notify", Effect = "Allow", Action = ["sns:Publish"], Resource = var.notify_topic_arn },
    ]
  }
}

resource "aws_iam_role" "execution" {
  for_each             = var.units
  name                 = "${var.name}-${each.key}-execution"
  assume_role_policy   = local.trust
  tags                 = merge(var.tags, { Name = "${var.name}-${each.key}-execution", Unit = each.key, DEP = "055" })
  permissions_boundary = "arn:aws:iam::${var.account_id}:policy/${replace(var.name, "/-[a-z]+$/", "")}-boundary"
}

# DEP-055, part D1: pull the image, write the log, read the unit's own secrets.
resource "aws_iam_role_policy" "execution" {
  for_each = var.units
  name     = "start"
  role     = aws_iam_role.execution[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        { Sid = "Login", Effect = "Allow", Action = ["ecr:GetAuthorizationToken"], Resource = "*" },
        { Sid = "Image", Effect = "Allow", Action = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"], Resource = var.repository_arn },
        { Sid = "Log", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = "arn:aws:logs:${var.region}:${var.account_id}:log-group:${each.value.log_group}:*" },
      ],
      [for arns in [local.secret_arns[each.key]] : { Sid = "Secrets", Effect = "Allow", Action = ["secretsmanager:GetSecretValue"], Resource = arns } if length(arns) > 0],
      [for arns in [local.secret_arns[each.key]] : { Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt"], Resource = var.key_arns["secrets"], Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" } } } if length(arns) > 0],
    )
  })
}

resource "aws_iam_role" "task" {
  for_each             = var.units
  name                 = "${var.name}-${each.key}-task"
  assume_role_policy   = local.trust
  tags                 = merge(var.tags, { Name = "${var.name}-${each.key}-task", Unit = each.key, DEP = "055" })
  permissions_boundary = "arn:aws:iam::${var.account_id}:policy/${replace(var.name, "/-[a-z]+$/", "")}-boundary"
}

# DEP-055, part D1: traces, and what the unit's row grants.
resource "aws_iam_role_policy" "task" {
  for_each = var.units
  name     = "run"
  role     = aws_iam_role.task[each.key].id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat([local.traces], local.grants[each.value.grants])
  })
}
