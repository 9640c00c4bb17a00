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

# --- workflows of GitHub take roles by OIDC: no keys are kept anywhere (DEP-118)

resource "aws_iam_openid_connect_provider" "github" {
  count           = var.github_repository == "" ? 0 : 1
  url             = "https://token.actions.githubusercontent.com"
  client_id_list  = ["sts.amazonaws.com"]
  thumbprint_list = ["6938fd4d98bab03faadb97b34396831e3780aea1"]
  tags            = { Name = "github", DEP = "013 118" }
}

resource "aws_iam_role" "github" {
  for_each = var.github_repository == "" ? toset([]) : toset(["staging", "production"])
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
  max_session_duration = 3600
  tags                 = { Name = "${var.platform_name}-github-${each.key}", DEP = "013 118" }
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
