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

variable "region" {
  description = "Region of the cluster."
  type        = string
}

variable "account_id" {
  description = "Account of the cluster."
  type        = string
}

variable "units" {
  description = "Units that run here: roles, size, counts, scaling, release, secrets (environment variable to ARN), target groups by colour, environment."
  type = map(object({
    roles               = list(string)
    vcpu                = number
    memory_gib          = number
    min                 = number
    desired             = number
    max                 = number
    cpu_target          = number
    requests_per_minute = number
    request_label       = string
    release             = string
    spot                = bool
    grants              = string
    secrets             = map(string)
    target_groups       = map(object({ arn = string, name = string }))
    listener_arn        = string
    security_group_id   = string
    environment         = map(string)
    log_group           = string
    rollback_alarms     = list(string)
  }))
}

variable "container_image" {
  description = "Image of Florin, by digest."
  type        = string
  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.container_image))
    error_message = "An image by digest, never a tag."
  }
}

variable "collector_image" {
  description = "Image of the OpenTelemetry collector, by digest; empty: no collector beside the units."
  type        = string
  default     = ""
  validation {
    condition     = var.collector_image == "" || can(regex("@sha256:[0-9a-f]{64}$", var.collector_image))
    error_message = "An image by digest."
  }
}

variable "collector_config" {
  description = "Configuration of the collector, YAML."
  type        = string
  default     = ""
}

variable "on_sales" {
  description = "Ticket sales that are announced: a unit has at least `min` tasks between two times (UTC, 2026-12-01T09:00:00)."
  type        = list(object({ name = string, unit = string, from = string, until = string, min = number, max = number }))
  default     = []
  validation {
    condition     = alltrue([for sale in var.on_sales : timecmp("${sale.from}Z", "${sale.until}Z") < 0 && sale.min <= sale.max])
    error_message = "Times as 2026-12-01T09:00:00, the first before the second; min at most max."
  }
}

variable "cpu_architecture" {
  description = "X86_64 or ARM64."
  type        = string
  default     = "X86_64"
}

variable "spot" {
  description = "Run units that bear it on spot capacity."
  type        = bool
  default     = false
}

variable "exec" {
  description = "Allow a logged command inside a task."
  type        = bool
  default     = false
}

variable "scale_out_cooldown_s" {
  description = "Seconds between two enlargements."
  type        = number
  default     = 60
}

variable "night_schedule" {
  description = "Shrink units to one task at night."
  type        = bool
  default     = false
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets."
  type        = list(string)
}

variable "key_arns" {
  description = "Keys by purpose."
  type        = map(string)
}

variable "bucket_arns" {
  description = "Buckets by purpose."
  type        = map(string)
}

variable "repository_arn" {
  description = "Repository of the image."
  type        = string
}

variable "notify_topic_arn" {
  description = "Topic that units may write to."
  type        = string
}

variable "check_schedule" {
  description = "How often `florin aws check` runs."
  type        = string
  default     = "rate(5 minutes)"
}

variable "drill" {
  description = "Restore the newest snapshot by the calendar and compare it."
  type        = bool
  default     = true
}

variable "drill_secret_arn" {
  description = "Secret with the URL for reading the database, for the drill."
  type        = string
  default     = ""
}

variable "drill_security_group_id" {
  description = "Group that reaches the database, for the drill."
  type        = string
  default     = ""
}

variable "drill_schedule" {
  description = "When `florin dr drill --aws` runs."
  type        = string
  default     = "cron(0 4 ? * SUN *)"
}
