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

variable "cognito" {
  description = "Make a user pool; otherwise any OIDC issuer is used."
  type        = bool
  default     = false
}

variable "issuer_url" {
  description = "OIDC issuer when there is no user pool; empty: Florin's own users."
  type        = string
  default     = ""
  validation {
    condition     = var.issuer_url == "" || startswith(var.issuer_url, "https://")
    error_message = "An https address."
  }
}

variable "region" {
  description = "Region of the user pool."
  type        = string
}
