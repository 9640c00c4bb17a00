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
  description = "First part of bucket names."
  type        = string
}

variable "account_id" {
  description = "Account of the buckets; eight digits of its hash end their names."
  type        = string
}

variable "region" {
  description = "Region of the buckets."
  type        = string
}

variable "buckets" {
  description = "Purposes and the ARN of the key of each; empty: keys of S3 itself, which load balancers and access logs insist on."
  type        = map(string)
}

variable "ladder_days" {
  description = "Days until STANDARD_IA, GLACIER and DEEP_ARCHIVE."
  type        = list(number)
  default     = [30, 90, 180]
}

variable "object_lock_mode" {
  description = "Lock of the archive: COMPLIANCE, which nobody can lift, or GOVERNANCE."
  type        = string
  default     = "COMPLIANCE"
}

variable "object_lock_years" {
  description = "Years of the archive's lock; 0: one day, for environments that are torn down."
  type        = number
  default     = 7
}

variable "audit_lock_days" {
  description = "Days of the audit bucket's lock."
  type        = number
  default     = 400
}

variable "cors_origins" {
  description = "Origins of the console."
  type        = list(string)
}

variable "replicated" {
  description = "Purposes that are copied to the recovery region."
  type        = list(string)
  default     = ["blobs", "documents", "archive", "backups"]
}

variable "replica_region" {
  description = "Region of the copies; empty: none."
  type        = string
  default     = ""
}

variable "replica_key_arn" {
  description = "Key of the copies."
  type        = string
  default     = ""
}
