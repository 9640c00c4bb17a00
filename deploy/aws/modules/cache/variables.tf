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

variable "engine" {
  description = "valkey, or redis 7.1."
  type        = string
  default     = "valkey"
  validation {
    condition     = contains(["valkey", "redis"], var.engine)
    error_message = "valkey or redis."
  }
}

variable "node_type" {
  description = "Class of the nodes."
  type        = string
}

variable "nodes" {
  description = "Primary and replicas together; at least two, for failover."
  type        = number
  validation {
    condition     = var.nodes >= 2 && var.nodes <= 6
    error_message = "2 to 6."
  }
}

variable "snapshots_kept" {
  description = "Daily snapshots kept."
  type        = number
}

variable "units" {
  description = "Units with a user of their own, and the pattern of its keys."
  type        = list(string)
}

variable "subnet_ids" {
  description = "Database subnets."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups of the cache."
  type        = list(string)
}

variable "kms_key_arn" {
  description = "Key of data at rest."
  type        = string
}

variable "log_kms_key_arn" {
  description = "Key of the log group."
  type        = string
}

variable "log_days" {
  description = "Days of the slow log."
  type        = number
}

variable "notify_topic_arn" {
  description = "Topic of failovers; empty: none."
  type        = string
  default     = ""
}
