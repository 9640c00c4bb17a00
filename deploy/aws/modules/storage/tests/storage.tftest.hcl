mock_provider "aws" {}
mock_provider "aws" {
  alias = "dr"
}

variables {
  name            = "florin-production"
  environment     = "production"
  platform_name   = "florin"
  account_id      = "111122223333"
  region          = "us-west-2"
  cors_origins    = ["https://app.example.com"]
  replica_region  = "us-east-1"
  replica_key_arn = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-4000-8000-000000000002"
  buckets = { for p in ["blobs", "documents", "static", "archive", "backups", "networks", "logs", "audit", "artifacts"] :
  p => p == "logs" ? "" : "arn:aws:kms:us-west-2:111122223333:key/00000000-0000-4000-8000-000000000001" }
}

run "dep_085_to_dep_090_buckets" {
  command = plan
  assert {
    condition     = length(aws_s3_bucket.this) == 9 && alltrue([for p, b in aws_s3_bucket.this : can(regex("^florin-production-${p}-[0-9a-f]{8}$", b.bucket))])
    error_message = "DEP-085"
  }
  assert {
    condition     = alltrue([for b in aws_s3_bucket_public_access_block.this : b.block_public_acls && b.block_public_policy && b.ignore_public_acls && b.restrict_public_buckets])
    error_message = "DEP-086: nothing is public"
  }
  assert {
    condition     = length(aws_s3_bucket_versioning.this) == 9 && [for p, b in aws_s3_bucket_server_side_encryption_configuration.this : p if !one(b.rule).bucket_key_enabled] == ["logs"]
    error_message = "DEP-086: versions and encryption"
  }
  assert {
    condition     = [for r in aws_s3_bucket_lifecycle_configuration.this["backups"].rule : [for t in r.transition : t.storage_class] if r.id == "ladder"] == [["STANDARD_IA", "GLACIER", "DEEP_ARCHIVE"]] || length([for r in aws_s3_bucket_lifecycle_configuration.this["backups"].rule : r if r.id == "ladder" && length(r.transition) == 3]) == 1
    error_message = "DEP-088: the ladder"
  }
  assert {
    condition     = length([for r in aws_s3_bucket_lifecycle_configuration.this["blobs"].rule : r if r.id == "tiering"]) == 1 && length([for r in aws_s3_bucket_lifecycle_configuration.this["blobs"].rule : r if r.id == "ladder"]) == 0
    error_message = "DEP-087: what users open needs no restore"
  }
  assert {
    condition     = aws_s3_bucket_object_lock_configuration.this["archive"].rule[0].default_retention[0].mode == "COMPLIANCE" && aws_s3_bucket_object_lock_configuration.this["archive"].rule[0].default_retention[0].years == 7
    error_message = "DEP-089"
  }
  assert {
    condition     = toset(keys(aws_s3_bucket_replication_configuration.this)) == toset(["blobs", "documents", "archive", "backups"])
    error_message = "DEP-090"
  }
}

run "dep_089_governance_in_staging" {
  command = plan
  variables {
    name              = "florin-staging"
    environment       = "staging"
    object_lock_mode  = "GOVERNANCE"
    object_lock_years = 0
  }
  assert {
    condition     = aws_s3_bucket_object_lock_configuration.this["archive"].rule[0].default_retention[0].mode == "GOVERNANCE" && aws_s3_bucket_object_lock_configuration.this["archive"].rule[0].default_retention[0].days == 1
    error_message = "one day, and it can be lifted"
  }
}
