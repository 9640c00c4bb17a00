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
  description = "Region of the host."
  type        = string
}

variable "account_id" {
  description = "Account of the host."
  type        = string
}

variable "monitoring" {
  description = "ec2 (this host), eks (the Kubernetes component) or managed (Amazon's Prometheus and Grafana)."
  type        = string
  default     = "ec2"
  validation {
    condition     = contains(["ec2", "eks", "managed"], var.monitoring)
    error_message = "ec2, eks or managed."
  }
}

variable "instance_type" {
  description = "Class of the host."
  type        = string
}

variable "max_hosts" {
  description = "Hosts at most."
  type        = number
}

variable "volume_gib" {
  description = "Disk of the measurements, kept and attached again."
  type        = number
  default     = 100
}

variable "ami_id" {
  description = "Amazon Linux 2023 image."
  type        = string
  validation {
    condition     = can(regex("^ami-[0-9a-f]{8,17}$", var.ami_id))
    error_message = "An image id."
  }
}

variable "az" {
  description = "Zone of host and disk."
  type        = string
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_id" {
  description = "Private subnet in that zone."
  type        = string
}

variable "security_group_id" {
  description = "Group of the host."
  type        = string
}

variable "listener_arn" {
  description = "Internal HTTPS listener."
  type        = string
}

variable "volume_key_arn" {
  description = "Key of the disks."
  type        = string
}

variable "config_bucket_arn" {
  description = "Bucket with rules and dashboards."
  type        = string
}

variable "topic_arns" {
  description = "Topics that Alertmanager publishes to."
  type        = list(string)
}
