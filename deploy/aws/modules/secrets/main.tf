# Secrets without values: the names, keys, replicas and rotation. Values are made by
# `florin aws secrets init` and never pass through variables, plan or state.

locals {
  paths = merge([
    for unit, whats in var.units : {
      for what in whats : "${unit}/${what}" => { unit = unit, what = what, path = "florin/${var.environment}/${unit}/${what}" }
    }
  ]...)
  # Users of these stores and keys that sign tokens are rotated; the tag tells `florin aws secrets
  # init` how often. Keys that seal what is kept are not: they are for ever.
  rotated  = { db = var.rotation_days, cache = var.rotation_days, kafka = var.rotation_days, signing-key = var.signing_key_days }
  rotation = var.rotation_image != ""
  # DEP-095: MSK ties a secret to one user, under a name with a prefix of its own. Two users of a
  # unit take turns; which of them it is stands in the unit's own secret.
  broker_users = merge([for unit, whats in var.units : { for which in ["a", "b"] : "${unit}_${which}" => unit if contains(whats, "kafka") }]...)
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
    local.rotation && contains(keys(local.rotated), each.value.what) ? { RotateDays = tostring(local.rotated[each.value.what]) } : {},
  )
}

# The recovery region has no brokers of its own: no replica. `florin aws secrets init` gives them
# their values and shows them to MSK, which takes none that is empty.
resource "aws_secretsmanager_secret" "broker_user" {
  for_each                = local.broker_users
  name                    = "AmazonMSK_florin_${var.environment}_${each.key}"
  description             = "user ${each.key} of the brokers"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.recovery_window_days
  tags                    = merge(var.tags, { Name = "AmazonMSK_florin_${var.environment}_${each.key}", Unit = each.value, DataClass = "secrets", DEP = "081 093 094 095" })
}

# DEP-081, DEP-093: MSK reads the users of its brokers, no unit does.
resource "aws_secretsmanager_secret_policy" "broker_user" {
  for_each   = local.broker_users
  secret_arn = aws_secretsmanager_secret.broker_user[each.key].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AWSKafkaResourcePolicy"
      Effect    = "Allow"
      Principal = { Service = "kafka.amazonaws.com" }
      Action    = "secretsmanager:getSecretValue"
      Resource  = aws_secretsmanager_secret.broker_user[each.key].arn
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
        Resource = concat([for key, s in local.paths : aws_secretsmanager_secret.this[key].arn if contains(keys(local.rotated), s.what)], [for user in aws_secretsmanager_secret.broker_user : user.arn])
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
  count         = local.rotation ? 1 : 0
  function_name = "${var.name}-rotation"
  role          = aws_iam_role.rotation[0].arn
  package_type  = "Image"
  image_uri     = var.rotation_image
  # A new password is tried until the brokers know it, which takes them minutes.
  timeout                        = 900
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
