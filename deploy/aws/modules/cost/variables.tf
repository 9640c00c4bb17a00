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

variable "budget_monthly_usd" {
  description = "Budget of a month."
  type        = number
  validation {
    condition     = var.budget_monthly_usd > 0
    error_message = "More than nothing."
  }
}

variable "anomaly_usd" {
  description = "Anomalies above this amount are told; 0: no monitor."
  type        = number
  default     = 50
}

variable "alert_email_addresses" {
  description = "Who is told."
  type        = list(string)
}

variable "cost_topic_arn" {
  description = "Topic of costs."
  type        = string
}
