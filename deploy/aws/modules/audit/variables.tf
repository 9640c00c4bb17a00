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

variable "account_id" {
  description = "Account of the trail."
  type        = string
}

variable "region" {
  description = "Region of the trail."
  type        = string
}

variable "bucket" {
  description = "Audit bucket, locked."
  type        = string
}

variable "watched_bucket_arns" {
  description = "Buckets whose reads and writes are in the trail."
  type        = list(string)
}

variable "log_kms_key_arn" {
  description = "Key of the trail."
  type        = string
}

variable "config_rules" {
  description = "Managed rules of AWS Config."
  type        = list(string)
  default = [
    "S3_BUCKET_PUBLIC_READ_PROHIBITED", "S3_BUCKET_PUBLIC_WRITE_PROHIBITED", "S3_BUCKET_SSL_REQUESTS_ONLY",
    "RDS_STORAGE_ENCRYPTED", "RDS_INSTANCE_PUBLIC_ACCESS_CHECK", "ENCRYPTED_VOLUMES", "INCOMING_SSH_DISABLED",
    "ROOT_ACCOUNT_MFA_ENABLED", "IAM_ROOT_ACCESS_KEY_CHECK", "CLOUD_TRAIL_ENABLED", "DB_INSTANCE_BACKUP_ENABLED",
    "EKS_ENDPOINT_NO_PUBLIC_ACCESS", "EKS_SECRETS_ENCRYPTED", "CMK_BACKING_KEY_ROTATION_ENABLED",
  ]
}

variable "access_analyzer" {
  description = "Access Analyzer of this account."
  type        = bool
  default     = true
}

variable "security_hub" {
  description = "Security Hub with its standards."
  type        = bool
  default     = false
}
