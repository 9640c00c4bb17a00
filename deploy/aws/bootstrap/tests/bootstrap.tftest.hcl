# What AWS would give is known during the plan already: policies are whole then.
mock_provider "aws" {
  override_during = plan
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:us-west-2:111122223333:key/00000000-0000-4000-8000-000000000001" }
  }
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::florin-tfstate-111122223333-us-west-2" }
  }
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com" }
  }
  mock_resource "aws_ssoadmin_permission_set" {
    defaults = { arn = "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-0123456789abcdef" }
  }
}

variables {
  allowed_account_id = "111122223333"
  owner              = "payments"
  github_repository  = "example/florin"
}

run "dep_013_dep_016_dep_118_state_and_roles" {
  command = plan
  assert {
    condition     = aws_s3_bucket.state.bucket == "florin-tfstate-111122223333-us-west-2" && aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled"
    error_message = "DEP-016: one bucket per account and region, with versions"
  }
  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.state.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms" && aws_s3_bucket_public_access_block.state.restrict_public_buckets
    error_message = "DEP-016: encrypted by a key, never public"
  }
  assert {
    condition     = alltrue([for role in aws_iam_role.github : role.max_session_duration <= 28800])
    error_message = "DEP-013: sessions of at most 8 hours"
  }
  assert {
    condition     = aws_kms_key.image.key_usage == "SIGN_VERIFY" && aws_kms_alias.image.name == "alias/florin-image"
    error_message = "DEP-115: a key that signs images"
  }
}

run "dep_013_roles_of_machines_stand_in_a_fence" {
  command = plan
  assert {
    condition     = length(aws_iam_role.deploy) == 2 && alltrue([for role in concat(values(aws_iam_role.deploy), values(aws_iam_role.github)) : role.permissions_boundary == "arn:aws:iam::111122223333:policy/florin-boundary" && role.max_session_duration == 3600])
    error_message = "DEP-013: the boundary on each role that deploys, an hour at a time"
  }
  assert {
    condition     = alltrue([for policy in concat(aws_iam_policy.apply, [aws_iam_policy.plan, aws_iam_policy.release, aws_iam_policy.boundary]) : length(policy.policy) <= 6144])
    error_message = "IAM takes 6 144 characters"
  }
  assert {
    condition     = alltrue([for policy in aws_iam_policy.apply : jsondecode(policy.policy).Statement[0].Condition.StringEquals["aws:RequestedRegion"] == ["us-west-2", "us-east-1"]])
    error_message = "DEP-013: in the regions of the platform alone"
  }
  assert {
    condition     = alltrue([for sid in ["NobodyHasKeys", "BoundaryStays", "BootstrapIsAPersons", "TrailStays", "AuditStays", "DataStays"] : contains([for s in jsondecode(aws_iam_policy.boundary.policy).Statement : s.Sid if s.Effect == "Deny"], sid)])
    error_message = "DEP-013: what no role may do"
  }
  assert {
    condition     = length(aws_iam_role_policy_attachment.deploy) == 4 * (2 + length(aws_iam_policy.apply)) && length(aws_iam_policy.apply) == 5
    error_message = "every role that deploys has what a deployment needs"
  }
}

run "dep_013_people_come_for_hours" {
  command = plan
  variables {
    sso_instance_arn = "arn:aws:sso:::instance/ssoins-0123456789abcdef"
  }
  assert {
    condition     = aws_ssoadmin_permission_set.this["platform"].session_duration == "PT8H" && aws_ssoadmin_permission_set.this["break-glass"].session_duration == "PT1H"
    error_message = "DEP-013: 8 hours, and one with the glass broken"
  }
  assert {
    condition     = length(aws_ssoadmin_permissions_boundary_attachment.this) == 2
    error_message = "DEP-013: people stand behind the same fence"
  }
}
