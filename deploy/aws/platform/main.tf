# DEP-148. One environment: the modules of ../modules, wired. The roots below ../environments give the values.

locals {
  name = "${var.platform_name}-${var.environment}"
  azs  = length(var.azs) > 0 ? var.azs : [for zone in ["a", "b", "c"] : "${var.aws_region}${zone}"]

  # Units: one data file, with the placement and the sizes of wallets over it.
  raw = jsondecode(file("${path.module}/../../units.json")).units
  app = {
    vcpu       = var.app_cpu / 1024
    memory_gib = var.app_memory / 1024
    desired    = var.app_desired_count
    min        = var.app_min_capacity
    max        = var.app_max_capacity
  }
  units = { for u in local.raw : u.name => {
    roles       = u.roles
    platform    = u.platform == "ec2" ? "ec2" : lookup(var.placement, u.name, u.platform)
    entrance    = u.entrance
    release     = lookup(var.placement, u.name, u.platform) == "ecs" ? u.release : "rolling"
    spot        = u.spot
    grants      = u.grants
    namespace   = u.namespace
    needs       = u.needs
    blobs       = lookup(u, "blobs", "")
    connections = lookup(u, "connections", 0)
    secrets     = u.secrets
    scaling     = u.scaling
    size        = { for key, value in u[var.environment] : key => u.name == "wallets" && local.app[key] > 0 ? local.app[key] : value }
  } }
  # The monitoring host is no Florin unit in the sense of ports, secrets and target groups.
  served  = { for name, u in local.units : name => u if u.platform != "ec2" }
  on_ecs  = { for name, u in local.served : name => u if u.platform == "ecs" }
  on_eks  = { for name, u in local.served : name => u if u.platform == "eks" }
  primary = { for name, u in local.served : name => "${name}/blue" if u.entrance != "none" }

  # What Florin itself reads from topics (DEP-126).
  consumed_topics = ["transactions.raw", "transactions.corrections"]
  # Memory of a class, for the alarm over what is free (DEP-125).
  database_memory_gib = { "db.r6g.large" = 16, "db.r6g.xlarge" = 32, "db.r6g.2xlarge" = 64, "db.r6g.4xlarge" = 128, "db.r6g.8xlarge" = 256, "db.m6g.large" = 8, "db.m6g.xlarge" = 16 }

  repository_arn = "arn:aws:ecr:${var.aws_region}:${var.allowed_account_id}:repository/florin"
}

module "keys" {
  source      = "../modules/keys"
  providers   = { aws = aws, aws.dr = aws.dr }
  name        = local.name
  environment = var.environment
  account_id  = var.allowed_account_id
  region      = var.aws_region
}

module "storage" {
  source        = "../modules/storage"
  providers     = { aws = aws, aws.dr = aws.dr }
  name          = local.name
  environment   = var.environment
  platform_name = var.platform_name
  account_id    = var.allowed_account_id
  region        = var.aws_region
  buckets = {
    blobs     = module.keys.key_arns["data"]
    documents = module.keys.key_arns["documents"]
    static    = module.keys.key_arns["data"]
    archive   = module.keys.key_arns["archive"]
    backups   = module.keys.key_arns["backup"]
    networks  = module.keys.key_arns["networks"]
    # Load balancers and S3 write logs only where S3 keeps the key.
    logs      = ""
    audit     = module.keys.key_arns["logs"]
    artifacts = module.keys.key_arns["data"]
  }
  object_lock_mode  = var.object_lock.mode
  object_lock_years = var.object_lock.years
  cors_origins      = ["https://app.${var.domain_name}"]
  replica_region    = var.dr_region
  replica_key_arn   = module.keys.dr_key_arn
}

module "network" {
  source                = "../modules/network"
  name                  = local.name
  environment           = var.environment
  region                = var.aws_region
  account_id            = var.allowed_account_id
  vpc_cidr              = var.vpc_cidr
  azs                   = local.azs
  public_subnet_cidrs   = var.public_subnet_cidrs
  private_subnet_cidrs  = var.private_subnet_cidrs
  pod_subnet_cidrs      = var.pod_subnet_cidrs
  database_subnet_cidrs = var.database_subnet_cidrs
  nat_per_az            = var.nat_per_az
  interface_endpoints   = var.interface_endpoints
  units                 = { for name, u in local.served : name => { entrance = u.entrance, needs = u.needs } }
  flow_log_bucket_arn   = module.storage.bucket_arns["logs"]
}

