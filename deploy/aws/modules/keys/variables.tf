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
  description = "Account of the keys."
  type        = string
}

variable "region" {
  description = "Region of the keys."
  type        = string
}

variable "admins" {
  description = "ARNs of roles that may administer keys; the account root can always."
  type        = list(string)
  default     = []
}

variable "multi_region" {
  description = "Purposes whose keys have a replica in the recovery region."
  type        = list(string)
  default     = ["secrets", "documents"]
}

variable "deletion_window_days" {
  description = "Days between scheduling a deletion and the loss of the key."
  type        = number
  default     = 30
  validation {
    condition     = var.deletion_window_days == 30
    error_message = "30 days: what a key protects cannot be read without it."
  }
}
