mock_provider "aws" {}

variables {
  name                             = "florin-production"
  environment                      = "production"
  platform_name                    = "florin"
  region                           = "us-west-2"
  account_id                       = "111122223333"
  subnet_ids                       = ["subnet-1", "subnet-2", "subnet-3"]
  security_group_ids               = ["sg-1"]
  azs                              = ["us-west-2a", "us-west-2b", "us-west-2c"]
  kms_key_arn                      = "arn:aws:kms:us-west-2:111122223333:key/00000000-0000-4000-8000-000000000001"
  secrets_kms_key_arn              = "arn:aws:kms:us-west-2:111122223333:key/00000000-0000-4000-8000-000000000002"
  engine_version                   = "17.5"
  database_writer_instance_class   = "db.r6g.2xlarge"
  database_reader_instance_class   = "db.r6g.2xlarge"
  database_reader_count            = 2
  database_reader_max              = 4
  database_backup_retention_period = 30
}

run "dep_062_dep_063_dep_066_dep_068_dep_069_aurora" {
  command = plan
  assert {
    condition     = aws_rds_cluster.this[0].engine == "aurora-postgresql" && aws_rds_cluster.this[0].engine_version == "17.5" && aws_rds_cluster.this[0].master_username == "florin"
    error_message = "DEP-062"
  }
  assert {
    condition     = length(aws_rds_cluster_instance.this) == 3 && length(distinct([for i in aws_rds_cluster_instance.this : i.availability_zone])) == 3
    error_message = "DEP-063: a writer and two readers, one per zone"
  }
  assert {
    condition     = aws_appautoscaling_target.readers[0].min_capacity == 2 && aws_appautoscaling_target.readers[0].max_capacity == 4
    error_message = "DEP-063: readers scale from 2 to 4"
  }
  assert {
    condition     = aws_rds_cluster.this[0].storage_encrypted && alltrue([for i in aws_rds_cluster_instance.this : !i.publicly_accessible])
    error_message = "DEP-066: encrypted, not public"
  }
  assert {
    condition     = { for p in aws_rds_cluster_parameter_group.this[0].parameter : p.name => p.value }["rds.force_ssl"] == "1" && { for p in aws_rds_cluster_parameter_group.this[0].parameter : p.name => p.value }["synchronous_commit"] == "on" && { for p in aws_rds_cluster_parameter_group.this[0].parameter : p.name => p.value }["max_connections"] == "2000"
    error_message = "DEP-066, DEP-067: TLS, durable commits, connections"
  }
  assert {
    condition     = aws_rds_cluster.this[0].backup_retention_period == 30 && aws_rds_cluster.this[0].preferred_backup_window == "03:00-04:00" && aws_rds_cluster.this[0].preferred_maintenance_window == "sun:04:30-sun:05:30"
    error_message = "DEP-068"
  }
  assert {
    condition     = aws_rds_cluster.this[0].deletion_protection && !aws_rds_cluster.this[0].skip_final_snapshot && aws_rds_cluster.this[0].copy_tags_to_snapshot
    error_message = "DEP-069"
  }
  assert {
    condition     = aws_rds_cluster.this[0].manage_master_user_password
    error_message = "DEP-094, DEP-095: RDS makes and rotates the master password"
  }
  assert {
    condition     = length(aws_db_proxy.this) == 0
    error_message = "DEP-071: no pooler unless asked for"
  }
  assert {
    condition     = contains(aws_rds_cluster.this[0].enabled_cloudwatch_logs_exports, "postgresql") && alltrue([for i in aws_rds_cluster_instance.this : i.monitoring_interval == 60])
    error_message = "DEP-073"
  }
}

run "dep_065_storage_is_a_choice" {
  command = plan
  variables {
    storage_type = "gp2"
  }
  expect_failures = [var.storage_type]
}

run "dep_065_optimised_storage" {
  command = plan
  variables {
    storage_type = "aurora-iopt1"
  }
  assert {
    condition     = aws_rds_cluster.this[0].storage_type == "aurora-iopt1"
    error_message = "DEP-065: by variable"
  }
}

run "dep_064_one_instance" {
  command = plan
  variables {
    engine_mode = "rds"
  }
  assert {
    condition     = aws_db_instance.this[0].multi_az && aws_db_instance.this[0].storage_encrypted && aws_db_instance.this[0].storage_type == "gp3" && aws_db_instance.this[0].max_allocated_storage == 1000
    error_message = "Multi-AZ, encrypted, gp3 that grows"
  }
  assert {
    condition     = length(aws_rds_cluster.this) == 0
    error_message = "and no cluster"
  }
}

run "dep_068_long_backups_are_refused" {
  command = plan
  variables {
    database_backup_retention_period = 35
    database_writer_instance_class   = "db.t3.medium"
    engine_version                   = "13.7"
  }
  expect_failures = [var.database_backup_retention_period, var.database_writer_instance_class, var.engine_version]
}
