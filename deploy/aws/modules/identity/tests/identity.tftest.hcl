mock_provider "aws" {}

variables {
  name        = "florin-production"
  environment = "production"
  region      = "us-west-2"
}

run "dep_144_pool" {
  command = plan
  variables {
    cognito = true
  }
  assert {
    condition     = aws_cognito_user_pool.this[0].mfa_configuration == "ON" && aws_cognito_user_pool.this[0].password_policy[0].minimum_length == 14 && aws_cognito_user_pool.this[0].admin_create_user_config[0].allow_admin_create_user_only
    error_message = "a second factor, 14 characters, nobody signs up alone"
  }
}

run "dep_144_other_issuer" {
  command = plan
  variables {
    issuer_url = "https://login.example.com"
  }
  assert {
    condition     = output.issuer_url == "https://login.example.com" && length(aws_cognito_user_pool.this) == 0
    error_message = "any issuer"
  }
}
