# Staging: every module and control of production, a fifth of its size (DEP-012). Values alone; the
# wiring stands in ../../platform.

locals {
  environment = "staging"
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

  vpc_cidr              = "10.1.0.0/16"
  public_subnet_cidrs   = ["10.1.1.0/24", "10.1.2.0/24", "10.1.3.0/24"]
  private_subnet_cidrs  = ["10.1.11.0/24", "10.1.12.0/24", "10.1.13.0/24"]
  pod_subnet_cidrs      = ["10.1.32.0/19", "10.1.64.0/19", "10.1.96.0/19"]
  database_subnet_cidrs = ["10.1.21.0/24", "10.1.22.0/24", "10.1.23.0/24"]
  nat_per_az            = false
  interface_endpoints   = ["ecr.api", "ecr.dkr", "logs", "monitoring", "secretsmanager", "kms"]

  ecs_spot             = true
  ecs_exec             = true
  scale_out_cooldown_s = 300
  night_schedule       = true

  cluster_version = "1.35"
  node_groups = {
    core      = { instance_types = ["m5.large"], capacity = "ON_DEMAND", min = 2, desired = 2, max = 3, taint = "" }
    networks  = { instance_types = ["m5.large", "m5a.large", "m6i.large"], capacity = "SPOT", min = 0, desired = 0, max = 4, taint = "networks" }
    on-demand = { instance_types = ["m5.large"], capacity = "ON_DEMAND", min = 0, desired = 0, max = 2, taint = "networks" }
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
    auto_minor_version_upgrade       = true
    database_writer_instance_class   = "db.r6g.large"
    database_reader_instance_class   = "db.r6g.large"
    database_reader_count            = 1
    database_reader_max              = 1
    database_backup_retention_period = 7
  }
  cache = { node_type = "cache.t4g.medium", nodes = 2, snapshots_kept = 1 }
  kafka = { broker_type = "kafka.t3.small", volume_gib = 50 }

  object_lock     = { mode = "GOVERNANCE", years = 0 }
  monitoring_host = { instance_type = "t3.small", max_hosts = 1, volume_gib = 100 }
  log_days        = 7

  budget_monthly_usd = 1700
}
