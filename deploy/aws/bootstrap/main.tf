# Once per account, by a person: the state bucket, the registry, and the roles of the pipeline.

terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

provider "aws" {
  region              = var.aws_region
  allowed_account_ids = [var.allowed_account_id]
  default_tags {
    tags = { Project = var.platform_name, Environment = "account", ManagedBy = "terraform", Application = "florin", Owner = var.owner, Team = "platform", CostCenter = "platform" }
  }
}

variable "allowed_account_id" {
  description = "The account."
  type        = string
}

variable "owner" {
  description = "Who answers for the bill."
  type        = string
}

variable "platform_name" {
  description = "First part of all names."
  type        = string
  default     = "florin"
}

variable "aws_region" {
  description = "Region."
  type        = string
  default     = "us-west-2"
}

variable "dr_region" {
  description = "Recovery region."
  type        = string
  default     = "us-east-1"
}

variable "github_repository" {
  description = "owner/name of the repository whose workflows may deploy; empty: none."
  type        = string
  default     = ""
}

variable "sso_instance_arn" {
  description = "Instance of Identity Center, in the account that administers it; empty: people's permission sets are made elsewhere."
  type        = string
  default     = ""
}

locals {
  bucket = "${var.platform_name}-tfstate-${var.allowed_account_id}-${var.aws_region}"
}

resource "aws_kms_key" "this" {
  description             = "${var.platform_name} state and images"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Account"
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::${var.allowed_account_id}:root" }
      Action    = "kms:*"
      Resource  = "*"
    }]
  })
  tags = { Name = "${var.platform_name}-bootstrap", DEP = "016 092" }
}

resource "aws_s3_bucket" "state" {
  bucket = local.bucket
  tags   = { Name = local.bucket, DEP = "016" }
  lifecycle {
    prevent_destroy = true
  }
}

# DEP-016
resource "aws_s3_bucket_versioning" "state" {
  bucket = aws_s3_bucket.state.id
  versioning_configuration {
    status = "Enabled"
  }
}

# DEP-016
resource "aws_s3_bucket_server_side_encryption_configuration" "state" {
  bucket = aws_s3_bucket.state.id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.this.arn
    }
  }
}

# DEP-016
resource "aws_s3_bucket_public_access_block" "state" {
  bucket                  = aws_s3_bucket.state.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# DEP-016
resource "aws_s3_bucket_policy" "state" {
  bucket = aws_s3_bucket.state.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = { AWS = "*" }
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.state.arn, "${aws_s3_bucket.state.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

module "registry" {
  source         = "../modules/registry"
  name           = "${var.platform_name}-account"
  environment    = "production"
  account_id     = var.allowed_account_id
  replica_region = var.dr_region
  kms_key_arn    = aws_kms_key.this.arn
}

# --- the signature of images (DEP-115): made by the pipeline, verified by deploy.sh

resource "aws_kms_key" "image" {
  description              = "${var.platform_name} signatures of images"
  key_usage                = "SIGN_VERIFY"
  customer_master_key_spec = "ECC_NIST_P256"
  deletion_window_in_days  = 30
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Account"
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::${var.allowed_account_id}:root" }
      Action    = "kms:*"
      Resource  = "*"
    }]
  })
  tags = { Name = "${var.platform_name}-image", DEP = "092 115" }
}

# DEP-115
resource "aws_kms_alias" "image" {
  name          = "alias/${var.platform_name}-image"
  target_key_id = aws_kms_key.image.key_id
}

# DEP-016, DEP-115
resource "aws_kms_alias" "this" {
  name          = "alias/${var.platform_name}-bootstrap"
  target_key_id = aws_kms_key.this.key_id
}

locals {
  # DEP-114, DEP-115: push the image, sign it, lay signature and SBOM beside the state.
  image_statements = [
    { Sid = "Login", Effect = "Allow", Action = ["ecr:GetAuthorizationToken"], Resource = "*" },
    { Sid = "Push", Effect = "Allow", Action = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImageScanFindings", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"], Resource = "arn:aws:ecr:${var.aws_region}:${var.allowed_account_id}:repository/${var.platform_name}" },
    { Sid = "Sign", Effect = "Allow", Action = ["kms:Sign"], Resource = aws_kms_key.image.arn },
    { Sid = "Beside", Effect = "Allow", Action = ["s3:PutObject"], Resource = "${aws_s3_bucket.state.arn}/images/*" },
    { Sid = "BesideKey", Effect = "Allow", Action = ["kms:GenerateDataKey"], Resource = aws_kms_key.this.arn },
  ]
}

output "state_bucket" {
  description = "Bucket of the state, for backend.hcl."
  value       = aws_s3_bucket.state.bucket
}

output "repository_urls" {
  description = "Repositories of images."
  value       = module.registry.repository_urls
}

output "github_role_arns" {
  description = "Roles of workflows by environment."
  value       = { for environment, role in aws_iam_role.github : environment => role.arn }
}

output "deploy_role_arns" {
  description = "Roles of the deploy projects by environment."
  value       = { for environment, role in aws_iam_role.deploy : environment => role.arn }
}
