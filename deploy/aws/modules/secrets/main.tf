# Secrets without values: the names, keys, replicas and rotation. Values are made by
# `florin aws secrets init` and never pass through variables, plan or state.

locals {
  # MSK insists on a prefix of its own for SCRAM users.
  paths = merge([
    for unit, whats in var.units : {
      for what in whats : "${unit}/${what}" => {
        unit = unit
        what = what
        path = what == "kafka" ? "AmazonMSK_florin_${var.environment}_${unit}" : "florin/${var.environment}/${unit}/${what}"
      }
    }
  ]...)
  # Users of these stores are rotated; the tag tells `florin aws secrets init` how often.
  rotated  = toset(["db", "cache"])
  rotation = var.rotation_image != ""
}

resource "aws_secretsmanager_secret" "this" {
  for_each                = local.paths
  name                    = each.value.path
  description             = "${each.value.what} of unit ${each.value.unit}"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.recovery_window_days
  dynamic "replica" {
    for_each = var.replica_region == "" ? [] : [1]
    content {
      region     = var.replica_region
      kms_key_id = var.replica_key_arn
    }
  }
  tags = merge(
    var.tags, { Name = each.value.path, Unit = each.value.unit, DataClass = "secrets", DEP = "093 094 095 097" },
    local.rotation && contains(local.rotated, each.value.what) ? { RotateDays = tostring(var.rotation_days) } : {},
  )
}

# DEP-081, DEP-093: MSK reads the users of its brokers, nobody else does.
resource "aws_secretsmanager_secret_policy" "kafka" {
  for_each   = { for key, s in local.paths : key => s if s.what == "kafka" }
  secret_arn = aws_secretsmanager_secret.this[each.key].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AWSKafkaResourcePolicy"
      Effect    = "Allow"
      Principal = { Service = "kafka.amazonaws.com" }
      Action    = "secretsmanager:getSecretValue"
      Resource  = aws_secretsmanager_secret.this[each.key].arn
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
}

# --- rotation: a function of Florin's own image, in the private subnets.

resource "aws_sqs_queue" "dead" {
  count                             = local.rotation ? 1 : 0
  name                              = "${var.name}-rotation-dead"
  message_retention_seconds         = 1209600
  kms_master_key_id                 = var.dead_letter_key_arn
  kms_data_key_reuse_period_seconds = 300
  tags                              = merge(var.tags, { Name = "${var.name}-rotation-dead", DEP = "096" })
}

resource "aws_iam_role" "rotation" {
  count = local.rotation ? 1 : 0
  name  = "${var.name}-rotation"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
  tags                 = merge(var.tags, { Name = "${var.name}-rotation", DEP = "096" })
  permissions_boundary = "arn:aws:iam::${var.account_id}:policy/${replace(var.name, "/-[a-z]+$/", "")}-boundary"
}

# DEP-096, part D1 of the contract.
resource "aws_iam_role_policy" "rotation" {
  count = local.rotation ? 1 : 0
  name  = "rotate"
  role  = aws_iam_role.rotation[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Secrets"
        Effect   = "Allow"
        Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"]
        Resource = [for key, s in local.paths : aws_secretsmanager_secret.this[key].arn if contains(["db", "cache", "kafka"], s.what)]
      },
      # The master user makes and changes users of units; RDS itself rotates it (DEP-095).
      { Sid = "Master", Effect = "Allow", Action = "secretsmanager:GetSecretValue", Resource = var.master_secret_arn },
      { Sid = "Random", Effect = "Allow", Action = "secretsmanager:GetRandomPassword", Resource = "*" },
      { Sid = "CacheUsers", Effect = "Allow", Action = "elasticache:ModifyUser", Resource = "arn:aws:elasticache:${var.region}:${var.account_id}:user:${var.name}-*" },
      { Sid = "Keys", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = var.kms_key_arn },
      { Sid = "Dead", Effect = "Allow", Action = "sqs:SendMessage", Resource = aws_sqs_queue.dead[0].arn },
      { Sid = "Logs", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = "arn:aws:logs:${var.region}:${var.account_id}:log-group:/aws/lambda/${var.name}-rotation:*" },
      # A function in a VPC makes and removes its own network interfaces; they have no names.
      { Sid = "Interfaces", Effect = "Allow", Action = ["ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DeleteNetworkInterface"], Resource = "*" },
    ]
  })
}

resource "aws_lambda_function" "rotation" {
  count                          = local.rotation ? 1 : 0
  function_name                  = "${var.name}-rotation"
  role                           = aws_iam_role.rotation[0].arn
  package_type                   = "Image"
  image_uri                      = var.rotation_image
  timeout                        = 60
  memory_size                    = 256
  reserved_concurrent_executions = 1
  image_config {
    command = ["aws", "rotate"]
  }
  environment {
    variables = { FLORIN_MASTER_SECRET = var.master_secret_arn }
  }
  dead_letter_config {
    target_arn = aws_sqs_queue.dead[0].arn
  }
  vpc_config {
    subnet_ids         = var.subnet_ids
    security_group_ids = [var.security_group_id]
  }
  tracing_config {
    mode = "Active"
  }
  tags = merge(var.tags, { Name = "${var.name}-rotation", DEP = "095 096" })
}

# DEP-096: only Secrets Manager calls it.
resource "aws_lambda_permission" "rotation" {
  count          = local.rotation ? 1 : 0
  statement_id   = "SecretsManager"
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.rotation[0].function_name
  principal      = "secretsmanager.amazonaws.com"
  source_account = var.account_id
}

# DEP-095: a secret without a value cannot be rotated, and values are made after this. So rotation is
# switched on by `florin aws secrets init`, when it makes the value; the period stands in a tag.
