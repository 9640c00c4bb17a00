terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0" # DEP-015
    }
  }
  # Bucket, key and region stand in backend.hcl. The lock is a file in the bucket (DEP-016).
  backend "s3" {}
}

# DEP-017.
locals {
  default_tags = {
    Project     = "florin"
    Environment = local.environment
    ManagedBy   = "terraform"
    Application = "florin"
    Owner       = var.owner
    Team        = var.team
    CostCenter  = var.cost_center
  }
}

provider "aws" {
  region              = local.aws_region
  allowed_account_ids = [var.allowed_account_id]
  default_tags {
    tags = local.default_tags
  }
}

provider "aws" {
  alias               = "dr"
  region              = local.dr_region
  allowed_account_ids = [var.allowed_account_id]
  default_tags {
    tags = local.default_tags
  }
}

# Certificates and web ACLs of CloudFront exist in this region only (DEP-014).
provider "aws" {
  alias               = "us_east_1"
  region              = "us-east-1"
  allowed_account_ids = [var.allowed_account_id]
  default_tags {
    tags = local.default_tags
  }
}
