# The whole of production, planned with a mocked provider.
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
  container_image       = "111122223333.dkr.ecr.us-west-2.amazonaws.com/florin@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  monitoring_ami_id     = "ami-0123456789abcdef0"
}

run "dep_001_to_dep_009_dep_157_units" {
  command = plan
  assert {
    condition     = module.platform.units["gateway"].platform == "ecs" && values(module.platform.units["gateway"].size) == [3, 12, 4, 3, 2]
    error_message = "DEP-001: platform and size (desired, max, memory, min, vcpu)"
  }
  assert {
    condition     = module.platform.units["console"].platform == "ecs" && values(module.platform.units["console"].size) == [3, 6, 1, 3, 0.5]
    error_message = "DEP-002: platform and size (desired, max, memory, min, vcpu)"
  }
  assert {
    condition     = module.platform.units["wallets"].platform == "ecs" && values(module.platform.units["wallets"].size) == [6, 20, 8, 3, 4]
    error_message = "DEP-003: platform and size (desired, max, memory, min, vcpu)"
  }
  assert {
    condition     = module.platform.units["shadow-events"].platform == "eks" && values(module.platform.units["shadow-events"].size) == [2, 10, 1, 2, 0.5] && module.platform.units["shadow-ledger"].platform == "eks" && values(module.platform.units["shadow-ledger"].size) == [2, 10, 1, 2, 0.5] && module.platform.units["shadow-drift"].platform == "eks" && values(module.platform.units["shadow-drift"].size) == [2, 10, 1, 2, 0.5]
    error_message = "DEP-004: platform and size (desired, max, memory, min, vcpu)"
  }
  assert {
    condition     = module.platform.units["ticketing-events"].platform == "ecs" && values(module.platform.units["ticketing-events"].size) == [2, 10, 1, 2, 0.5] && module.platform.units["ticketing-orders"].platform == "ecs" && values(module.platform.units["ticketing-orders"].size) == [2, 10, 2, 2, 1] && module.platform.units["ticketing-analytics"].platform == "ecs" && values(module.platform.units["ticketing-analytics"].size) == [2, 10, 1, 2, 0.5]
    error_message = "DEP-005: platform and size (desired, max, memory, min, vcpu)"
  }
  assert {
    condition     = module.platform.units["chains"].platform == "eks" && values(module.platform.units["chains"].size) == [3, 20, 1, 3, 0.5]
    error_message = "DEP-006: platform and size (desired, max, memory, min, vcpu)"
  }
  assert {
    condition     = module.platform.units["kyc"].platform == "ecs" && values(module.platform.units["kyc"].size) == [2, 8, 2, 2, 1] && module.platform.units["aml"].platform == "ecs" && values(module.platform.units["aml"].size) == [2, 8, 2, 2, 1] && module.platform.units["markets"].platform == "ecs" && values(module.platform.units["markets"].size) == [2, 8, 2, 2, 1]
    error_message = "DEP-007: platform and size (desired, max, memory, min, vcpu)"
  }
  assert {
    condition     = module.platform.units["networks-engine"].platform == "eks" && values(module.platform.units["networks-engine"].size) == [2, 20, 1, 2, 0.5] && module.platform.units["networks-manager"].platform == "eks" && values(module.platform.units["networks-manager"].size) == [3, 3, 1, 3, 0.5]
    error_message = "DEP-008: platform and size (desired, max, memory, min, vcpu)"
  }
  assert {
    condition     = module.platform.units["workers"].platform == "ecs" && values(module.platform.units["workers"].size) == [2, 4, 2, 2, 1]
    error_message = "DEP-009: platform and size (desired, max, memory, min, vcpu)"
  }
  assert {
    condition     = module.platform.units["custody"].platform == "eks" && values(module.platform.units["custody"].size) == [2, 2, 1, 2, 0.5]
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
    condition     = !contains(keys(module.platform.units["gateway"].settings), "FLORIN__LEDGER__URL") && module.platform.units["gateway"].settings["FLORIN__CACHE__URL"] == "env:FLORIN_SECRET_CACHE_URL" && strcontains(module.platform.units["gateway"].settings["FLORIN__GATEWAY__UPSTREAMS"], "wallets=https://wallets.internal.example.com")
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

run "dep_012_dep_145_refused" {
  command = plan
  module {
    source = "../../platform"
  }
  variables {
    environment           = "production"
    dr_region             = "us-east-1"
    data_residency        = ["us-west-2"]
    placement             = { wallets = "lambda" }
    vpc_cidr              = "10.0.0.0/16"
    public_subnet_cidrs   = ["10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"]
    private_subnet_cidrs  = ["10.0.11.0/24", "10.0.12.0/24", "10.0.13.0/24"]
    pod_subnet_cidrs      = ["10.0.32.0/19", "10.0.64.0/19", "10.0.96.0/19"]
    database_subnet_cidrs = ["10.0.21.0/24", "10.0.22.0/24", "10.0.23.0/24"]
    nat_per_az            = true
    interface_endpoints   = []
    ecs_spot              = false
    ecs_exec              = false
    scale_out_cooldown_s  = 60
    night_schedule        = false
    cluster_version       = "1.35"
    node_groups           = {}
    addons                = {}
    database              = { engine_version = "17.5", auto_minor_version_upgrade = false, database_writer_instance_class = "db.r6g.large", database_reader_instance_class = "db.r6g.large", database_reader_count = 1, database_reader_max = 1, database_backup_retention_period = 7 }
    cache                 = { node_type = "cache.r6g.large", nodes = 3, snapshots_kept = 7 }
    kafka                 = { broker_type = "kafka.m5.large", volume_gib = 500 }
    object_lock           = { mode = "COMPLIANCE", years = 7 }
    monitoring_host       = { instance_type = "t3.medium", max_hosts = 2, volume_gib = 100 }
    log_days              = 30
    budget_monthly_usd    = 100
  }
  expect_failures = [var.dr_region, var.placement]
}
