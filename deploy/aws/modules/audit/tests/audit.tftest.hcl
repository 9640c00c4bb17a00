mock_provider "aws" {}

variables {
  name                = "florin-production"
  environment         = "production"
  account_id          = "111122223333"
  region              = "us-west-2"
  bucket              = "florin-production-audit-00000000"
  watched_bucket_arns = ["arn:aws:s3:::florin-production-documents-00000000"]
  log_kms_key_arn     = "arn:aws:kms:us-west-2:111122223333:key/00000000-0000-4000-8000-000000000001"
}

run "dep_135_dep_136_dep_137_audit" {
  command = plan
  assert {
    condition     = aws_cloudtrail.this.is_multi_region_trail && aws_cloudtrail.this.include_global_service_events && aws_cloudtrail.this.enable_log_file_validation && length(aws_cloudtrail.this.insight_selector) == 2
    error_message = "DEP-135"
  }
  assert {
    condition     = aws_config_configuration_recorder.this.recording_group[0].all_supported && contains(keys(aws_config_config_rule.this), "EKS_ENDPOINT_NO_PUBLIC_ACCESS")
    error_message = "DEP-136"
  }
  assert {
    condition     = length(aws_guardduty_detector_feature.this) == 5 && length(aws_accessanalyzer_analyzer.this) == 1 && length(aws_securityhub_account.this) == 0
    error_message = "DEP-137"
  }
}
