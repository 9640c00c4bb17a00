# One rule book for both web ACLs: the load balancer's and the distribution's.

module "acl_regional" {
  source        = "./acl"
  name          = var.name
  tags          = var.tags
  scope         = "REGIONAL"
  waf           = var.waf
  log_group_arn = aws_cloudwatch_log_group.waf.arn
}

module "acl_edge" {
  source        = "./acl"
  providers     = { aws = aws.us_east_1 }
  name          = var.name
  tags          = var.tags
  scope         = "CLOUDFRONT"
  waf           = var.waf
  log_group_arn = aws_cloudwatch_log_group.waf_edge.arn
}

# DEP-107
resource "aws_wafv2_web_acl_association" "public" {
  resource_arn = aws_lb.this["public"].arn
  web_acl_arn  = module.acl_regional.arn
}

# The name must begin with aws-waf-logs-.
resource "aws_cloudwatch_log_group" "waf" {
  name              = "aws-waf-logs-${var.name}"
  retention_in_days = 30
  kms_key_id        = var.log_kms_key_arn
  tags              = merge(var.tags, { Name = "aws-waf-logs-${var.name}", DEP = "109" })
}

# CloudFront's web ACL logs in its own region, where the platform has no key of its own.
resource "aws_cloudwatch_log_group" "waf_edge" {
  provider          = aws.us_east_1
  name              = "aws-waf-logs-${var.name}-edge"
  retention_in_days = 30
  tags              = merge(var.tags, { Name = "aws-waf-logs-${var.name}-edge", DEP = "109" })
}

resource "aws_shield_protection" "public" {
  count        = var.shield_advanced ? 1 : 0
  name         = "${var.name}-public"
  resource_arn = aws_lb.this["public"].arn
  tags         = merge(var.tags, { Name = "${var.name}-public", DEP = "109" })
}
