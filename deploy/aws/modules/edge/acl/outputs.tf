output "arn" {
  description = "The web ACL."
  value       = aws_wafv2_web_acl.this.arn
}

output "rules" {
  description = "What the rules are made from, for tests: scope, managed groups, limits, paths of large bodies."
  value       = { scope = aws_wafv2_web_acl.this.scope, managed = local.managed, limits = local.limits, large = local.large }
}