module "secrets" {
  source              = "../modules/secrets"
  name                = local.name
  environment         = var.environment
  account_id          = var.allowed_account_id
  region              = var.aws_region
  units               = merge({ for name, u in local.served : name => u.secrets }, { shared = local.shared_secrets })
  master_secret_arn   = module.database.master_secret_arn
  kms_key_arn         = module.keys.key_arns["secrets"]
  replica_region      = var.dr_region
  replica_key_arn     = module.keys.dr_replica_arns["secrets"]
  rotation_image      = var.rotation ? var.container_image : ""
  subnet_ids          = module.network.private_subnet_ids
  security_group_id   = module.network.security_group_ids["rotation"]
  dead_letter_key_arn = module.keys.key_arns["data"]
}

module "database" {
  source                           = "../modules/database"
  name                             = local.name
  environment                      = var.environment
  platform_name                    = var.platform_name
  region                           = var.aws_region
  account_id                       = var.allowed_account_id
  subnet_ids                       = module.network.database_subnet_ids
  security_group_ids               = [module.network.security_group_ids["database"]]
  azs                              = local.azs
  kms_key_arn                      = module.keys.key_arns["data"]
  secrets_kms_key_arn              = module.keys.key_arns["secrets"]
  engine_mode                      = var.database.engine_mode
  engine_version                   = var.database.engine_version
  auto_minor_version_upgrade       = var.database.auto_minor_version_upgrade
  database_writer_instance_class   = var.database.database_writer_instance_class
  database_reader_instance_class   = var.database.database_reader_instance_class
  database_reader_count            = var.database.database_reader_count
  database_reader_max              = var.database.database_reader_max
  database_backup_retention_period = var.database.database_backup_retention_period
  database_max_connections         = var.database.database_max_connections
  storage_type                     = var.database.storage_type
  global                           = var.database.global
  pooler                           = var.pooler
}

module "cache" {
  source             = "../modules/cache"
  name               = local.name
  environment        = var.environment
  engine             = var.cache.engine
  node_type          = var.cache.node_type
  nodes              = var.cache.nodes
  snapshots_kept     = var.cache.snapshots_kept
  units              = [for name, u in local.served : name if contains(u.needs, "cache")]
  subnet_ids         = module.network.database_subnet_ids
  security_group_ids = [module.network.security_group_ids["cache"]]
  kms_key_arn        = module.keys.key_arns["data"]
  log_kms_key_arn    = module.keys.key_arns["logs"]
  log_days           = var.log_days
  notify_topic_arn   = module.observability.sns_topic_arns["notify"]
}

module "kafka" {
  source             = "../modules/kafka"
  name               = local.name
  environment        = var.environment
  broker_type        = var.kafka.broker_type
  volume_gib         = var.kafka.volume_gib
  subnet_ids         = module.network.database_subnet_ids
  security_group_ids = [module.network.security_group_ids["kafka"]]
  kms_key_arn        = module.keys.key_arns["data"]
  log_kms_key_arn    = module.keys.key_arns["logs"]
  log_days           = var.log_days
}

module "edge" {
  source             = "../modules/edge"
  providers          = { aws = aws, aws.us_east_1 = aws.us_east_1 }
  name               = local.name
  environment        = var.environment
  account_id         = var.allowed_account_id
  domain_name        = var.domain_name
  hosted_zone_id     = var.hosted_zone_id
  units              = { for name, u in local.served : name => { entrance = u.entrance, release = u.release } }
  waf                = var.waf
  tls13_only         = var.tls13_only
  private_api        = var.private_api
  failover           = var.failover
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
  source                = "../modules/observability"
  providers             = { aws = aws, aws.us_east_1 = aws.us_east_1 }
  name                  = local.name
  environment           = var.environment
  region                = var.aws_region
  account_id            = var.allowed_account_id
  alert_email_addresses = var.alert_email_addresses
  units = { for name, u in local.served : name => {
    platform      = u.platform
    served        = u.entrance != "none"
    desired       = u.size.desired
    memory_gib    = u.size.memory_gib
    target_group  = u.entrance == "none" ? "" : module.edge.target_group_suffixes[local.primary[name]]
    load_balancer = u.entrance == "none" ? "" : module.edge.alb_suffixes[u.entrance]
  } }
  log_days             = var.log_days
  kms_key_arn          = module.keys.key_arns["logs"]
  public_load_balancer = module.edge.alb_suffixes["public"]
  certificate_arn      = module.edge.acm_certificate_arn
  web_acl_name         = "${local.name}-regional"
  database_id          = "${local.name}-database"
  cache_id             = "${local.name}-cache"
  cache_nodes          = var.cache.nodes
  kafka_name           = "${local.name}-kafka"
  consumed_topics      = local.consumed_topics
  database_memory_gib  = lookup(local.database_memory_gib, var.database.database_writer_instance_class, 16)
  cluster_log_group    = module.eks.log_group_name
  scaling_groups = merge(
    { for group, name in module.eks.scaling_groups : "eks-${group}" => name },
    var.monitoring == "ec2" ? { monitoring = "${local.name}-monitoring" } : {},
  )
}

