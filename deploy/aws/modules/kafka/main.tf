# Topics are projections: `florin kafka rebuild` makes them again (DEP-084).
# MSK: three brokers in three zones, TLS and SCRAM only. Topics are made by `florin kafka`, users by
# `florin aws secrets init`.

resource "aws_cloudwatch_log_group" "brokers" {
  name              = "/${replace(var.name, "-", "/")}/kafka"
  retention_in_days = var.log_days
  kms_key_id        = var.log_kms_key_arn
  tags              = merge(var.tags, { Name = "${var.name}-kafka", DEP = "083 120" })
}

# DEP-082: nobody makes a topic by writing to it, and none loses acknowledged records. Topics get
# their lists (DEP-081) by `florin kafka acls --apply`; refusing what has no list yet would lock
# out whoever is to make the first.
resource "aws_msk_configuration" "this" {
  name              = "${var.name}-kafka"
  description       = "brokers of ${var.name}"
  kafka_versions    = [var.kafka_version]
  server_properties = <<-EOT
    auto.create.topics.enable=false
    default.replication.factor=3
    min.insync.replicas=2
    unclean.leader.election.enable=false
    log.retention.hours=168
    num.partitions=1
  EOT
}

resource "aws_msk_cluster" "this" {
  cluster_name           = "${var.name}-kafka"
  kafka_version          = var.kafka_version
  number_of_broker_nodes = 3
  enhanced_monitoring    = "PER_TOPIC_PER_BROKER"
  broker_node_group_info {
    instance_type   = var.broker_type
    client_subnets  = var.subnet_ids
    security_groups = var.security_group_ids
    connectivity_info {
      public_access {
        type = "DISABLED"
      }
    }
    storage_info {
      ebs_storage_info {
        volume_size = var.volume_gib
      }
    }
  }
  client_authentication {
    unauthenticated = false
    sasl {
      scram = true
    }
  }
  configuration_info {
    arn      = aws_msk_configuration.this.arn
    revision = aws_msk_configuration.this.latest_revision
  }
  encryption_info {
    encryption_at_rest_kms_key_arn = var.kms_key_arn
    encryption_in_transit {
      client_broker = "TLS"
      in_cluster    = true
    }
  }
  open_monitoring {
    prometheus {
      jmx_exporter {
        enabled_in_broker = true
      }
      node_exporter {
        enabled_in_broker = true
      }
    }
  }
  logging_info {
    broker_logs {
      cloudwatch_logs {
        enabled   = true
        log_group = aws_cloudwatch_log_group.brokers.name
      }
    }
  }
  tags = merge(var.tags, { Name = "${var.name}-kafka", DataClass = "data", DEP = "079 080 081 083" })
  lifecycle {
    prevent_destroy = true
    # Grown by autoscaling.
    ignore_changes = [broker_node_group_info[0].storage_info]
  }
}

resource "aws_appautoscaling_target" "disk" {
  service_namespace  = "kafka"
  scalable_dimension = "kafka:broker-storage:VolumeSize"
  resource_id        = aws_msk_cluster.this.arn
  min_capacity       = 1
  max_capacity       = var.volume_max_gib
  tags               = merge(var.tags, { Name = "${var.name}-kafka-disk", DEP = "080" })
}

# DEP-080: disks of brokers grow and never shrink.
resource "aws_appautoscaling_policy" "disk" {
  name               = "${var.name}-kafka-disk"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = "kafka"
  scalable_dimension = "kafka:broker-storage:VolumeSize"
  resource_id        = aws_appautoscaling_target.disk.resource_id
  target_tracking_scaling_policy_configuration {
    target_value     = 70
    disable_scale_in = true
    predefined_metric_specification {
      predefined_metric_type = "KafkaBrokerStorageUtilization"
    }
  }
}
