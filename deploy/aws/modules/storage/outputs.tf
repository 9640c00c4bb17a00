output "bucket_names" {
  description = "Buckets by purpose."
  value       = { for purpose, bucket in aws_s3_bucket.this : purpose => bucket.bucket }
  # Who writes into a bucket waits for its policy.
  depends_on = [aws_s3_bucket_policy.this]
}

output "bucket_arns" {
  description = "ARNs of buckets by purpose."
  value       = { for purpose, bucket in aws_s3_bucket.this : purpose => bucket.arn }
  depends_on  = [aws_s3_bucket_policy.this]
}

output "bucket_domains" {
  description = "Regional host names of buckets by purpose."
  value       = { for purpose, bucket in aws_s3_bucket.this : purpose => bucket.bucket_regional_domain_name }
}

output "s3_bucket_name" {
  description = "The bucket of blobs, by the name that the guides use."
  value       = try(aws_s3_bucket.this["blobs"].bucket, null)
}
