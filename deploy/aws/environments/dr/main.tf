# Warm standby (DEP-140): network, keys, entrance, gateway and wallets at one task, the control
# plane of EKS without nodes, and the secondary of the global database. Cache and Kafka are made at
# failover.

locals {
  name  = "${var.platform_name}-dr"
  azs   = [for zone in ["a", "b", "c"] : "${var.dr_region}${zone}"]
  raw   = jsondecode(file("${path.module}/../../../units.json")).units
  units = { for u in local.raw : u.name => u if contains(["gateway", "wallets"], u.name) }
  table = jsondecode(file("${path.module}/../../../settings.json"))
  words = {
    environment     = "production"
    public_url      = module.edge.application_url
    trusted_proxies = "10.2.0.0/20"
    upstreams       = "wallets=https://wallets.${module.edge.internal_domain}"
  }
  replicas = { for key, arn in var.primary.secret_arns : key => replace(arn, ":${var.aws_region}:", ":${var.dr_region}:") }
}

module "keys" {
  source      = "../../modules/keys"
  providers   = { aws = aws, aws.dr = aws.dr }
  name        = local.name
  environment = "dr"
  account_id  = var.allowed_account_id
  region      = var.dr_region
}

module "storage" {
  source            = "../../modules/storage"
  providers         = { aws = aws, aws.dr = aws.dr }
  name              = local.name
  environment       = "dr"
  platform_name     = var.platform_name
  account_id        = var.allowed_account_id
  region            = var.dr_region
  buckets           = { for purpose, key in { static = "data", logs = "", blobs = "data", documents = "documents", archive = "archive", backups = "backup" } : purpose => key == "" ? "" : module.keys.key_arns[key] }
  object_lock_mode  = "GOVERNANCE"
  object_lock_years = 0
  cors_origins      = ["https://app.${var.domain_name}"]
}

module "network" {
  source                = "../../modules/network"
  name                  = local.name
  environment           = "dr"
  region                = var.dr_region
  account_id            = var.allowed_account_id
  vpc_cidr              = "10.2.0.0/16"
  azs                   = local.azs
  public_subnet_cidrs   = ["10.2.1.0/24", "10.2.2.0/24", "10.2.3.0/24"]
  private_subnet_cidrs  = ["10.2.11.0/24", "10.2.12.0/24", "10.2.13.0/24"]
  pod_subnet_cidrs      = ["10.2.32.0/19", "10.2.64.0/19", "10.2.96.0/19"]
  database_subnet_cidrs = ["10.2.21.0/24", "10.2.22.0/24", "10.2.23.0/24"]
  nat_per_az            = false
  interface_endpoints   = ["ecr.api", "ecr.dkr", "logs", "secretsmanager", "kms"]
  units                 = { for name, u in local.units : name => { entrance = u.entrance, needs = u.needs } }
  flow_log_bucket_arn   = module.storage.bucket_arns["logs"]
}

module "database" {
  source                           = "../../modules/database"
  name                             = local.name
  environment                      = "dr"
  platform_name                    = var.platform_name
  region                           = var.dr_region
  account_id                       = var.allowed_account_id
  subnet_ids                       = module.network.database_subnet_ids
  security_group_ids               = [module.network.security_group_ids["database"]]
  azs                              = local.azs
  kms_key_arn                      = module.keys.key_arns["data"]
  secrets_kms_key_arn              = module.keys.key_arns["secrets"]
  engine_version                   = var.engine_version
  database_writer_instance_class   = "db.r6g.xlarge"
  database_reader_instance_class   = "db.r6g.xlarge"
  database_reader_count            = 0
  database_backup_retention_period = 30
  global_cluster_identifier        = var.primary.global_cluster_identifier
}

module "edge" {
  source             = "../../modules/edge"
  providers          = { aws = aws, aws.us_east_1 = aws.us_east_1 }
  name               = local.name
  environment        = "dr"
  account_id         = var.allowed_account_id
  domain_name        = var.domain_name
  hosted_zone_id     = var.hosted_zone_id
  units              = { for name, u in local.units : name => { entrance = u.entrance, release = "rolling" } }
  failover           = "secondary"
  vpc_id             = module.network.vpc_id
  public_subnet_ids  = module.network.public_subnet_ids
  private_subnet_ids = module.network.private_subnet_ids
  security_group_ids = module.network.security_group_ids
  logs_bucket        = module.storage.bucket_names["logs"]
  static_bucket = {
    name   = module.storage.bucket_names["static"]
    arn    = module.storage.bucket_arns["static"]
    domain = module.storage.bucket_domains["static"]
  }
  log_kms_key_arn = module.keys.key_arns["logs"]
}

