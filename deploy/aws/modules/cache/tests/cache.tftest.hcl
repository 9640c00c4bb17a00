mock_provider "aws" {}

variables {
  name               = "florin-production"
  environment        = "production"
  node_type          = "cache.r6g.large"
  nodes              = 3
  snapshots_kept     = 7
  units              = ["wallets", "shadow-events"]
  subnet_ids         = ["subnet-1", "subnet-2", "subnet-3"]
  security_group_ids = ["sg-1"]
  kms_key_arn        = "arn:aws:kms:us-west-2:111122223333:key/00000000-0000-4000-8000-000000000001"
  log_kms_key_arn    = "arn:aws:kms:us-west-2:111122223333:key/00000000-0000-4000-8000-000000000002"
  log_days           = 30
}

run "dep_074_dep_075_dep_076_dep_077_dep_078_cache" {
  command = plan
  assert {
    condition     = aws_elasticache_replication_group.this.engine == "valkey" && aws_elasticache_replication_group.this.engine_version == "8.0"
    error_message = "DEP-074"
  }
  assert {
    condition     = aws_elasticache_replication_group.this.num_cache_clusters == 3 && aws_elasticache_replication_group.this.multi_az_enabled && aws_elasticache_replication_group.this.automatic_failover_enabled
    error_message = "DEP-075: a primary and two replicas that take over"
  }
  assert {
    condition     = aws_elasticache_replication_group.this.cluster_mode == "disabled"
    error_message = "DEP-076: one shard, so that keys of one call lie on one node"
  }
  assert {
    condition     = aws_elasticache_replication_group.this.at_rest_encryption_enabled == "true" && aws_elasticache_replication_group.this.transit_encryption_mode == "required"
    error_message = "DEP-077: encrypted at rest and in transit"
  }
  assert {
    condition     = alltrue([for u in aws_elasticache_user.unit : startswith(u.access_string, "off ~florin:* &florin:* ") && strcontains(u.access_string, "-@dangerous -@admin")]) && startswith(aws_elasticache_user.nobody.access_string, "off")
    error_message = "DEP-077: a user per unit, off until its password is made, sees Florin's keys; the default user sees nothing"
  }
  assert {
    condition     = one(aws_elasticache_parameter_group.this.parameter).value == "volatile-lru" && aws_elasticache_replication_group.this.snapshot_retention_limit == 7
    error_message = "DEP-078"
  }
}

run "dep_075_a_single_node_is_refused" {
  command = plan
  variables {
    nodes = 1
  }
  expect_failures = [var.nodes]
}
