variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "scope" {
  description = "REGIONAL or CLOUDFRONT."
  type        = string
  validation {
    condition     = contains(["REGIONAL", "CLOUDFRONT"], var.scope)
    error_message = "REGIONAL or CLOUDFRONT."
  }
}

variable "tags" {
  description = "Tags of every resource, beside the provider's default tags."
  type        = map(string)
  default     = {}
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

variable "log_group_arn" {
  description = "Log group of the matches."
  type        = string
}
