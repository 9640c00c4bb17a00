# The whole of staging, planned with a mocked provider.
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
  domain_name           = "staging.example.com"
  hosted_zone_id        = "Z0000000000000000000"
  alert_email_addresses = ["ops@example.com"]
  container_image       = "111122223333.dkr.ecr.us-west-2.amazonaws.com/florin@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  monitoring_ami_id     = "ami-0123456789abcdef0"
}

run "dep_001_to_dep_009_dep_157_units" {
  command = plan
  assert {
    condition     = module.platform.units["gateway"].platform == "ecs" && values(module.platform.units["gateway"].size) == [1, 3, 2, 1, 1]
    error_message = "DEP-001: platform and size (desired, max, memory, min, vcpu)"
  }
  assert {
    condition     = module.platform.units["console"].platform == "ecs" && values(module.platform.units["console"].size) == [1, 2, 1, 1, 0.5]
    error_message = "DEP-002: platform and size (desired, max, memory, min, vcpu)"
  }
  assert {
    condition     = module.platform.units["wallets"].platform == "ecs" && values(module.platform.units["wallets"].size) == [2, 5, 4, 2, 2]
    error_message = "DEP-003: platform and size (desired, max, memory, min, vcpu)"
  }
  assert {
    condition     = module.platform.units["shadow-events"].platform == "eks" && values(module.platform.units["shadow-events"].size) == [1, 3, 1, 1, 0.5]
    error_message = "DEP-004: platform and size (desired, max, memory, min, vcpu)"
  }
  assert {
    condition     = module.platform.units["ticketing-orders"].platform == "ecs" && values(module.platform.units["ticketing-orders"].size) == [1, 3, 1, 1, 0.5]
    error_message = "DEP-005: platform and size (desired, max, memory, min, vcpu)"
  }
  assert {
    condition     = module.platform.units["chains"].platform == "eks" && values(module.platform.units["chains"].size) == [1, 5, 1, 1, 0.5]
    error_message = "DEP-006: platform and size (desired, max, memory, min, vcpu)"
  }
  assert {
    condition     = module.platform.units["kyc"].platform == "ecs" && values(module.platform.units["kyc"].size) == [1, 2, 1, 1, 0.5]
    error_message = "DEP-007: platform and size (desired, max, memory, min, vcpu)"
  }
  assert {
    condition     = module.platform.units["networks-engine"].platform == "eks" && values(module.platform.units["networks-engine"].size) == [1, 5, 1, 1, 0.5]
    error_message = "DEP-008: platform and size (desired, max, memory, min, vcpu)"
  }
  assert {
    condition     = module.platform.units["workers"].platform == "ecs" && values(module.platform.units["workers"].size) == [1, 2, 1, 1, 0.5]
    error_message = "DEP-009: platform and size (desired, max, memory, min, vcpu)"
  }
  assert {
    condition     = module.platform.units["custody"].platform == "eks" && values(module.platform.units["custody"].size) == [1, 1, 1, 1, 0.5]
    error_message = "DEP-157: platform and size (desired, max, memory, min, vcpu)"
  }
  assert {
    condition     = module.platform.units["monitor"].platform == "ec2"
    error_message = "DEP-010: keeps its own disk"
  }
  assert {
    condition     = module.platform.units["wallets"].settings["FLORIN__LEDGER__URL"] == "env:FLORIN_SECRET_DATABASE_URL" && module.platform.units["wallets"].settings["FLORIN__DATABASE__POOL_MAX"] == "5" && contains(module.platform.units["wallets"].secrets, "FLORIN_SECRET_DATABASE_URL") && contains(module.platform.units["wallets"].secrets, "FLORIN_SECRET_CHECKPOINT_KEY")
    error_message = "DEP-055, DEP-070: wallets are told writer, reader and checkpoint key by reference"
  }
  assert {
    condition     = !contains(keys(module.platform.units["gateway"].settings), "FLORIN__LEDGER__URL") && module.platform.units["gateway"].settings["FLORIN__CACHE__URL"] == "env:FLORIN_SECRET_CACHE_URL" && strcontains(module.platform.units["gateway"].settings["FLORIN__GATEWAY__UPSTREAMS"], "wallets=https://wallets.internal.staging.example.com")
    error_message = "DEP-104: the gateway forwards over TLS, and does not open the ledger"
  }
  assert {
    condition     = alltrue([for name, u in module.platform.units : u.settings["FLORIN__SERVER__PORT"] == "8443" && u.settings["FLORIN__SERVER__TLS_SELF_SIGNED"] == "true" if name != "monitor"])
    error_message = "DEP-011, DEP-105: 8443 with TLS, everywhere"
  }
  assert {
    condition     = alltrue([for unit in ["workers", "shadow-events"] : module.platform.units[unit].settings["FLORIN__BUS__SASL_PASSWORD"] == "env:FLORIN_SECRET_KAFKA_PASSWORD" && contains(module.platform.units[unit].secrets, "FLORIN_SECRET_KAFKA_USERNAME")])
    error_message = "DEP-081: a user of its own for each unit"
  }
  assert {
    condition     = alltrue([for name, u in module.platform.units : !anytrue([for key, value in u.settings : strcontains(value, "postgres://") || strcontains(value, "rediss://") if key != "FLORIN__BUS__URL"])])
    error_message = "DEP-094: no value of a secret among the settings"
  }
}
