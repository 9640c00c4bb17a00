mock_provider "aws" {}

variables {
  allowed_account_id = "111122223333"
  owner              = "payments"
  github_repository  = "example/florin"
}

run "dep_013_dep_016_dep_118_state_and_roles" {
  command = plan
  assert {
    condition     = aws_s3_bucket.state.bucket == "florin-tfstate-111122223333-us-west-2" && aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled"
    error_message = "DEP-016: one bucket per account and region, with versions"
  }
  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.state.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms" && aws_s3_bucket_public_access_block.state.restrict_public_buckets
    error_message = "DEP-016: encrypted by a key, never public"
  }
  assert {
    condition     = alltrue([for role in aws_iam_role.github : role.max_session_duration <= 28800])
    error_message = "DEP-013: sessions of at most 8 hours"
  }
}