module "ecs" {
  source      = "../modules/ecs"
  name        = local.name
  environment = var.environment
  region      = var.aws_region
  account_id  = var.allowed_account_id
  units = { for name, u in local.on_ecs : name => {
    roles               = u.roles
    vcpu                = u.size.vcpu
    memory_gib          = u.size.memory_gib
    min                 = u.size.min
    desired             = u.size.desired
    max                 = u.size.max
    cpu_target          = lookup(u.scaling, "cpu", 0)
    requests_per_minute = lookup(u.scaling, "requests_per_minute", 0)
    request_label       = u.entrance == "none" ? "" : "${module.edge.alb_suffixes[u.entrance]}/${module.edge.target_group_suffixes[local.primary[name]]}"
    release             = u.release
    spot                = u.spot
    grants              = u.grants
    secrets             = local.unit_secrets[name]
    target_groups = { for key, arn in module.edge.target_group_arns : split("/", key)[1] => {
      arn  = arn
      name = module.edge.target_group_names[key]
    } if split("/", key)[0] == name }
    listener_arn      = u.entrance == "none" ? "" : module.edge.listener_arns[u.entrance]
    security_group_id = module.network.security_group_ids["unit-${name}"]
    environment       = local.unit_settings[name]
    log_group         = module.observability.log_group_names[name]
    rollback_alarms   = module.observability.rollback_alarms[name]
  } }
  container_image  = var.container_image
  collector_image  = var.collector_image
  collector_config = file("${path.module}/../../otel/collector.yaml")
  on_sales         = var.on_sales
  drill_secret_arn = module.secrets.secret_arns["workers/db"]
  # Tasks of workers reach the database wherever they run.
  drill_security_group_id = module.network.security_group_ids["unit-workers"]
  drill_schedule          = var.environment == "production" ? "cron(0 4 1 1,4,7,10 ? *)" : "cron(0 4 ? * SUN *)"
  spot                    = var.ecs_spot
  exec                    = var.ecs_exec
  scale_out_cooldown_s    = var.scale_out_cooldown_s
  night_schedule          = var.night_schedule
  vpc_id                  = module.network.vpc_id
  subnet_ids              = module.network.private_subnet_ids
  key_arns                = module.keys.key_arns
  bucket_arns             = module.storage.bucket_arns
  repository_arn          = local.repository_arn
  notify_topic_arn        = module.observability.sns_topic_arns["notify"]
}

locals {
  policy_values = {
    name            = local.name
    region          = var.aws_region
    account         = var.allowed_account_id
    environment     = var.environment
    networks_bucket = module.storage.bucket_arns["networks"]
    networks_key    = module.keys.key_arns["networks"]
    secrets_key     = module.keys.key_arns["secrets"]
    volume_key      = module.keys.key_arns["data"]
    secrets = concat(
      [for what in local.shared_secrets : module.secrets.secret_arns["shared/${what}"]],
      flatten([for name, u in local.on_eks : [for what in u.secrets : module.secrets.secret_arns["${name}/${what}"]]]),
    )
    target_groups = [for name, key in local.primary : module.edge.target_group_arns[key]]
    readonly      = false
  }
  unit_policy = { none = "traces", networks = "networks", custody = "custody" }
  system_accounts = {
    cluster-autoscaler           = "cluster-autoscaler"
    external-secrets             = "external-secrets"
    aws-load-balancer-controller = "load-balancer-controller"
    ebs-csi-controller-sa        = "csi"
    efs-csi-controller-sa        = "csi-files"
    log-agent                    = "log-agent"
  }
  system_namespaces = { ebs-csi-controller-sa = "kube-system", efs-csi-controller-sa = "kube-system", log-agent = "florin-logs" }
}

