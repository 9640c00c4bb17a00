mock_provider "aws" {}
mock_provider "aws" {
  alias = "us_east_1"
}

variables {
  name               = "florin-production"
  environment        = "production"
  account_id         = "111122223333"
  domain_name        = "pay.example.com"
  hosted_zone_id     = "Z0000000000001"
  vpc_id             = "vpc-1"
  public_subnet_ids  = ["subnet-1", "subnet-2", "subnet-3"]
  private_subnet_ids = ["subnet-4", "subnet-5", "subnet-6"]
  security_group_ids = { "alb-public" = "sg-1", "alb-internal" = "sg-2" }
  logs_bucket        = "florin-production-logs-00000000"
  static_bucket      = { name = "s", arn = "arn:aws:s3:::s", domain = "s.s3.us-west-2.amazonaws.com" }
  log_kms_key_arn    = "arn:aws:kms:us-west-2:111122223333:key/00000000-0000-4000-8000-000000000001"
  units = {
    gateway = { entrance = "public", release = "blue-green" }
    console = { entrance = "public", release = "rolling" }
    wallets = { entrance = "internal", release = "blue-green" }
    custody = { entrance = "none", release = "rolling" }
  }
}

run "dep_101_to_dep_111_entrance" {
  command = plan
  assert {
    condition     = aws_lb_listener_rule.hidden.priority == 1 && contains(one(one(aws_lb_listener_rule.hidden.condition).path_pattern).values, "/metrics") && aws_lb_listener_rule.hidden.action[0].type == "fixed-response"
    error_message = "DEP-101: figures of processes leave by no public door"
  }
  assert {
    condition     = alltrue([for lb in aws_lb.this : lb.drop_invalid_header_fields && lb.enable_deletion_protection && lb.enable_http2 && lb.idle_timeout == 60]) && length(aws_lb.this["public"].subnets) == 3
    error_message = "DEP-101"
  }
  assert {
    condition     = aws_lb_listener.redirect.default_action[0].redirect[0].status_code == "HTTP_301" && aws_lb_listener.https["public"].ssl_policy == "ELBSecurityPolicy-TLS13-1-2-2021-06"
    error_message = "DEP-102"
  }
  assert {
    condition     = alltrue([for g in aws_lb_target_group.this : g.port == 8443 && g.protocol == "HTTPS" && g.health_check[0].path == "/ready" && length(g.name) <= 32]) && toset(keys(aws_lb_target_group.this)) == toset(["gateway/blue", "gateway/green", "console/blue", "wallets/blue", "wallets/green"])
    error_message = "DEP-103, DEP-058: two groups for blue/green units, none for a unit without an entrance"
  }
  assert {
    condition     = keys(aws_route53_record.unit) == ["wallets/plain", "wallets/signed"] && aws_route53_zone.internal["plain"].name == "florin.internal" && contains(aws_acm_certificate.regional.subject_alternative_names, "*.${output.internal_domain}")
    error_message = "DEP-104"
  }
  assert {
    condition     = module.acl_regional.rules.scope == "REGIONAL" && module.acl_edge.rules.scope == "CLOUDFRONT"
    error_message = "DEP-107: both entrances"
  }
  assert {
    condition     = alltrue([for acl in [module.acl_regional, module.acl_edge] : length(acl.rules.managed) == 5 && [for l in acl.rules.limits : l.limit] == [100, 2000, 100000]])
    error_message = "DEP-107: one rule book"
  }
  assert {
    condition     = [for r in module.acl_regional.rules.managed : r.count if r.name == "AWSManagedRulesCommonRuleSet"] == [["SizeRestrictions_BODY"]] && contains(module.acl_regional.rules.large, "/api/v1/ledger/import")
    error_message = "DEP-108: large bodies are judged by path"
  }
  assert {
    condition     = aws_cloudfront_distribution.this.viewer_certificate[0].minimum_protocol_version == "TLSv1.2_2021"
    error_message = "DEP-111"
  }
  assert {
    condition     = aws_cloudwatch_log_delivery_destination.cdn.delivery_destination_configuration[0].destination_resource_arn == "arn:aws:s3:::florin-production-logs-00000000/cdn" && !contains(aws_cloudwatch_log_delivery.cdn.record_fields, "cs(Cookie)") && !contains(aws_cloudwatch_log_delivery.cdn.record_fields, "cs-uri-query")
    error_message = "DEP-111: logs, without cookies and queries"
  }
}

run "dep_102_tls13_only" {
  command = plan
  variables {
    tls13_only = true
  }
  assert {
    condition     = aws_lb_listener.https["internal"].ssl_policy == "ELBSecurityPolicy-TLS13-1-3-2021-06"
    error_message = "TLS 1.3 and nothing else"
  }
}

run "dep_112_own_networks_without_the_internet" {
  command = plan
  variables {
    private_api = true
  }
  assert {
    condition     = aws_lb.private_api[0].internal && aws_vpc_endpoint_service.private_api[0].acceptance_required
    error_message = "DEP-112: an endpoint service, each caller accepted by hand"
  }
  assert {
    condition     = aws_lb_target_group.private_api[0].target_type == "alb" && aws_lb_target_group_attachment.private_api[0].port == 443 && aws_lb_listener.private_api[0].protocol == "TCP" && aws_vpc_security_group_ingress_rule.private_api[0].security_group_id == "sg-2"
    error_message = "DEP-112: its balancer leads to the internal one"
  }
}

run "dep_110_refused_names" {
  command = plan
  variables {
    domain_name = "https://Pay"
    failover    = "both"
  }
  expect_failures = [var.domain_name, var.failover]
}
