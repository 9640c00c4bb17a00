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
  description = "Account of the distribution."
  type        = string
}

variable "domain_name" {
  description = "Domain of the platform; api.<domain> and app.<domain> are made."
  type        = string
  validation {
    condition     = can(regex("^([a-z0-9-]+\\.)+[a-z]{2,}$", var.domain_name))
    error_message = "A domain name in lower case."
  }
}

variable "hosted_zone_id" {
  description = "Public zone of the domain, which exists already."
  type        = string
}

variable "units" {
  description = "Units with an entrance (public or internal) and how they are released."
  type = map(object({
    entrance = string
    release  = string
  }))
}

variable "waf" {
  description = "Limits and lists of the web ACLs."
  type = object({
    anonymous_per_5_min     = optional(number, 2000)
    authenticated_per_5_min = optional(number, 100000)
    login_per_5_min         = optional(number, 100)
    blocked_ranges          = optional(list(string), [])
    partner_ranges          = optional(list(string), [])
    blocked_countries       = optional(list(string), [])
  })
  default = {}
}

variable "tls13_only" {
  description = "Refuse TLS 1.2."
  type        = bool
  default     = false
}

variable "private_api" {
  description = "Offer the API to other networks by an endpoint service."
  type        = bool
  default     = false
}

variable "failover" {
  description = "primary or secondary of a failover pair; empty: no pair."
  type        = string
  default     = ""
  validation {
    condition     = contains(["", "primary", "secondary"], var.failover)
    error_message = "primary, secondary or empty."
  }
}

variable "shield_advanced" {
  description = "Shield Advanced, at its fixed fee."
  type        = bool
  default     = false
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "public_subnet_ids" {
  description = "Subnets of the public load balancer."
  type        = list(string)
}

variable "private_subnet_ids" {
  description = "Subnets of the internal load balancer."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups by name."
  type        = map(string)
}

variable "logs_bucket" {
  description = "Bucket of access logs."
  type        = string
}

variable "static_bucket" {
  description = "Bucket of static files: name, ARN and host."
  type        = object({ name = string, arn = string, domain = string })
}

variable "log_kms_key_arn" {
  description = "Key of log groups."
  type        = string
}
