# --- what only the owner of the account knows

variable "allowed_account_id" {
  description = "The one account that this environment may touch (DEP-013)."
  type        = string
  validation {
    condition     = can(regex("^[0-9]{12}$", var.allowed_account_id))
    error_message = "Twelve digits."
  }
}

variable "domain_name" {
  description = "Domain of the platform, whose zone exists."
  type        = string
}

variable "hosted_zone_id" {
  description = "Public zone of the domain."
  type        = string
}

variable "alert_email_addresses" {
  description = "Who is told; each address confirms once."
  type        = list(string)
}

variable "container_image" {
  description = "Image of Florin, by digest."
  type        = string
}

variable "monitoring_ami_id" {
  description = "Amazon Linux 2023 image of the monitoring host."
  type        = string
}

variable "cluster_admin_role_arns" {
  description = "Roles of people that administer the EKS cluster."
  type        = list(string)
  default     = []
}

variable "connection_arn" {
  description = "Connection to the source; empty: no pipeline."
  type        = string
  default     = ""
}

variable "repository" {
  description = "Source repository, owner/name."
  type        = string
  default     = ""
}

# --- values of the environment

variable "environment" {
  description = "staging or production."
  type        = string
}

variable "aws_region" {
  description = "Region (DEP-014)."
  type        = string
  default     = "us-west-2"
}

variable "dr_region" {
  description = "Recovery region (DEP-014)."
  type        = string
  default     = "us-east-1"
  validation {
    condition     = var.dr_region != var.aws_region
    error_message = "Recovery happens in another region."
  }
  validation {
    condition     = length(var.data_residency) == 0 || alltrue([for region in [var.aws_region, var.dr_region] : contains(var.data_residency, region)])
    error_message = "Buckets, replicas, keys and the recovery region must stay in data_residency (DEP-145)."
  }
}

variable "data_residency" {
  description = "Regions in which data may lie; empty: anywhere (DEP-145)."
  type        = list(string)
  default     = []
}

variable "platform_name" {
  description = "First part of all names; also the database and its master user."
  type        = string
  default     = "florin"
}

variable "azs" {
  description = "Three availability zones; empty: a, b, c of the region."
  type        = list(string)
  default     = []
}

variable "vpc_cidr" {
  description = "Range of the VPC (DEP-019)."
  type        = string
}

variable "public_subnet_cidrs" {
  description = "DEP-021."
  type        = list(string)
}

variable "private_subnet_cidrs" {
  description = "DEP-022."
  type        = list(string)
}

variable "pod_subnet_cidrs" {
  description = "DEP-023."
  type        = list(string)
}

variable "database_subnet_cidrs" {
  description = "DEP-024."
  type        = list(string)
}

variable "nat_per_az" {
  description = "DEP-025."
  type        = bool
}

variable "interface_endpoints" {
  description = "DEP-027."
  type        = list(string)
}

variable "placement" {
  description = "Units that run elsewhere than units.json says: unit to ecs or eks."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for platform in values(var.placement) : contains(["ecs", "eks"], platform)])
    error_message = "ecs or eks."
  }
}

variable "app_cpu" {
  description = "CPU units of a task of wallets; 0: as in units.json."
  type        = number
  default     = 0
}

variable "app_memory" {
  description = "MiB of a task of wallets; 0: as in units.json."
  type        = number
  default     = 0
}

variable "app_desired_count" {
  description = "Tasks of wallets; 0: as in units.json."
  type        = number
  default     = 0
}

variable "app_min_capacity" {
  description = "Tasks of wallets at least; 0: as in units.json."
  type        = number
  default     = 0
}

variable "app_max_capacity" {
  description = "Tasks of wallets at most; 0: as in units.json."
  type        = number
  default     = 0
}

variable "collector_image" {
  description = "Image of the OpenTelemetry collector, by digest; empty: none."
  type        = string
  default     = ""
}

variable "on_sales" {
  description = "Announced ticket sales: at least `min` tasks of a unit between two times, UTC (DEP-056)."
  type        = list(object({ name = string, unit = string, from = string, until = string, min = number, max = number }))
  default     = []
}

variable "ecs_spot" {
  description = "DEP-053."
  type        = bool
}

variable "ecs_exec" {
  description = "DEP-053."
  type        = bool
}

variable "scale_out_cooldown_s" {
  description = "DEP-056."
  type        = number
}

variable "night_schedule" {
  description = "DEP-133."
  type        = bool
}

variable "cluster_version" {
  description = "DEP-037."
  type        = string
}

variable "node_groups" {
  description = "DEP-041 to DEP-043."
  type = map(object({
    instance_types = list(string)
    capacity       = string
    min            = number
    desired        = number
    max            = number
    taint          = string
  }))
}

variable "addons" {
  description = "DEP-045."
  type        = map(string)
}

variable "public_access_cidrs" {
  description = "DEP-038."
  type        = list(string)
  default     = []
}

variable "database" {
  description = "DEP-062 to DEP-073."
  type = object({
    engine_mode                      = optional(string, "aurora")
    engine_version                   = string
    auto_minor_version_upgrade       = bool
    database_writer_instance_class   = string
    database_reader_instance_class   = string
    database_reader_count            = number
    database_reader_max              = number
    database_backup_retention_period = number
    database_max_connections         = optional(number, 2000)
    storage_type                     = optional(string, "")
    global                           = optional(bool, false)
  })
}

variable "pooler" {
  description = "DEP-071."
  type        = string
  default     = "none"
}

variable "cache" {
  description = "DEP-074 to DEP-078."
  type = object({
    engine         = optional(string, "valkey")
    node_type      = string
    nodes          = number
    snapshots_kept = number
  })
}

variable "kafka" {
  description = "DEP-079 to DEP-083."
  type = object({
    broker_type = string
    volume_gib  = number
  })
}

variable "object_lock" {
  description = "DEP-089."
  type        = object({ mode = string, years = number })
}

variable "monitoring" {
  description = "DEP-061."
  type        = string
  default     = "ec2"
}

variable "monitoring_host" {
  description = "DEP-060."
  type        = object({ instance_type = string, max_hosts = number, volume_gib = number })
}

variable "log_days" {
  description = "DEP-120."
  type        = number
}

variable "waf" {
  description = "DEP-107."
  type        = any
  default     = {}
}

variable "tls13_only" {
  description = "DEP-102."
  type        = bool
  default     = false
}

variable "private_api" {
  description = "DEP-112."
  type        = bool
  default     = false
}

variable "failover" {
  description = "DEP-110."
  type        = string
  default     = ""
}

variable "budget_monthly_usd" {
  description = "DEP-132."
  type        = number
}

variable "anomaly_usd" {
  description = "DEP-132; 0: no monitor."
  type        = number
  default     = 50
}

variable "access_analyzer" {
  description = "DEP-137."
  type        = bool
  default     = true
}

variable "security_hub" {
  description = "DEP-137."
  type        = bool
  default     = false
}

variable "cognito" {
  description = "DEP-144."
  type        = bool
  default     = false
}

variable "issuer_url" {
  description = "DEP-144."
  type        = string
  default     = ""
}

variable "rotation" {
  description = "Rotate users of stores by Florin's image (DEP-096)."
  type        = bool
  default     = true
}
