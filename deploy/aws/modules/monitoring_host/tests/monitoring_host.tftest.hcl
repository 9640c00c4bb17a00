mock_provider "aws" {}

variables {
  name              = "florin-production"
  environment       = "production"
  region            = "us-west-2"
  account_id        = "111122223333"
  instance_type     = "t3.medium"
  max_hosts         = 2
  ami_id            = "ami-0123456789abcdef0"
  az                = "us-west-2a"
  vpc_id            = "vpc-1"
  subnet_id         = "subnet-1"
  security_group_id = "sg-1"
  listener_arn      = "arn:aws:elasticloadbalancing:us-west-2:111122223333:listener/app/l/1/2"
  volume_key_arn    = "arn:aws:kms:us-west-2:111122223333:key/00000000-0000-4000-8000-000000000001"
  config_bucket_arn = "arn:aws:s3:::florin-production-artifacts"
  topic_arns        = ["arn:aws:sns:us-west-2:111122223333:florin-production-page"]
}

run "dep_060_host" {
  command = plan
  assert {
    condition     = aws_autoscaling_group.host[0].min_size == 1 && aws_autoscaling_group.host[0].max_size == 2 && aws_ebs_volume.data[0].size == 100 && aws_ebs_volume.data[0].encrypted
    error_message = "one host, two at most, an encrypted disk"
  }
  assert {
    condition     = aws_launch_template.host[0].metadata_options[0].http_tokens == "required" && aws_launch_template.host[0].key_name == null
    error_message = "DEP-029: no key pair"
  }
  assert {
    condition     = output.grafana_workspace_endpoint == "https://grafana.florin.internal"
    error_message = "DEP-061"
  }
}

run "dep_061_in_the_cluster" {
  command = plan
  variables {
    monitoring = "eks"
  }
  assert {
    condition     = length(aws_autoscaling_group.host) == 0 && output.grafana_workspace_endpoint == "https://grafana.florin.internal"
    error_message = "no host, the same output"
  }
}

run "dep_061_refused" {
  command = plan
  variables {
    monitoring = "elsewhere"
  }
  expect_failures = [var.monitoring]
}
