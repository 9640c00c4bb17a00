variable "name" {
  description = "Prefix of every name: platform name and environment."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,22}$", var.name))
    error_message = "3 to 23 lower-case letters, digits and hyphens, starting with a letter."
  }
}

variable "environment" {
  description = "staging, production or dr."
  type        = string
  validation {
    condition     = contains(["staging", "production", "dr"], var.environment)
    error_message = "staging, production or dr."
  }
}

variable "tags" {
  description = "Tags of every resource, beside the provider's default tags."
  type        = map(string)
  default     = {}
}

variable "platform_name" {
  description = "Name of the database and of its master user."
  type        = string
}

variable "region" {
  description = "Region of the database."
  type        = string
}

variable "account_id" {
  description = "Account of the database."
  type        = string
}

variable "subnet_ids" {
  description = "Database subnets."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups of the database."
  type        = list(string)
}

variable "azs" {
  description = "Zones of the instances."
  type        = list(string)
}

variable "kms_key_arn" {
  description = "Key of storage, logs and insights."
  type        = string
}

variable "secrets_kms_key_arn" {
  description = "Key of the master user's secret."
  type        = string
}

variable "engine_mode" {
  description = "aurora, or rds for installations of one system."
  type        = string
  default     = "aurora"
  validation {
    condition     = contains(["aurora", "rds"], var.engine_mode)
    error_message = "aurora or rds."
  }
}

variable "engine_version" {
  description = "Exact version; versions.toml tells its end of support."
  type        = string
  validation {
    condition     = can(regex("^17\\.[0-9]+$", var.engine_version))
    error_message = "PostgreSQL 17 with its minor version."
  }
}

variable "auto_minor_version_upgrade" {
  description = "Minor upgrades in the maintenance window by AWS."
  type        = bool
  default     = false
}

variable "database_writer_instance_class" {
  description = "Class of the writer."
  type        = string
  validation {
    condition     = !can(regex("^db\\.t[0-9]", var.database_writer_instance_class))
    error_message = "No burstable class: credits run out when the ledger is busy."
  }
}

variable "database_reader_instance_class" {
  description = "Class of the readers."
  type        = string
}

variable "database_reader_count" {
  description = "Readers beside the writer."
  type        = number
}

variable "database_reader_max" {
  description = "Readers at most, by autoscaling; 0: no autoscaling."
  type        = number
  default     = 0
}

variable "database_backup_retention_period" {
  description = "Days of automated backups. At most 30: keys of erased persons must be gone from backups by then."
  type        = number
  validation {
    condition     = var.database_backup_retention_period >= 7 && var.database_backup_retention_period <= 30
    error_message = "7 to 30 days."
  }
}

variable "database_max_connections" {
  description = "max_connections of the server."
  type        = number
  default     = 2000
}

variable "storage_type" {
  description = "Aurora: empty (standard) or aurora-iopt1."
  type        = string
  default     = ""
  validation {
    condition     = contains(["", "aurora-iopt1"], var.storage_type)
    error_message = "Empty or aurora-iopt1."
  }
}

variable "allocated_storage_gib" {
  description = "engine_mode rds: storage at the start."
  type        = number
  default     = 400
}

variable "pooler" {
  description = "none, rds_proxy or pgbouncer (a sidecar, see the Kubernetes component)."
  type        = string
  default     = "none"
  validation {
    condition     = contains(["none", "rds_proxy", "pgbouncer"], var.pooler)
    error_message = "none, rds_proxy or pgbouncer."
  }
}

variable "global" {
  description = "Make the cluster the primary of an Aurora Global Database, for the recovery region."
  type        = bool
  default     = false
}

variable "global_cluster_identifier" {
  description = "Join this global cluster as secondary; empty: a cluster of its own."
  type        = string
  default     = ""
}
