mock_provider "aws" {}

variables {
  name                 = "florin-staging"
  environment          = "staging"
  region               = "us-west-2"
  account_id           = "111122223333"
  connection_arn       = "arn:aws:codeconnections:us-west-2:111122223333:connection/00000000-0000-4000-8000-000000000001"
  repository           = "example/florin"
  artifacts_bucket_arn = "arn:aws:s3:::florin-staging-artifacts"
  artifacts_key_arn    = "arn:aws:kms:us-west-2:111122223333:key/00000000-0000-4000-8000-000000000001"
  log_kms_key_arn      = "arn:aws:kms:us-west-2:111122223333:key/00000000-0000-4000-8000-000000000002"
  repository_arn       = "arn:aws:ecr:us-west-2:111122223333:repository/florin"
  vpc_id               = "vpc-1"
  subnet_ids           = ["subnet-1"]
  security_group_id    = "sg-1"
  approval_topic_arn   = "arn:aws:sns:us-west-2:111122223333:florin-staging-notify"
}

run "dep_116_dep_117_pipeline" {
  command = plan
  assert {
    condition     = [for s in aws_codepipeline.this[0].stage : s.name] == ["Source", "Test", "ImageAndScan", "Staging", "Approval", "Production"]
    error_message = "DEP-116: a person stands between staging and production"
  }
  assert {
    condition     = [for key, p in aws_codebuild_project.this : key if p.environment[0].privileged_mode] == ["image"] && alltrue([for key, p in aws_codebuild_project.this : startswith(key, "deploy") == (length(p.vpc_config) == 1)])
    error_message = "DEP-117"
  }
  assert {
    condition     = aws_codebuild_project.this["deploy-production"].service_role == "arn:aws:iam::111122223333:role/florin-deploy-production" && length(aws_iam_role.build) == 2
    error_message = "DEP-116: who deploys is decided in bootstrap/, not here"
  }
  assert {
    condition     = { for p in aws_codebuild_project.this["image"].environment[0].environment_variable : p.name => p.value }["FLORIN_STATE_BUCKET"] == "florin-tfstate-111122223333-us-west-2"
    error_message = "DEP-115: where signatures lie"
  }
}

run "dep_116_no_connection_no_pipeline" {
  command = plan
  variables {
    connection_arn = ""
  }
  assert {
    condition     = length(aws_codepipeline.this) == 0 && length(aws_codebuild_project.this) == 0
    error_message = "a person approves the connection first"
  }
}
