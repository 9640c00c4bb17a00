# To be filled in (terraform.tfvars): what only the owner of the account knows. All else are
# inputs of ../../platform, whose values stand in main.tf.

variable "allowed_account_id" {
  description = "The one account that this environment may touch (DEP-013)."
  type        = string
}

variable "domain_name" {
  description = "Domain of the platform, whose zone exists."
  type        = string
}

variable "hosted_zone_id" {
  description = "Public zone of the domain."
  type        = string
}

variable "alert_email_addresses" {
  description = "Who is told; each address confirms once."
  type        = list(string)
}

variable "container_image" {
  description = "Image of Florin, by digest."
  type        = string
}

variable "monitoring_ami_id" {
  description = "Amazon Linux 2023 image of the monitoring host."
  type        = string
}

variable "cluster_admin_role_arns" {
  description = "Roles of people that administer the EKS cluster."
  type        = list(string)
  default     = []
}

variable "connection_arn" {
  description = "Connection to the source; empty: no pipeline."
  type        = string
  default     = ""
}

variable "repository" {
  description = "Source repository, owner/name."
  type        = string
  default     = ""
}

variable "collector_image" {
  description = "Image of the OpenTelemetry collector, by digest; empty: none."
  type        = string
  default     = ""
}

variable "on_sales" {
  description = "Announced ticket sales: at least `min` tasks of a unit between two times, UTC (DEP-056)."
  type        = list(object({ name = string, unit = string, from = string, until = string, min = number, max = number }))
  default     = []
}

variable "owner" {
  description = "Who answers for the bill; a tag."
  type        = string
}

variable "team" {
  description = "A tag."
  type        = string
  default     = "platform"
}

variable "cost_center" {
  description = "A tag."
  type        = string
  default     = "platform"
}
