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

variable "broker_type" {
  description = "Class of the brokers."
  type        = string
}

variable "volume_gib" {
  description = "Disk of each broker at the start."
  type        = number
}

variable "volume_max_gib" {
  description = "Disk of each broker at most."
  type        = number
  default     = 4096
}

variable "kafka_version" {
  description = "Version, with KRaft."
  type        = string
  default     = "3.9.x.kraft"
  validation {
    condition     = endswith(var.kafka_version, ".kraft")
    error_message = "A KRaft version."
  }
}

variable "subnet_ids" {
  description = "Database subnets, one per zone."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups of the brokers."
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
  description = "Days of the broker log."
  type        = number
}
