# Source, build and test, scan, staging, checks, a person's approval, production, check.

locals {
  on = var.connection_arn != "" ? 1 : 0
  # Only the image project may be privileged; only the deploy project stands in the VPC.
  projects = local.on == 0 ? {} : {
    test              = { spec = "deploy/aws/pipeline/buildspec-test.yml", privileged = false, vpc = false }
    image             = { spec = "deploy/aws/pipeline/buildspec-image.yml", privileged = true, vpc = false }
    deploy-staging    = { spec = "deploy/aws/pipeline/buildspec-deploy.yml", privileged = false, vpc = true }
    deploy-production = { spec = "deploy/aws/pipeline/buildspec-deploy.yml", privileged = false, vpc = true }
  }
  log_group = "/${replace(var.name, "-", "/")}/build"
  # Deploy projects take the roles that bootstrap/ made: they may not change their own rights.
  building      = { for key, project in local.projects : key => project if !project.vpc }
  platform      = replace(var.name, "/-[a-z]+$/", "")
  state_bucket  = "arn:aws:s3:::${local.platform}-tfstate-${var.account_id}-${var.region}"
  any_key       = "arn:aws:kms:${var.region}:${var.account_id}:key/*"
  project_roles = merge({ for key, role in aws_iam_role.build : key => role.arn }, { for key, project in local.projects : key => "arn:aws:iam::${var.account_id}:role/${local.platform}-${key}" if project.vpc })
}

resource "aws_cloudwatch_log_group" "build" {
  count             = local.on
  name              = local.log_group
  retention_in_days = 90
  kms_key_id        = var.log_kms_key_arn
  tags              = merge(var.tags, { Name = local.log_group, DEP = "117 120" })
}

resource "aws_iam_role" "build" {
  for_each = local.building
  name     = "${var.name}-build-${each.key}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "codebuild.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
  tags                 = merge(var.tags, { Name = "${var.name}-build-${each.key}", DEP = "117" })
  permissions_boundary = "arn:aws:iam::${var.account_id}:policy/${replace(var.name, "/-[a-z]+$/", "")}-boundary"
}

