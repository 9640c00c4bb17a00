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
  description = "Account of the secrets."
  type        = string
}

variable "region" {
  description = "Region of the secrets."
  type        = string
}

variable "units" {
  description = "Names of secrets by unit; the path is florin/<environment>/<unit>/<what>."
  type        = map(list(string))
}

variable "kms_key_arn" {
  description = "Key of the secrets."
  type        = string
}

variable "recovery_window_days" {
  description = "Days in which a deleted secret can be brought back."
  type        = number
  default     = 30
}

variable "rotation_days" {
  description = "Age at which users of database, cache and brokers are rotated."
  type        = number
  default     = 30
}

variable "signing_key_days" {
  description = "Age at which another key signs tokens: longer than any process lives."
  type        = number
  default     = 90
}

variable "rotation_image" {
  description = "Image of the rotation function, by digest; empty: no rotation function."
  type        = string
  default     = ""
  validation {
    condition     = var.rotation_image == "" || can(regex("@sha256:[0-9a-f]{64}$", var.rotation_image))
    error_message = "An image by digest."
  }
}

variable "replica_region" {
  description = "Region of the replicas; empty: none."
  type        = string
  default     = ""
}

variable "replica_key_arn" {
  description = "Key of the replicas."
  type        = string
  default     = ""
}

variable "subnet_ids" {
  description = "Subnets of the rotation function."
  type        = list(string)
  default     = []
}

variable "security_group_id" {
  description = "Security group of the rotation function."
  type        = string
  default     = ""
}

variable "dead_letter_key_arn" {
  description = "Key of the queue of failed rotations."
  type        = string
  default     = ""
}

variable "master_secret_arn" {
  description = "Secret of the database's master user, which the rotation function reads; empty without a rotation image."
  type        = string
  default     = ""
}