module "observability" {
  source                = "../../modules/observability"
  providers             = { aws = aws, aws.us_east_1 = aws.us_east_1 }
  name                  = local.name
  environment           = "dr"
  region                = var.dr_region
  account_id            = var.allowed_account_id
  alert_email_addresses = var.alert_email_addresses
  units = { for name, u in local.units : name => {
    platform      = "ecs"
    served        = true
    desired       = 1
    memory_gib    = u.production.memory_gib
    target_group  = module.edge.target_group_suffixes["${name}/blue"]
    load_balancer = module.edge.alb_suffixes[u.entrance]
  } }
  log_days             = 30
  kms_key_arn          = module.keys.key_arns["logs"]
  public_load_balancer = module.edge.alb_suffixes["public"]
  certificate_arn      = module.edge.acm_certificate_arn
  web_acl_name         = "${local.name}-regional"
  database_id          = "${local.name}-database"
  cache_id             = "${local.name}-cache"
  cache_nodes          = 0
  kafka_name           = "${local.name}-kafka"
  # Cache and brokers are made at failover.
  kafka_brokers       = 0
  database_memory_gib = 32
  cluster_log_group   = module.eks.log_group_name
}

module "ecs" {
  source      = "../../modules/ecs"
  name        = local.name
  environment = "dr"
  region      = var.dr_region
  account_id  = var.allowed_account_id
  units = { for name, u in local.units : name => {
    roles               = u.roles
    vcpu                = u.production.vcpu
    memory_gib          = u.production.memory_gib
    min                 = 1
    desired             = 1
    max                 = u.production.max
    cpu_target          = 70
    requests_per_minute = 0
    request_label       = ""
    release             = "rolling"
    spot                = false
    grants              = u.grants
    # Secrets are replicas of production's: the same ARNs but for the region. The database's URLs of
    # this region are members of their own, which `florin aws secrets init --dr-database` makes.
    secrets = { for s in local.table.secrets : s.name => join("", [
      local.replicas[startswith(s.secret, "shared/") ? s.secret : "${name}/${s.secret}"], s.secret == "db" ? ":dr_${s.member}::" : s.member == "" ? "" : ":${s.member}::",
    ]) if contains(concat(["always"], u.needs), s.when) && !contains(["cache", "kafka"], s.when) }
    target_groups     = { blue = { arn = module.edge.target_group_arns["${name}/blue"], name = module.edge.target_group_names["${name}/blue"] } }
    listener_arn      = module.edge.listener_arns[u.entrance]
    security_group_id = module.network.security_group_ids["unit-${name}"]
    # Cache and Kafka are made at failover; without them limits and news stay inside a process.
    environment = { for s in local.table.settings : s.name => startswith(s.value, "{") ? lookup(local.words, trim(s.value, "{}"), tostring(max(2, u.connections - (contains(u.needs, "ledger") ? 4 : 0)))) : s.value
    if contains(concat(["always"], u.needs, name == "gateway" ? ["upstreams"] : []), s.when) && !contains(["cache", "kafka"], s.when) }
    log_group       = module.observability.log_group_names[name]
    rollback_alarms = module.observability.rollback_alarms[name]
  } }
  container_image  = var.container_image
  drill            = false
  vpc_id           = module.network.vpc_id
  subnet_ids       = module.network.private_subnet_ids
  key_arns         = module.keys.key_arns
  bucket_arns      = module.storage.bucket_arns
  repository_arn   = "arn:aws:ecr:${var.dr_region}:${var.allowed_account_id}:repository/florin"
  notify_topic_arn = module.observability.sns_topic_arns["notify"]
}

module "eks" {
  source                     = "../../modules/eks"
  name                       = local.name
  environment                = "dr"
  region                     = var.dr_region
  account_id                 = var.allowed_account_id
  cluster_version            = var.cluster_version
  node_groups                = { core = { instance_types = ["m5.xlarge"], capacity = "ON_DEMAND", min = 0, desired = 0, max = 12, taint = "" } }
  addons                     = { "vpc-cni" = "v1.20.4-eksbuild.1" }
  service_accounts           = {}
  subnet_ids                 = module.network.pod_subnet_ids
  fargate_subnet_ids         = module.network.private_subnet_ids
  cluster_security_group_ids = [module.network.security_group_ids["cluster"]]
  node_security_group_ids    = [module.network.security_group_ids["nodes"]]
  file_security_group_ids    = [module.network.security_group_ids["efs"]]
  secrets_key_arn            = module.keys.key_arns["secrets"]
  volume_key_arn             = module.keys.key_arns["data"]
  log_kms_key_arn            = module.keys.key_arns["logs"]
}

module "cost" {
  source                = "../../modules/cost"
  name                  = local.name
  environment           = "dr"
  budget_monthly_usd    = var.budget_monthly_usd
  anomaly_usd           = 0
  alert_email_addresses = var.alert_email_addresses
  cost_topic_arn        = module.observability.sns_topic_arns["cost"]
}

module "dr" {
  source      = "../../modules/dr"
  name        = local.name
  environment = "dr"
  primary = {
    region               = var.aws_region
    application_url      = var.primary.application_url
    database_cluster     = var.primary.rds_identifier
    global_cluster       = var.primary.global_cluster_identifier
    cluster_name         = var.primary.ecs_cluster_name
    unit_security_groups = var.primary.unit_security_groups
  }
  endpoints = {
    api      = module.edge.application_url
    database = module.database.rds_endpoint
    cluster  = module.ecs.cluster_name
  }
}
