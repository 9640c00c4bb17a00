terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
  # Bucket, key and region stand in backend.hcl: a bucket of the recovery region.
  backend "s3" {}
}

provider "aws" {
  region              = var.dr_region
  allowed_account_ids = [var.allowed_account_id]
  default_tags {
    tags = {
      Project     = var.platform_name
      Environment = "dr"
      ManagedBy   = "terraform"
      Application = "florin"
      Owner       = var.owner
      Team        = "platform"
      CostCenter  = "platform"
    }
  }
}

# Keys and backups are copied onwards to the primary region, for the way back.
provider "aws" {
  alias               = "dr"
  region              = var.aws_region
  allowed_account_ids = [var.allowed_account_id]
}

provider "aws" {
  alias               = "us_east_1"
  region              = "us-east-1"
  allowed_account_ids = [var.allowed_account_id]
}
