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

variable "region" {
  description = "Region of the alarms."
  type        = string
}

variable "account_id" {
  description = "Account of the alarms."
  type        = string
}

variable "alert_email_addresses" {
  description = "Who gets mail; each address confirms once."
  type        = list(string)
  validation {
    condition     = length(var.alert_email_addresses) > 0 && alltrue([for a in var.alert_email_addresses : can(regex("^[^@ ]+@[^@ ]+$", a))])
    error_message = "At least one mail address."
  }
}

variable "thresholds" {
  description = "Thresholds of alarms."
  type = object({
    cpu_percent          = optional(number, 80)
    memory_percent       = optional(number, 80)
    error_notify_percent = optional(number, 1)
    error_page_percent   = optional(number, 5)
    p95_s                = optional(number, 0.5)
    database_latency_s   = optional(number, 0.2)
    replica_lag_ms       = optional(number, 5000)
    connections          = optional(number, 1600)
    cache_memory_percent = optional(number, 75)
    kafka_disk_percent   = optional(number, 70)
    event_lag_s          = optional(number, 60)
    checkpoint_age_s     = optional(number, 300)
    certificate_days     = optional(number, 30)
    archive_age_s        = optional(number, 7200)
    transaction_age_s    = optional(number, 60)
    free_memory_percent  = optional(number, 10)
    denied_packets       = optional(number, 10)
  })
  default = {}
}

variable "units" {
  description = "Units: where they run, how much memory a copy has, their target group and load balancer as CloudWatch names them (empty: none)."
  type = map(object({
    platform      = string
    served        = bool
    desired       = number
    memory_gib    = number
    target_group  = string
    load_balancer = string
  }))
}

variable "log_days" {
  description = "Days of the units' logs."
  type        = number
}

variable "kms_key_arn" {
  description = "Key of logs and topics."
  type        = string
}

variable "public_load_balancer" {
  description = "Public load balancer as CloudWatch names it."
  type        = string
}

variable "certificate_arn" {
  description = "Certificate of the load balancers."
  type        = string
}

variable "web_acl_name" {
  description = "Name of the regional web ACL."
  type        = string
}

variable "database_id" {
  description = "Cluster identifier of the database."
  type        = string
}

variable "cache_id" {
  description = "Replication group of the cache."
  type        = string
}

variable "cache_nodes" {
  description = "Nodes of the cache."
  type        = number
}

variable "kafka_name" {
  description = "Name of the Kafka cluster."
  type        = string
}

variable "kafka_brokers" {
  description = "Number of brokers."
  type        = number
  default     = 3
}

variable "consumed_topics" {
  description = "Topics that Florin itself consumes, as group florin-shadow."
  type        = list(string)
  default     = []
}

variable "database_memory_gib" {
  description = "Memory of an instance of the database."
  type        = number
}

variable "scaling_groups" {
  description = "Names of the scaling groups of machines, by a name for people."
  type        = map(string)
  default     = {}
}

variable "cluster_log_group" {
  description = "Log group of the cluster, where its network agent writes too."
  type        = string
}
