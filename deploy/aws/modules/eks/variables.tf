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

variable "cluster_version" {
  description = "Kubernetes minor; versions.toml tells its end of support."
  type        = string
  validation {
    condition     = can(regex("^1\\.[0-9]{2}$", var.cluster_version))
    error_message = "A minor version such as 1.35."
  }
}

variable "node_groups" {
  description = "Node groups: types, capacity (ON_DEMAND or SPOT), counts, taint (empty: none)."
  type = map(object({
    instance_types = list(string)
    capacity       = string
    min            = number
    desired        = number
    max            = number
    taint          = string
  }))
  validation {
    condition     = alltrue([for g in values(var.node_groups) : g.taint != "" || alltrue([for t in g.instance_types : !can(regex("^t[0-9]", t))])])
    error_message = "No burstable nodes under steady load."
  }
}

variable "addons" {
  description = "Managed add-ons at exact versions."
  type        = map(string)
  validation {
    condition     = alltrue([for v in values(var.addons) : can(regex("^v[0-9]+\\.[0-9]+\\.[0-9]+-eksbuild\\.[0-9]+$", v))])
    error_message = "An exact version such as v1.2.3-eksbuild.1."
  }
}

variable "public_access_cidrs" {
  description = "Ranges that reach the API from outside; empty: private only."
  type        = list(string)
  default     = []
  validation {
    condition     = !contains(var.public_access_cidrs, "0.0.0.0/0")
    error_message = "Never the whole internet."
  }
}

variable "service_accounts" {
  description = "Service accounts with a role: namespace and policy document (JSON)."
  type        = map(object({ namespace = string, policy = string }))
}

variable "admins" {
  description = "Role ARNs that administer the cluster."
  type        = list(string)
  default     = []
}

variable "subnet_ids" {
  description = "Subnets of nodes and pods."
  type        = list(string)
}

variable "fargate_subnet_ids" {
  description = "Subnets of one-off jobs."
  type        = list(string)
}

variable "cluster_security_group_ids" {
  description = "Further groups of the control plane."
  type        = list(string)
}

variable "node_security_group_ids" {
  description = "Groups of the nodes."
  type        = list(string)
}

variable "secrets_key_arn" {
  description = "Key of Kubernetes secrets."
  type        = string
}

variable "volume_key_arn" {
  description = "Key of node disks."
  type        = string
}

variable "log_kms_key_arn" {
  description = "Key of the control plane's log."
  type        = string
}

variable "file_security_group_ids" {
  description = "Groups of the shared files."
  type        = list(string)
  default     = []
}