# DEP-117, part D1 of the contract.
resource "aws_iam_role_policy" "build" {
  for_each = local.building
  name     = "build"
  role     = aws_iam_role.build[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        { Sid = "Log", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = "${aws_cloudwatch_log_group.build[0].arn}:*" },
        { Sid = "Artifacts", Effect = "Allow", Action = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"], Resource = "${var.artifacts_bucket_arn}/*" },
        { Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = var.artifacts_key_arn },
        { Sid = "Source", Effect = "Allow", Action = ["codeconnections:UseConnection"], Resource = var.connection_arn },
      ],
      [for statement in [
        { Sid = "Login", Effect = "Allow", Action = ["ecr:GetAuthorizationToken"], Resource = "*" },
        { Sid = "Push", Effect = "Allow", Action = ["ecr:BatchCheckLayerAvailability", "ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:DescribeImageScanFindings", "ecr:DescribeImages"], Resource = var.repository_arn },
        # DEP-115: signature and SBOM lie beside the state, named by the image's digest.
        { Sid = "Sign", Effect = "Allow", Action = ["kms:Sign"], Resource = local.any_key, Condition = { "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = "alias/${local.platform}-image" } } },
        { Sid = "Beside", Effect = "Allow", Action = ["s3:PutObject"], Resource = "${local.state_bucket}/images/*" },
        { Sid = "BesideKey", Effect = "Allow", Action = ["kms:GenerateDataKey"], Resource = local.any_key, Condition = { "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = "alias/${local.platform}-bootstrap" } } },
      ] : statement if each.key == "image"],
    )
  })
}

resource "aws_codebuild_project" "this" {
  for_each       = local.projects
  name           = "${var.name}-${each.key}"
  description    = each.key
  service_role   = local.project_roles[each.key]
  build_timeout  = 60
  encryption_key = var.artifacts_key_arn
  artifacts {
    type = "CODEPIPELINE"
  }
  source {
    type      = "CODEPIPELINE"
    buildspec = each.value.spec
  }
  environment {
    type            = "LINUX_CONTAINER"
    compute_type    = each.key == "test" ? "BUILD_GENERAL1_LARGE" : "BUILD_GENERAL1_SMALL"
    image           = var.build_image
    privileged_mode = each.value.privileged
    environment_variable {
      name  = "FLORIN_STATE_BUCKET"
      value = replace(local.state_bucket, "arn:aws:s3:::", "")
    }
    environment_variable {
      name  = "FLORIN_ENVIRONMENT"
      value = each.key == "deploy-production" ? "production" : "staging"
    }
  }
  logs_config {
    cloudwatch_logs {
      group_name = local.log_group
    }
  }
  dynamic "vpc_config" {
    for_each = each.value.vpc ? [1] : []
    content {
      vpc_id             = var.vpc_id
      subnets            = var.subnet_ids
      security_group_ids = [var.security_group_id]
    }
  }
  tags = merge(var.tags, { Name = "${var.name}-${each.key}", DEP = "115 116 117" })
}

resource "aws_iam_role" "pipeline" {
  count = local.on
  name  = "${var.name}-pipeline"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "codepipeline.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
  tags                 = merge(var.tags, { Name = "${var.name}-pipeline", DEP = "116" })
  permissions_boundary = "arn:aws:iam::${var.account_id}:policy/${replace(var.name, "/-[a-z]+$/", "")}-boundary"
}

# DEP-116
resource "aws_iam_role_policy" "pipeline" {
  count = local.on
  name  = "run"
  role  = aws_iam_role.pipeline[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Source", Effect = "Allow", Action = ["codeconnections:UseConnection"], Resource = var.connection_arn },
      { Sid = "Artifacts", Effect = "Allow", Action = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"], Resource = "${var.artifacts_bucket_arn}/*" },
      { Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = var.artifacts_key_arn },
      { Sid = "Builds", Effect = "Allow", Action = ["codebuild:StartBuild", "codebuild:BatchGetBuilds"], Resource = [for project in aws_codebuild_project.this : project.arn] },
      { Sid = "Ask", Effect = "Allow", Action = ["sns:Publish"], Resource = var.approval_topic_arn },
    ]
  })
}

resource "aws_codepipeline" "this" {
  count         = local.on
  name          = var.name
  role_arn      = aws_iam_role.pipeline[0].arn
  pipeline_type = "V2"
  artifact_store {
    location = replace(var.artifacts_bucket_arn, "arn:aws:s3:::", "")
    type     = "S3"
    encryption_key {
      id   = var.artifacts_key_arn
      type = "KMS"
    }
  }
  stage {
    name = "Source"
    action {
      name             = "Source"
      category         = "Source"
      owner            = "AWS"
      provider         = "CodeStarSourceConnection"
      version          = "1"
      output_artifacts = ["source"]
      configuration = {
        ConnectionArn        = var.connection_arn
        FullRepositoryId     = var.repository
        BranchName           = var.branch
        OutputArtifactFormat = "CODEBUILD_CLONE_REF"
      }
    }
  }
  dynamic "stage" {
    for_each = [
      { name = "Test", project = "test", inputs = ["source"], outputs = [] },
      { name = "ImageAndScan", project = "image", inputs = ["source"], outputs = ["image"] },
      { name = "Staging", project = "deploy-staging", inputs = ["source", "image"], outputs = [] },
    ]
    content {
      name = stage.value.name
      action {
        name             = stage.value.name
        category         = "Build"
        owner            = "AWS"
        provider         = "CodeBuild"
        version          = "1"
        input_artifacts  = stage.value.inputs
        output_artifacts = stage.value.outputs
        configuration    = length(stage.value.inputs) > 1 ? { ProjectName = "${var.name}-${stage.value.project}", PrimarySource = "source" } : { ProjectName = "${var.name}-${stage.value.project}" }
      }
    }
  }
  stage {
    name = "Approval"
    action {
      name     = "APersonApproves"
      category = "Approval"
      owner    = "AWS"
      provider = "Manual"
      version  = "1"
      configuration = {
        NotificationArn = var.approval_topic_arn
        CustomData      = "Staging was checked. Production is next, blue/green."
      }
    }
  }
  stage {
    name = "Production"
    action {
      name            = "Production"
      category        = "Build"
      owner           = "AWS"
      provider        = "CodeBuild"
      version         = "1"
      input_artifacts = ["source", "image"]
      configuration   = { ProjectName = "${var.name}-deploy-production", PrimarySource = "source" }
    }
  }
  tags       = merge(var.tags, { Name = var.name, DEP = "116" })
  depends_on = [aws_iam_role_policy.pipeline]
}
