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
  description = "Account of the registry."
  type        = string
}

variable "keep_images" {
  description = "Tagged images kept."
  type        = number
  default     = 30
}

variable "mirror_images" {
  description = "Foreign images that are mirrored: name to digest."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for digest in values(var.mirror_images) : can(regex("^sha256:[0-9a-f]{64}$", digest))])
    error_message = "Mirrored images are named by digest."
  }
}

variable "replica_region" {
  description = "Region of the copies; empty: none."
  type        = string
  default     = ""
}

variable "kms_key_arn" {
  description = "Key of the images."
  type        = string
}
