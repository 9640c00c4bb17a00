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
  description = "Region of the pipeline."
  type        = string
}

variable "account_id" {
  description = "Account of the pipeline."
  type        = string
}

variable "connection_arn" {
  description = "Connection to the source, which a person approved; empty: no pipeline."
  type        = string
  default     = ""
}

variable "repository" {
  description = "Repository, owner/name."
  type        = string
  default     = ""
}

variable "branch" {
  description = "Branch that is delivered."
  type        = string
  default     = "main"
}

variable "artifacts_bucket_arn" {
  description = "Bucket of artifacts."
  type        = string
}

variable "artifacts_key_arn" {
  description = "Key of artifacts."
  type        = string
}

variable "log_kms_key_arn" {
  description = "Key of build logs."
  type        = string
}

variable "repository_arn" {
  description = "Repository of images."
  type        = string
}

variable "vpc_id" {
  description = "The VPC, for the deploy project."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets."
  type        = list(string)
}

variable "security_group_id" {
  description = "Group of the deploy project."
  type        = string
}

variable "approval_topic_arn" {
  description = "Topic on which a person is asked."
  type        = string
}

variable "build_image" {
  description = "Image of the build machines, exact."
  type        = string
  default     = "aws/codebuild/amazonlinux-x86_64-standard:5.0"
}
