mock_provider "aws" {}

variables {
  name               = "florin-production"
  environment        = "production"
  broker_type        = "kafka.m5.large"
  volume_gib         = 500
  subnet_ids         = ["subnet-1", "subnet-2", "subnet-3"]
  security_group_ids = ["sg-1"]
  kms_key_arn        = "arn:aws:kms:us-west-2:111122223333:key/00000000-0000-4000-8000-000000000001"
  log_kms_key_arn    = "arn:aws:kms:us-west-2:111122223333:key/00000000-0000-4000-8000-000000000002"
  log_days           = 30
}

run "dep_079_dep_080_dep_081_dep_082_dep_083_kafka" {
  command = plan
  assert {
    condition     = aws_msk_cluster.this.kafka_version == "3.9.x.kraft"
    error_message = "DEP-079"
  }
  assert {
    condition     = aws_msk_cluster.this.number_of_broker_nodes == 3 && aws_appautoscaling_target.disk.max_capacity == 4096
    error_message = "DEP-080: three brokers, disks grow to 4 TiB"
  }
  assert {
    condition     = aws_msk_cluster.this.encryption_info[0].encryption_in_transit[0].client_broker == "TLS" && aws_msk_cluster.this.client_authentication[0].sasl[0].scram && !aws_msk_cluster.this.client_authentication[0].unauthenticated
    error_message = "DEP-081: TLS and SCRAM, nobody else"
  }
  assert {
    condition     = strcontains(aws_msk_configuration.this.server_properties, "auto.create.topics.enable=false") && strcontains(aws_msk_configuration.this.server_properties, "min.insync.replicas=2")
    error_message = "DEP-082"
  }
  assert {
    condition     = aws_msk_cluster.this.enhanced_monitoring == "PER_TOPIC_PER_BROKER" && aws_msk_cluster.this.logging_info[0].broker_logs[0].cloudwatch_logs[0].enabled
    error_message = "DEP-083"
  }
}

run "dep_079_zookeeper_is_refused" {
  command = plan
  variables {
    kafka_version = "2.8.1"
  }
  expect_failures = [var.kafka_version]
}
