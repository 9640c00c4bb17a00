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
  description = "Region of the network."
  type        = string
}

variable "account_id" {
  description = "The account that endpoint policies admit."
  type        = string
}

variable "vpc_cidr" {
  description = "Range of the VPC; staging, production and recovery must not overlap."
  type        = string
  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0)) && endswith(var.vpc_cidr, "/16")
    error_message = "A /16 range."
  }
}

variable "azs" {
  description = "Availability zones, three of them: quorums of Kafka and Aurora need three."
  type        = list(string)
  validation {
    condition     = length(var.azs) == 3 && length(distinct(var.azs)) == 3
    error_message = "Exactly three different availability zones."
  }
}

variable "public_subnet_cidrs" {
  description = "Load balancers and NAT."
  type        = list(string)
}

variable "private_subnet_cidrs" {
  description = "Fargate, Lambda, monitoring host, endpoints."
  type        = list(string)
}

variable "pod_subnet_cidrs" {
  description = "Nodes and pods of EKS."
  type        = list(string)
}

variable "database_subnet_cidrs" {
  description = "Databases, caches, brokers; no way to the internet."
  type        = list(string)
}

variable "nat_per_az" {
  description = "One NAT gateway per zone (true) or one for all (false)."
  type        = bool
  default     = true
}

variable "interface_endpoints" {
  description = "AWS services with an endpoint inside the VPC."
  type        = list(string)
}

variable "units" {
  description = "Units: which entrance they have and which stores they call."
  type = map(object({
    entrance = string
    needs    = list(string)
  }))
}

variable "flow_log_bucket_arn" {
  description = "Bucket of flow logs."
  type        = string
}
