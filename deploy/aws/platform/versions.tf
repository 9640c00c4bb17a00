# DEP-015: one provider, at one version.
terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source                = "hashicorp/aws"
      version               = "5.100.0"
      configuration_aliases = [aws, aws.dr, aws.us_east_1]
    }
  }
}
