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

variable "primary" {
  description = "Outputs of the primary region that a failover needs."
  type = object({
    region               = string
    application_url      = string
    database_cluster     = string
    global_cluster       = string
    cluster_name         = string
    unit_security_groups = map(string)
  })
}

variable "endpoints" {
  description = "Endpoints of this region."
  type        = map(string)
}
