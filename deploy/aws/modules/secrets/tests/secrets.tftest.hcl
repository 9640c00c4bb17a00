mock_provider "aws" {}

variables {
  name            = "florin-staging"
  environment     = "staging"
  account_id      = "111122223333"
  region          = "us-west-2"
  kms_key_arn     = "arn:aws:kms:us-west-2:111122223333:key/00000000-0000-4000-8000-000000000001"
  replica_region  = "us-east-1"
  replica_key_arn = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-4000-8000-000000000002"
  units           = { wallets = ["db", "kafka"], gateway = ["db"], shared = ["signing-key", "cursor-key"] }
}

run "dep_093_paths" {
  command = plan
  assert {
    condition     = toset([for s in aws_secretsmanager_secret.this : s.name]) == toset(["florin/staging/wallets/db", "florin/staging/wallets/kafka", "florin/staging/gateway/db", "florin/staging/shared/signing-key", "florin/staging/shared/cursor-key"])
    error_message = "the prefix of a secret names environment and unit"
  }
  assert {
    condition     = toset([for s in aws_secretsmanager_secret.broker_user : s.name]) == toset(["AmazonMSK_florin_staging_wallets_a", "AmazonMSK_florin_staging_wallets_b"]) && length(aws_secretsmanager_secret_policy.broker_user) == 2
    error_message = "DEP-081, DEP-095: two users of the brokers for each unit that has any, which MSK may read"
  }
  assert {
    condition     = alltrue([for s in aws_secretsmanager_secret.this : s.recovery_window_in_days == 30 && length(s.replica) == 1])
    error_message = "DEP-097: 30 days to bring one back, and a replica"
  }
  assert {
    condition     = length(aws_lambda_function.rotation) == 0 && alltrue([for s in aws_secretsmanager_secret.this : !contains(keys(s.tags), "RotateDays")])
    error_message = "without an image nothing rotates"
  }
}

run "dep_096_rotation" {
  command = plan
  variables {
    rotation_image    = "111122223333.dkr.ecr.us-west-2.amazonaws.com/florin@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    subnet_ids        = ["subnet-1", "subnet-2", "subnet-3"]
    security_group_id = "sg-1"
  }
  assert {
    condition     = aws_lambda_function.rotation[0].timeout == 900
    error_message = "DEP-095: brokers know a new password minutes later"
  }
  assert {
    condition     = aws_lambda_function.rotation[0].reserved_concurrent_executions == 1 && length(aws_lambda_function.rotation[0].vpc_config[0].subnet_ids) == 3
    error_message = "one at a time, in the private subnets"
  }
  assert {
    condition     = length([for key, s in aws_secretsmanager_secret.this : key if lookup(s.tags, "RotateDays", "") == "30"]) == length([for key, s in aws_secretsmanager_secret.this : key if endswith(key, "/db") || endswith(key, "/cache") || endswith(key, "/kafka")])
    error_message = "DEP-095: users of stores rotate every 30 days"
  }
  assert {
    condition     = aws_secretsmanager_secret.this["shared/signing-key"].tags["RotateDays"] == "90" && !contains(keys(aws_secretsmanager_secret.this["shared/cursor-key"].tags), "RotateDays")
    error_message = "DEP-095: keys that sign tokens every 90 days, others never"
  }
}

run "dep_018_a_tag_is_refused" {
  command = plan
  variables {
    rotation_image = "111122223333.dkr.ecr.us-west-2.amazonaws.com/florin:latest"
  }
  expect_failures = [var.rotation_image]
}
