# The whole standby in the recovery region, planned with a mocked provider.
mock_provider "aws" {}
mock_provider "aws" {
  alias = "dr"
}
mock_provider "aws" {
  alias = "us_east_1"
}

variables {
  allowed_account_id    = "111122223333"
  owner                 = "payments"
  domain_name           = "example.com"
  hosted_zone_id        = "Z0000000000000000000"
  alert_email_addresses = ["ops@example.com"]
  container_image       = "111122223333.dkr.ecr.us-east-1.amazonaws.com/florin@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  primary = {
    application_url           = "https://api.example.com"
    rds_identifier            = "florin-production-database"
    global_cluster_identifier = "florin-production-global"
    ecs_cluster_name          = "florin-production"
    secret_arns               = { for path in ["shared/signing-key", "shared/checkpoint-key", "shared/cursor-key", "gateway/db", "gateway/cache", "gateway/kafka", "gateway/oidc-client", "wallets/db", "wallets/cache", "wallets/kafka"] : path => "arn:aws:secretsmanager:us-west-2:111122223333:secret:florin/production/${path}-aaaaaa" }
    unit_security_groups      = { wallets = "sg-1" }
  }
}

run "dep_140_a_warm_standby" {
  command = plan
  assert {
    condition     = keys(module.ecs.task_role_arns) == ["gateway", "wallets"]
    error_message = "DEP-140: the front door and the money, nothing else"
  }
  assert {
    condition     = module.database.rds_identifier == "florin-dr-database"
    error_message = "DEP-140: a secondary of the global database"
  }
  assert {
    condition     = module.ecs.cluster_name == "florin-dr" && module.eks.cluster_name == "florin-dr"
    error_message = "DEP-140: both control planes stand there"
  }
  assert {
    condition     = !contains(keys(module.storage.bucket_names), "audit") && contains(keys(module.storage.bucket_names), "archive")
    error_message = "DEP-090: what production copies has a place here"
  }
}

run "dep_014_recovery_happens_elsewhere" {
  command = plan
  variables {
    dr_region = "us-west-2"
  }
  expect_failures = [var.dr_region]
}