module "eks" {
  source                     = "../modules/eks"
  name                       = local.name
  environment                = var.environment
  region                     = var.aws_region
  account_id                 = var.allowed_account_id
  cluster_version            = var.cluster_version
  node_groups                = var.node_groups
  addons                     = var.addons
  public_access_cidrs        = var.public_access_cidrs
  admins                     = concat(var.cluster_admin_role_arns, ["arn:aws:iam::${var.allowed_account_id}:role/${var.platform_name}-deploy-${var.environment}"])
  subnet_ids                 = module.network.pod_subnet_ids
  fargate_subnet_ids         = module.network.private_subnet_ids
  cluster_security_group_ids = [module.network.security_group_ids["cluster"]]
  node_security_group_ids    = [module.network.security_group_ids["nodes"]]
  file_security_group_ids    = [module.network.security_group_ids["efs"]]
  secrets_key_arn            = module.keys.key_arns["secrets"]
  volume_key_arn             = module.keys.key_arns["data"]
  log_kms_key_arn            = module.keys.key_arns["logs"]
  service_accounts = merge(
    { for name, u in local.on_eks : name => {
      namespace = u.namespace
      policy    = templatefile("${path.module}/../policies/${local.unit_policy[u.grants]}.json.tftpl", merge(local.policy_values, { readonly = name == "networks-manager" }))
    } },
    { for account, template in local.system_accounts : account => {
      namespace = lookup(local.system_namespaces, account, "florin-system")
      policy    = templatefile("${path.module}/../policies/${template}.json.tftpl", local.policy_values)
    } },
  )
}

module "monitoring_host" {
  source            = "../modules/monitoring_host"
  name              = local.name
  environment       = var.environment
  region            = var.aws_region
  account_id        = var.allowed_account_id
  monitoring        = var.monitoring
  instance_type     = var.monitoring_host.instance_type
  max_hosts         = var.monitoring_host.max_hosts
  volume_gib        = var.monitoring_host.volume_gib
  ami_id            = var.monitoring_ami_id
  az                = local.azs[0]
  vpc_id            = module.network.vpc_id
  subnet_id         = module.network.private_subnet_ids[0]
  security_group_id = module.network.security_group_ids["monitoring"]
  listener_arn      = module.edge.listener_arns["internal"]
  volume_key_arn    = module.keys.key_arns["data"]
  config_bucket_arn = module.storage.bucket_arns["artifacts"]
  topic_arns        = [module.observability.sns_topic_arns["page"], module.observability.sns_topic_arns["notify"]]
}

module "audit" {
  source              = "../modules/audit"
  name                = local.name
  environment         = var.environment
  account_id          = var.allowed_account_id
  region              = var.aws_region
  bucket              = module.storage.bucket_names["audit"]
  watched_bucket_arns = [module.storage.bucket_arns["documents"], module.storage.bucket_arns["archive"], "arn:aws:s3:::${var.platform_name}-tfstate-${var.allowed_account_id}-${var.aws_region}"]
  log_kms_key_arn     = module.keys.key_arns["logs"]
  access_analyzer     = var.access_analyzer
  security_hub        = var.security_hub
}

module "backup" {
  source           = "../modules/backup"
  providers        = { aws = aws, aws.dr = aws.dr }
  name             = local.name
  environment      = var.environment
  account_id       = var.allowed_account_id
  resource_arns    = { database = [module.database.cluster_arn] }
  copy_region      = var.dr_region
  kms_key_arn      = module.keys.key_arns["backup"]
  copy_kms_key_arn = module.keys.dr_key_arn
  notify_topic_arn = module.observability.sns_topic_arns["notify"]
}

module "cost" {
  source                = "../modules/cost"
  name                  = local.name
  environment           = var.environment
  budget_monthly_usd    = var.budget_monthly_usd
  anomaly_usd           = var.anomaly_usd
  alert_email_addresses = var.alert_email_addresses
  cost_topic_arn        = module.observability.sns_topic_arns["cost"]
}

module "identity" {
  source      = "../modules/identity"
  name        = local.name
  environment = var.environment
  region      = var.aws_region
  cognito     = var.cognito
  issuer_url  = var.issuer_url
}

module "pipeline" {
  source               = "../modules/pipeline"
  name                 = local.name
  environment          = var.environment
  region               = var.aws_region
  account_id           = var.allowed_account_id
  connection_arn       = var.connection_arn
  repository           = var.repository
  artifacts_bucket_arn = module.storage.bucket_arns["artifacts"]
  artifacts_key_arn    = module.keys.key_arns["data"]
  log_kms_key_arn      = module.keys.key_arns["logs"]
  repository_arn       = local.repository_arn
  vpc_id               = module.network.vpc_id
  subnet_ids           = module.network.private_subnet_ids
  security_group_id    = module.network.security_group_ids["rotation"]
  approval_topic_arn   = module.observability.sns_topic_arns["notify"]
}
