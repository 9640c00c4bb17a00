output "application_url" {
  description = "Address of the API."
  value       = "https://api.${var.domain_name}"
}

output "alb_arns" {
  description = "Load balancers: public and internal."
  value       = { for key, lb in aws_lb.this : key => lb.arn }
}

output "alb_suffixes" {
  description = "Load balancers as CloudWatch names them."
  value       = { for key, lb in aws_lb.this : key => lb.arn_suffix }
}

output "listener_arns" {
  description = "HTTPS listeners of the load balancers."
  value       = { for key, listener in aws_lb_listener.https : key => listener.arn }
}

output "target_group_arns" {
  description = "Target groups by <unit>/<colour>."
  value       = { for key, group in aws_lb_target_group.this : key => group.arn }
}

output "target_group_names" {
  description = "Names of target groups by <unit>/<colour>."
  value       = { for key, group in aws_lb_target_group.this : key => group.name }
}

output "target_group_suffixes" {
  description = "Target groups as CloudWatch names them, by <unit>/<colour>."
  value       = { for key, group in aws_lb_target_group.this : key => group.arn_suffix }
}

output "acm_certificate_arn" {
  description = "Certificate of the load balancers."
  value       = aws_acm_certificate.regional.arn
}

output "distribution_id" {
  description = "The distribution."
  value       = aws_cloudfront_distribution.this.id
}

output "web_acl_arn" {
  description = "Web ACL of the public load balancer."
  value       = module.acl_regional.arn
}

output "internal_domain" {
  description = "Domain of the units' hosts inside the VPC, for which the certificate stands."
  value       = local.internal_domain
}
