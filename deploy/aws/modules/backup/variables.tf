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

variable "account_id" {
  description = "Account of the vaults."
  type        = string
}

variable "plans" {
  description = "What is kept how long: days here, days of the copy (0: no copy), selected by tag Backup."
  type        = map(object({ days = number, copy_days = number }))
  default = {
    database = { days = 30, copy_days = 30 }
    files    = { days = 30, copy_days = 0 }
    networks = { days = 7, copy_days = 0 }
  }
}

variable "resource_arns" {
  description = "Resources by plan, beside those with the tag Backup."
  type        = map(list(string))
  default     = {}
}

variable "copy_region" {
  description = "Region of the copies; empty: none."
  type        = string
  default     = ""
}

variable "kms_key_arn" {
  description = "Key of the vault."
  type        = string
}

variable "copy_kms_key_arn" {
  description = "Key of the copies."
  type        = string
}

variable "min_retention_days" {
  description = "Nothing in the vault can be removed earlier."
  type        = number
  default     = 7
}

variable "notify_topic_arn" {
  description = "Topic of failed jobs."
  type        = string
}
