output "trail_arn" {
  description = "The trail."
  value       = aws_cloudtrail.this.arn
}

output "detector_id" {
  description = "The GuardDuty detector."
  value       = aws_guardduty_detector.this.id
}
