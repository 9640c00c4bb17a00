# Who may deploy (DEP-013, part D1 of the contract). Terraform plans and applies as one of these
# roles: from a workflow of GitHub by OIDC, or from the deploy project of the pipeline. No keys are
# kept anywhere. Whatever such a role makes stands under the same boundary as the role itself, so
# that it cannot give out more than it has.

locals {
  environments = ["staging", "production"]
  # Global services answer in us-east-1.
  regions  = distinct([var.aws_region, var.dr_region, "us-east-1"])
  boundary = "arn:aws:iam::${var.allowed_account_id}:policy/${var.platform_name}-boundary"
  # Services of the modules (part B1 of the contract).
  services = [
    "acm", "access-analyzer", "application-autoscaling", "autoscaling", "backup", "backup-storage", "budgets", "ce", "cloudfront",
    "cloudtrail", "cloudwatch", "codebuild", "codedeploy", "codepipeline", "cognito-idp", "config", "ec2", "ecr",
    "ecs", "eks", "elasticache", "elasticfilesystem", "elasticloadbalancing", "events", "grafana", "guardduty", "iam",
    "inspector2", "kafka", "kms", "lambda", "logs", "rds", "route53", "s3", "scheduler",
    "secretsmanager", "securityhub", "servicediscovery", "servicequotas", "sns", "sqs", "ssm", "wafv2", "xray",
  ]
  reads  = ["Describe*", "Get*", "List*", "BatchGet*"]
  writes = ["Add*", "Associate*", "Attach*", "Authorize*", "Batch*", "Change*", "Create*", "Delete*", "Deregister*", "Detach*", "Disassociate*", "Modify*", "Put*", "Register*", "Remove*", "Replicate*", "Revoke*", "Rotate*", "Run*", "Set*", "Start*", "Stop*", "Subscribe*", "Tag*", "Unsubscribe*", "Untag*", "Update*"]
  # The state, what the pipeline hands on, rules of the monitoring host, and the object of the check.
  readable = concat(["${aws_s3_bucket.state.arn}/*"], [for place in ["*-artifacts-*/*", "*-blobs-*/_check/*", "*-static-*/*"] : "arn:aws:s3:::${var.platform_name}-${place}"])
  # A managed policy holds 6 144 characters.
  portions = chunklist(local.services, 9)
}

# DEP-013: the fence around every role that is made by hand or by Terraform.
resource "aws_iam_policy" "boundary" {
  name        = "${var.platform_name}-boundary"
  description = "the most that a role of ${var.platform_name} may do"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Regions", Effect = "Allow", Action = "*", Resource = "*", Condition = { StringEquals = { "aws:RequestedRegion" = local.regions } } },
      {
        Sid      = "NobodyHasKeys"
        Effect   = "Deny"
        Action   = ["iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:CreateUser", "iam:UpdateLoginProfile", "organizations:*", "account:*"]
        Resource = "*"
      },
      {
        Sid       = "BoundaryStays"
        Effect    = "Deny"
        Action    = ["iam:CreateRole", "iam:PutRolePermissionsBoundary"]
        Resource  = "*"
        Condition = { StringNotEquals = { "iam:PermissionsBoundary" = local.boundary } }
      },
      { Sid = "BoundaryIsOurs", Effect = "Deny", Action = ["iam:DeleteRolePermissionsBoundary"], Resource = "*" },
      {
        Sid      = "BootstrapIsAPersons"
        Effect   = "Deny"
        Action   = ["iam:AttachRolePolicy", "iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:PutRolePolicy", "iam:SetDefaultPolicyVersion", "iam:UpdateAssumeRolePolicy"]
        Resource = [local.boundary, "arn:aws:iam::${var.allowed_account_id}:policy/${var.platform_name}-deploy-*", "arn:aws:iam::${var.allowed_account_id}:role/${var.platform_name}-github-*", "arn:aws:iam::${var.allowed_account_id}:role/${var.platform_name}-deploy-*"]
      },
      { Sid = "OwnAccount", Effect = "Deny", Action = "sts:AssumeRole", NotResource = "arn:aws:iam::${var.allowed_account_id}:role/*" },
      { Sid = "TrailStays", Effect = "Deny", Action = ["cloudtrail:DeleteTrail", "cloudtrail:StopLogging"], Resource = "*" },
      {
        Sid      = "AuditStays"
        Effect   = "Deny"
        Action   = ["s3:BypassGovernanceRetention", "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutBucketObjectLockConfiguration", "s3:PutObjectLegalHold"]
        Resource = ["arn:aws:s3:::${var.platform_name}-*-audit-*", "arn:aws:s3:::${var.platform_name}-*-audit-*/*"]
      },
      {
        # What holds data goes only after a person tagged it.
        Sid       = "DataStays"
        Effect    = "Deny"
        Action    = ["backup:DeleteBackupVault", "ec2:DeleteVolume", "elasticache:DeleteReplicationGroup", "elasticfilesystem:DeleteFileSystem", "kafka:DeleteCluster", "kms:ScheduleKeyDeletion", "rds:DeleteDBCluster", "rds:DeleteDBInstance", "rds:DeleteGlobalCluster", "route53:DeleteHostedZone", "s3:DeleteBucket"]
        Resource  = "*"
        Condition = { StringNotEquals = { "aws:ResourceTag/florin:allow-replace" = "yes" } }
      },
    ]
  })
  tags = { Name = "${var.platform_name}-boundary", DEP = "013" }
}

