terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
      # Where signing in is recorded.
      configuration_aliases = [aws.us_east_1]
    }
  }
}
