# One web ACL. The same rules stand before the load balancers and before the distribution.

locals {
  word = { REGIONAL = "regional", CLOUDFRONT = "edge" }[var.scope]
  # Beginnings of paths that carry large bodies: batches, imports, statements, uploads, webhooks of vendors.
  large = [
    "/api/v1/ledger/transfers", "/api/v1/ledger/accounts", "/api/v1/ledger/import", "/api/v1/shadow/events/batch", "/events",
    "/api/v1/shadow/statements", "/api/v1/webhooks", "/api/v1/uploads", "/api/v1/transactions/batch",
  ]
  managed = [
    { name = "AWSManagedRulesAmazonIpReputationList", count = [] },
    { name = "AWSManagedRulesKnownBadInputsRuleSet", count = [] },
    { name = "AWSManagedRulesCommonRuleSet", count = ["SizeRestrictions_BODY"] },
    { name = "AWSManagedRulesSQLiRuleSet", count = [] },
    { name = "AWSManagedRulesAnonymousIpList", count = ["AnonymousIPList", "HostingProviderIPList"] },
  ]
  limits = [
    { name = "login", limit = var.waf.login_per_5_min, path = "/api/v1/auth/", credential = "any" },
    { name = "anonymous", limit = var.waf.anonymous_per_5_min, path = "", credential = "without" },
    { name = "authenticated", limit = var.waf.authenticated_per_5_min, path = "", credential = "with" },
  ]
}

resource "aws_wafv2_ip_set" "this" {
  for_each           = { blocked = var.waf.blocked_ranges, partners = var.waf.partner_ranges }
  name               = "${var.name}-${each.key}"
  scope              = var.scope
  ip_address_version = "IPV4"
  addresses          = each.value
  tags               = merge(var.tags, { Name = "${var.name}-${each.key}", DEP = "107" })
}

resource "aws_wafv2_web_acl" "this" {
  name        = "${var.name}-${local.word}"
  description = "entrance of ${var.name}"
  scope       = var.scope
  default_action {
    allow {}
  }
  rule {
    name     = "blocked"
    priority = 0
    action {
      block {}
    }
    statement {
      ip_set_reference_statement {
        arn = aws_wafv2_ip_set.this["blocked"].arn
      }
    }
    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "blocked"
      sampled_requests_enabled   = true
    }
  }
  dynamic "rule" {
    for_each = length(var.waf.blocked_countries) > 0 ? [1] : []
    content {
      name     = "countries"
      priority = 1
      action {
        block {}
      }
      statement {
        geo_match_statement {
          country_codes = var.waf.blocked_countries
        }
      }
      visibility_config {
        cloudwatch_metrics_enabled = true
        metric_name                = "countries"
        sampled_requests_enabled   = true
      }
    }
  }
  # Bodies over 8 KB: refused, but for the paths that carry large ones (DEP-108).
  rule {
    name     = "large-bodies"
    priority = 2
    action {
      block {}
    }
    statement {
      and_statement {
        statement {
          size_constraint_statement {
            comparison_operator = "GT"
            size                = 8192
            field_to_match {
              body {
                oversize_handling = "MATCH"
              }
            }
            text_transformation {
              priority = 0
              type     = "NONE"
            }
          }
        }
        dynamic "statement" {
          for_each = local.large
          content {
            not_statement {
              statement {
                byte_match_statement {
                  positional_constraint = "STARTS_WITH"
                  search_string         = statement.value
                  field_to_match {
                    uri_path {}
                  }
                  text_transformation {
                    priority = 0
                    type     = "NORMALIZE_PATH"
                  }
                }
              }
            }
          }
        }
      }
    }
    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "large-bodies"
      sampled_requests_enabled   = true
    }
  }
  # Rates per address. Partners are left to the limits per credential inside.
  dynamic "rule" {
    for_each = local.limits
    content {
      name     = "rate-${rule.value.name}"
      priority = 10 + rule.key
      action {
        block {
          custom_response {
            response_code = 429
          }
        }
      }
      statement {
        rate_based_statement {
          limit                 = rule.value.limit
          evaluation_window_sec = 300
          aggregate_key_type    = "IP"
          scope_down_statement {
            and_statement {
              statement {
                not_statement {
                  statement {
                    ip_set_reference_statement {
                      arn = aws_wafv2_ip_set.this["partners"].arn
                    }
                  }
                }
              }
              statement {
                byte_match_statement {
                  positional_constraint = "STARTS_WITH"
                  search_string         = rule.value.path == "" ? "/" : rule.value.path
                  field_to_match {
                    uri_path {}
                  }
                  text_transformation {
                    priority = 0
                    type     = "NORMALIZE_PATH"
                  }
                }
              }
              dynamic "statement" {
                for_each = rule.value.credential == "with" ? [1] : []
                content {
                  size_constraint_statement {
                    comparison_operator = "GT"
                    size                = 0
                    field_to_match {
                      single_header {
                        name = "authorization"
                      }
                    }
                    text_transformation {
                      priority = 0
                      type     = "NONE"
                    }
                  }
                }
              }
              dynamic "statement" {
                for_each = rule.value.credential == "without" ? [1] : []
                content {
                  not_statement {
                    statement {
                      size_constraint_statement {
                        comparison_operator = "GT"
                        size                = 0
                        field_to_match {
                          single_header {
                            name = "authorization"
                          }
                        }
                        text_transformation {
                          priority = 0
                          type     = "NONE"
                        }
                      }
                    }
                  }
                }
              }
            }
          }
        }
      }
      visibility_config {
        cloudwatch_metrics_enabled = true
        metric_name                = "rate-${rule.value.name}"
        sampled_requests_enabled   = true
      }
    }
  }
  dynamic "rule" {
    for_each = local.managed
    content {
      name     = rule.value.name
      priority = 20 + rule.key
      override_action {
        none {}
      }
      statement {
        managed_rule_group_statement {
          vendor_name = "AWS"
          name        = rule.value.name
          dynamic "rule_action_override" {
            for_each = rule.value.count
            content {
              name = rule_action_override.value
              action_to_use {
                count {}
              }
            }
          }
        }
      }
      visibility_config {
        cloudwatch_metrics_enabled = true
        metric_name                = rule.value.name
        sampled_requests_enabled   = true
      }
    }
  }
  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = local.word
    sampled_requests_enabled   = true
  }
  tags = merge(var.tags, { Name = "${var.name}-${local.word}", DEP = "107 108" })
}

# DEP-109: without credentials.
resource "aws_wafv2_web_acl_logging_configuration" "this" {
  resource_arn            = aws_wafv2_web_acl.this.arn
  log_destination_configs = [var.log_group_arn]
  dynamic "redacted_fields" {
    for_each = ["authorization", "cookie"]
    content {
      single_header {
        name = redacted_fields.value
      }
    }
  }
}