# DEP-013: what Terraform reads for a plan. Contents of buckets and values of secrets are not part of it.
resource "aws_iam_policy" "plan" {
  name        = "${var.platform_name}-deploy-plan"
  description = "reads what a plan compares"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Read", Effect = "Allow", Action = flatten([for service in local.services : [for verb in slice(local.reads, 0, 3) : "${service}:${verb}"]]), Resource = "*", Condition = { StringEquals = { "aws:RequestedRegion" = local.regions } } },
      { Sid = "NoContents", Effect = "Deny", Action = ["s3:DeleteObject*", "s3:GetObject*", "s3:PutObject*"], NotResource = local.readable },
      { Sid = "NoValues", Effect = "Deny", Action = ["secretsmanager:GetSecretValue"], NotResource = ["arn:aws:secretsmanager:*:${var.allowed_account_id}:secret:${var.platform_name}/*/cache-*", "arn:aws:secretsmanager:*:${var.allowed_account_id}:secret:${var.platform_name}/*/db-*"] },
    ]
  })
  tags = { Name = "${var.platform_name}-deploy-plan", DEP = "013" }
}

# DEP-013: what it makes and changes, service by service, in the regions of the platform.
resource "aws_iam_policy" "apply" {
  count       = length(local.portions)
  name        = "${var.platform_name}-deploy-apply-${count.index + 1}"
  description = "makes and changes resources of the modules"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Make", Effect = "Allow", Action = flatten([for service in local.portions[count.index] : [for verb in local.writes : "${service}:${verb}"]]), Resource = "*", Condition = { StringEquals = { "aws:RequestedRegion" = local.regions } } },
    ]
  })
  tags = { Name = "${var.platform_name}-deploy-apply-${count.index + 1}", DEP = "013" }
}

