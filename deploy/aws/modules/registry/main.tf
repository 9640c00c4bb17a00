# The registry: one repository for Florin, one per mirrored image; tags cannot be moved.

locals {
  repositories = toset(concat(["florin"], [for name, _ in var.mirror_images : "mirror/${name}"]))
}

resource "aws_ecr_repository" "this" {
  for_each             = local.repositories
  name                 = each.key
  image_tag_mutability = "IMMUTABLE"
  image_scanning_configuration {
    scan_on_push = true
  }
  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = var.kms_key_arn
  }
  tags = merge(var.tags, { Name = each.key, DEP = "051 114 115" })
}

# DEP-114
resource "aws_ecr_lifecycle_policy" "this" {
  for_each   = local.repositories
  repository = aws_ecr_repository.this[each.key].name
  policy = jsonencode({
    rules = [
      {
        rulePriority = 1
        description  = "untagged images go after a week"
        selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 7 }
        action       = { type = "expire" }
      },
      {
        rulePriority = 2
        description  = "the newest tagged images stay"
        selection    = { tagStatus = "tagged", tagPatternList = ["*"], countType = "imageCountMoreThan", countNumber = var.keep_images }
        action       = { type = "expire" }
      },
    ]
  })
}

# DEP-115: Inspector looks on push and continuously.
resource "aws_ecr_registry_scanning_configuration" "this" {
  scan_type = "ENHANCED"
  rule {
    scan_frequency = "CONTINUOUS_SCAN"
    repository_filter {
      filter      = "*"
      filter_type = "WILDCARD"
    }
  }
}

# DEP-114, DEP-140: the recovery region can start without this one.
resource "aws_ecr_replication_configuration" "this" {
  count = var.replica_region == "" ? 0 : 1
  replication_configuration {
    rule {
      destination {
        region      = var.replica_region
        registry_id = var.account_id
      }
    }
  }
}
