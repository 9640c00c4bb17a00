mock_provider "aws" {}
mock_provider "aws" {
  alias = "dr"
}

variables {
  name        = "florin-staging"
  environment = "staging"
  account_id  = "111122223333"
  region      = "us-west-2"
}

run "dep_092_keys" {
  command = plan
  assert {
    condition     = toset(keys(aws_kms_key.this)) == toset(["data", "documents", "secrets", "logs", "archive", "backup", "networks", "vault-unseal"])
    error_message = "one key per class of data"
  }
  assert {
    condition     = alltrue([for k in aws_kms_key.this : k.enable_key_rotation && k.rotation_period_in_days == 365 && k.deletion_window_in_days == 30])
    error_message = "yearly rotation, 30 days to change one's mind"
  }
  assert {
    condition     = [for p, k in aws_kms_key.this : p if k.multi_region] == ["documents", "secrets"]
    error_message = "secrets and documents have replicas"
  }
  assert {
    condition     = strcontains(aws_kms_key.this["documents"].policy, "kms:ViaService")
    error_message = "keys are used through services"
  }
}

run "dep_092_a_short_window_is_refused" {
  command = plan
  variables {
    deletion_window_days = 7
  }
  expect_failures = [var.deletion_window_days]
}