# DEP-115, DEP-116, DEP-119: what deploy.sh does beside Terraform.
resource "aws_iam_policy" "release" {
  name        = "${var.platform_name}-deploy-release"
  description = "releases, verifies images, passes roles of units"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "State", Effect = "Allow", Action = ["s3:GetObject", "s3:ListBucket", "s3:PutObject"], Resource = [aws_s3_bucket.state.arn, "${aws_s3_bucket.state.arn}/*"] },
      { Sid = "Lock", Effect = "Allow", Action = ["s3:DeleteObject"], Resource = "${aws_s3_bucket.state.arn}/*.tflock" },
      { Sid = "StateKey", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = aws_kms_key.this.arn },
      { Sid = "Handed", Effect = "Allow", Action = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"], Resource = ["arn:aws:s3:::${var.platform_name}-*-artifacts-*/*", "arn:aws:s3:::${var.platform_name}-*-blobs-*/_check/*"] },
      { Sid = "Values", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = "arn:aws:kms:*:${var.allowed_account_id}:key/*", Condition = { StringEquals = { "kms:ViaService" = flatten([for region in local.regions : ["s3.${region}.amazonaws.com", "secretsmanager.${region}.amazonaws.com"]]) } } },
      { Sid = "Logs", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = "arn:aws:logs:*:${var.allowed_account_id}:log-group:/${var.platform_name}/*" },
      { Sid = "Source", Effect = "Allow", Action = ["codeconnections:UseConnection"], Resource = "arn:aws:codeconnections:*:${var.allowed_account_id}:connection/*" },
      { Sid = "Signature", Effect = "Allow", Action = ["kms:Verify"], Resource = aws_kms_key.image.arn },
      {
        Sid       = "Roles"
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = "arn:aws:iam::${var.allowed_account_id}:role/${var.platform_name}-*"
        Condition = { StringEquals = { "iam:PassedToService" = ["backup.amazonaws.com", "codebuild.amazonaws.com", "codedeploy.amazonaws.com", "codepipeline.amazonaws.com", "config.amazonaws.com", "ec2.amazonaws.com", "ecs-tasks.amazonaws.com", "eks.amazonaws.com", "eks-fargate-pods.amazonaws.com", "grafana.amazonaws.com", "lambda.amazonaws.com", "monitoring.rds.amazonaws.com", "rds.amazonaws.com", "s3.amazonaws.com", "scheduler.amazonaws.com"] } }
      },
    ]
  })
  tags = { Name = "${var.platform_name}-deploy-release", DEP = "013 115 116 119" }
}

# --- workflows of GitHub (DEP-118)

resource "aws_iam_openid_connect_provider" "github" {
  count           = var.github_repository == "" ? 0 : 1
  url             = "https://token.actions.githubusercontent.com"
  client_id_list  = ["sts.amazonaws.com"]
  thumbprint_list = ["6938fd4d98bab03faadb97b34396831e3780aea1"]
  tags            = { Name = "github", DEP = "013 118" }
}

resource "aws_iam_role" "github" {
  for_each = var.github_repository == "" ? toset([]) : toset(local.environments)
  name     = "${var.platform_name}-github-${each.key}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = aws_iam_openid_connect_provider.github[0].arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = { StringEquals = {
        "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
        # The subject is an environment of the pipeline: its reviewers stand before the role.
        "token.actions.githubusercontent.com:sub" = "repo:${var.github_repository}:environment:${each.key}"
      } }
    }]
  })
  permissions_boundary = local.boundary
  max_session_duration = 3600
  tags                 = { Name = "${var.platform_name}-github-${each.key}", DEP = "013 118" }
  depends_on           = [aws_iam_policy.boundary]
}

# DEP-118: the workflow also builds, signs and pushes the image.
resource "aws_iam_role_policy" "github" {
  for_each = aws_iam_role.github
  name     = "image"
  role     = each.value.id
  policy   = jsonencode({ Version = "2012-10-17", Statement = local.image_statements })
}

# --- the deploy project of the pipeline (DEP-116)

resource "aws_iam_role" "deploy" {
  for_each = toset(local.environments)
  name     = "${var.platform_name}-deploy-${each.key}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "codebuild.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.allowed_account_id }, ArnLike = { "aws:SourceArn" = "arn:aws:codebuild:*:${var.allowed_account_id}:project/${var.platform_name}-*-deploy-${each.key}" } }
    }]
  })
  permissions_boundary = local.boundary
  max_session_duration = 3600
  tags                 = { Name = "${var.platform_name}-deploy-${each.key}", DEP = "013 116 117" }
  depends_on           = [aws_iam_policy.boundary]
}

locals {
  deployers = merge({ for name, role in aws_iam_role.deploy : "deploy-${name}" => role.name }, { for name, role in aws_iam_role.github : "github-${name}" => role.name })
  # Names, since ARNs are known only after the first apply.
  grants = concat(["plan", "release"], [for number in range(length(local.portions)) : "apply-${number + 1}"])
}

# DEP-013, DEP-116, DEP-118
resource "aws_iam_role_policy_attachment" "deploy" {
  for_each   = { for pair in setproduct(concat([for e in local.environments : "deploy-${e}"], var.github_repository == "" ? [] : [for e in local.environments : "github-${e}"]), local.grants) : "${pair[0]}/${pair[1]}" => { who = pair[0], grant = pair[1] } }
  role       = local.deployers[each.value.who]
  policy_arn = "arn:aws:iam::${var.allowed_account_id}:policy/${var.platform_name}-deploy-${each.value.grant}"
  depends_on = [aws_iam_policy.plan, aws_iam_policy.apply, aws_iam_policy.release]
}

# --- people (DEP-013): permission sets of Identity Center, where its instance is named

resource "aws_ssoadmin_permission_set" "this" {
  for_each = var.sso_instance_arn == "" ? {} : {
    platform    = { hours = 8, about = "reads, and looks into logs and metrics" }
    break-glass = { hours = 1, about = "everything inside the boundary; taking it rings" }
  }
  name             = "${var.platform_name}-${each.key}"
  description      = each.value.about
  instance_arn     = var.sso_instance_arn
  session_duration = "PT${each.value.hours}H"
  tags             = { Name = "${var.platform_name}-${each.key}", DEP = "013" }
}

# DEP-013
resource "aws_ssoadmin_customer_managed_policy_attachment" "this" {
  for_each           = { for pair in(var.sso_instance_arn == "" ? [] : concat([["platform", "plan"]], [for grant in local.grants : ["break-glass", grant]])) : "${pair[0]}/${pair[1]}" => { set = pair[0], grant = pair[1] } }
  instance_arn       = var.sso_instance_arn
  permission_set_arn = aws_ssoadmin_permission_set.this[each.value.set].arn
  customer_managed_policy_reference {
    name = "${var.platform_name}-deploy-${each.value.grant}"
  }
  depends_on = [aws_iam_policy.plan, aws_iam_policy.apply, aws_iam_policy.release]
}

# DEP-013: both stand behind the same fence as the roles of machines.
resource "aws_ssoadmin_permissions_boundary_attachment" "this" {
  for_each           = aws_ssoadmin_permission_set.this
  instance_arn       = var.sso_instance_arn
  permission_set_arn = each.value.arn
  permissions_boundary {
    customer_managed_policy_reference {
      name = aws_iam_policy.boundary.name
    }
  }
}
