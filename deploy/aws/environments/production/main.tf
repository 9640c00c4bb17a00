# Production: values alone; the wiring stands in ../../platform.

locals {
  environment = "production"
  aws_region  = "us-west-2"
  dr_region   = "us-east-1"
}

module "platform" {
  source    = "../../platform"
  providers = { aws = aws, aws.dr = aws.dr, aws.us_east_1 = aws.us_east_1 }

  environment = local.environment
  aws_region  = local.aws_region
  dr_region   = local.dr_region

  # What the owner of the account fills in: terraform.tfvars.
  allowed_account_id      = var.allowed_account_id
  domain_name             = var.domain_name
  hosted_zone_id          = var.hosted_zone_id
  alert_email_addresses   = var.alert_email_addresses
  container_image         = var.container_image
  monitoring_ami_id       = var.monitoring_ami_id
  cluster_admin_role_arns = var.cluster_admin_role_arns
  connection_arn          = var.connection_arn
  repository              = var.repository
  collector_image         = var.collector_image
  on_sales                = var.on_sales

  vpc_cidr              = "10.0.0.0/16"
  public_subnet_cidrs   = ["10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"]
  private_subnet_cidrs  = ["10.0.11.0/24", "10.0.12.0/24", "10.0.13.0/24"]
  pod_subnet_cidrs      = ["10.0.32.0/19", "10.0.64.0/19", "10.0.96.0/19"]
  database_subnet_cidrs = ["10.0.21.0/24", "10.0.22.0/24", "10.0.23.0/24"]
  nat_per_az            = true
  interface_endpoints   = ["ecr.api", "ecr.dkr", "logs", "monitoring", "secretsmanager", "kms", "sts", "ssm", "ssmmessages", "ec2messages", "xray", "elasticloadbalancing", "autoscaling", "eks"]

  ecs_spot             = false
  ecs_exec             = false
  scale_out_cooldown_s = 60
  night_schedule       = false

  cluster_version = "1.35"
  node_groups = {
    core      = { instance_types = ["m5.xlarge"], capacity = "ON_DEMAND", min = 3, desired = 3, max = 12, taint = "" }
    networks  = { instance_types = ["m5.xlarge", "m5a.xlarge", "m6i.xlarge"], capacity = "SPOT", min = 0, desired = 0, max = 28, taint = "networks" }
    on-demand = { instance_types = ["m5.xlarge"], capacity = "ON_DEMAND", min = 0, desired = 0, max = 10, taint = "networks" }
  }
  addons = {
    "vpc-cni"            = "v1.20.4-eksbuild.1"
    "coredns"            = "v1.12.4-eksbuild.1"
    "kube-proxy"         = "v1.35.0-eksbuild.1"
    "aws-ebs-csi-driver" = "v1.53.0-eksbuild.1"
    "aws-efs-csi-driver" = "v2.1.13-eksbuild.1"
    "metrics-server"     = "v0.8.0-eksbuild.2"
  }

  database = {
    engine_version                   = "17.5"
    auto_minor_version_upgrade       = false
    database_writer_instance_class   = "db.r6g.2xlarge"
    database_reader_instance_class   = "db.r6g.2xlarge"
    database_reader_count            = 2
    database_reader_max              = 4
    database_backup_retention_period = 30
    global                           = true
  }
  cache = { node_type = "cache.r6g.large", nodes = 3, snapshots_kept = 7 }
  kafka = { broker_type = "kafka.m5.large", volume_gib = 500 }

  object_lock     = { mode = "COMPLIANCE", years = 7 }
  monitoring_host = { instance_type = "t3.medium", max_hosts = 2, volume_gib = 100 }
  log_days        = 30
  failover        = "primary"

  budget_monthly_usd = 7600
}
