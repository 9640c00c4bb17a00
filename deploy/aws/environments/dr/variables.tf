variable "allowed_account_id" {
  description = "The account."
  type        = string
}

variable "owner" {
  description = "Who answers for the bill."
  type        = string
}

variable "platform_name" {
  description = "First part of all names."
  type        = string
  default     = "florin"
}

variable "aws_region" {
  description = "The primary region."
  type        = string
  default     = "us-west-2"
}

variable "dr_region" {
  description = "This region."
  type        = string
  default     = "us-east-1"
  validation {
    condition     = var.dr_region != var.aws_region
    error_message = "Recovery happens in another region."
  }
}

variable "domain_name" {
  description = "Domain of the platform."
  type        = string
}

variable "hosted_zone_id" {
  description = "Its public zone."
  type        = string
}

variable "alert_email_addresses" {
  description = "Who is told."
  type        = list(string)
}

variable "container_image" {
  description = "Image of Florin in this region, by digest."
  type        = string
}

variable "cluster_version" {
  description = "Kubernetes minor."
  type        = string
  default     = "1.35"
}

variable "engine_version" {
  description = "Version of the primary's database."
  type        = string
  default     = "17.5"
}

variable "primary" {
  description = "Outputs of the production root."
  type = object({
    application_url           = string
    rds_identifier            = string
    global_cluster_identifier = string
    ecs_cluster_name          = string
    secret_arns               = map(string)
    unit_security_groups      = map(string)
  })
}

variable "budget_monthly_usd" {
  description = "Budget of the standby."
  type        = number
  default     = 1100
}
