# A user pool, for installations without an OIDC issuer of their own.

resource "aws_cognito_user_pool" "this" {
  count                    = var.cognito ? 1 : 0
  name                     = var.name
  mfa_configuration        = "ON"
  deletion_protection      = "ACTIVE"
  auto_verified_attributes = ["email"]
  username_attributes      = ["email"]
  password_policy {
    minimum_length                   = 14
    require_lowercase                = true
    require_uppercase                = true
    require_numbers                  = true
    require_symbols                  = true
    temporary_password_validity_days = 1
  }
  software_token_mfa_configuration {
    enabled = true
  }
  admin_create_user_config {
    allow_admin_create_user_only = true
  }
  account_recovery_setting {
    recovery_mechanism {
      name     = "verified_email"
      priority = 1
    }
  }
  tags = merge(var.tags, { Name = var.name, DEP = "144" })
}

# DEP-144: a public client with the code flow; the program keeps no secret of it.
resource "aws_cognito_user_pool_client" "this" {
  count                         = length(aws_cognito_user_pool.this)
  name                          = "florin"
  user_pool_id                  = aws_cognito_user_pool.this[0].id
  generate_secret               = false
  explicit_auth_flows           = ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
  prevent_user_existence_errors = "ENABLED"
  enable_token_revocation       = true
  access_token_validity         = 15
  token_validity_units {
    access_token = "minutes"
  }
}
