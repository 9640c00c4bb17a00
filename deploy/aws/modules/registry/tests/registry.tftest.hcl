mock_provider "aws" {}

variables {
  name           = "florin-staging"
  environment    = "staging"
  account_id     = "111122223333"
  kms_key_arn    = "arn:aws:kms:us-west-2:111122223333:key/00000000-0000-4000-8000-000000000001"
  replica_region = "us-east-1"
  mirror_images  = { kubo = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
}

run "dep_114_dep_115_registry" {
  command = plan
  assert {
    condition     = alltrue([for r in aws_ecr_repository.this : r.image_tag_mutability == "IMMUTABLE" && r.encryption_configuration[0].encryption_type == "KMS"])
    error_message = "tags cannot be moved, images are encrypted"
  }
  assert {
    condition     = aws_ecr_registry_scanning_configuration.this.scan_type == "ENHANCED" && length(aws_ecr_replication_configuration.this) == 1
    error_message = "scanned and replicated"
  }
}

run "dep_051_a_tag_is_refused" {
  command = plan
  variables {
    mirror_images = { kubo = "v0.30.0" }
  }
  expect_failures = [var.mirror_images]
}
