# Load balancers: a public one for the units with an entrance, an internal one for all others.

locals {
  public   = { for unit, u in var.units : unit => u if u.entrance == "public" }
  internal = { for unit, u in var.units : unit => u if u.entrance == "internal" }
  # A blue/green unit has two target groups, of which one serves.
  groups = merge([
    for unit, u in var.units : {
      for colour in(u.release == "blue-green" ? ["blue", "green"] : ["blue"]) : "${unit}/${colour}" => {
        unit = unit, colour = colour, entrance = u.entrance
      }
    } if u.entrance != "none"
  ]...)
  # The distribution fetches pages from the host `origin`.
  hosts = { gateway = ["api"], console = ["app", "origin"] }
  # Units call each other under names that an authority signs; none signs florin.internal.
  internal_domain = "internal.${var.domain_name}"
  # At most 32 characters, and a target group's name is unique in the region.
  short = { staging = "stg", production = "prd", dr = "dr" }[var.environment]
}

resource "aws_lb" "this" {
  for_each                         = toset(["public", "internal"])
  name                             = "${var.name}-${each.key}"
  internal                         = each.key == "internal"
  load_balancer_type               = "application"
  security_groups                  = [var.security_group_ids["alb-${each.key}"]]
  subnets                          = each.key == "public" ? var.public_subnet_ids : var.private_subnet_ids
  idle_timeout                     = 60
  enable_http2                     = true
  drop_invalid_header_fields       = true
  enable_deletion_protection       = true
  desync_mitigation_mode           = "strictest"
  enable_cross_zone_load_balancing = true
  access_logs {
    bucket  = var.logs_bucket
    prefix  = "alb/${each.key}"
    enabled = true
  }
  tags = merge(var.tags, { Name = "${var.name}-${each.key}", DEP = each.key == "public" ? "101" : "101 104" })
}

# A load balancer refuses slow start together with least outstanding requests: the second is taken.
resource "aws_lb_target_group" "this" {
  for_each                      = local.groups
  name                          = "${local.short}-${each.value.unit}-${each.value.colour}"
  vpc_id                        = var.vpc_id
  target_type                   = "ip"
  protocol                      = "HTTPS"
  port                          = 8443
  deregistration_delay          = 30
  load_balancing_algorithm_type = "least_outstanding_requests"
  health_check {
    protocol            = "HTTPS"
    path                = "/ready"
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
  tags = merge(var.tags, { Name = "${var.name}-${each.key}", Unit = each.value.unit, DEP = "058 103 105" })
}

resource "aws_lb_listener" "redirect" {
  load_balancer_arn = aws_lb.this["public"].arn
  port              = 80
  protocol          = "HTTP"
  default_action {
    type = "redirect"
    redirect {
      port        = "443"
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
  tags = merge(var.tags, { Name = "${var.name}-redirect", DEP = "102" })
}

resource "aws_lb_listener" "https" {
  for_each          = aws_lb.this
  load_balancer_arn = each.value.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = var.tls13_only ? "ELBSecurityPolicy-TLS13-1-3-2021-06" : "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = aws_acm_certificate_validation.regional.certificate_arn
  default_action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      message_body = "no such host"
      status_code  = "404"
    }
  }
  tags = merge(var.tags, { Name = "${var.name}-${each.key}-https", DEP = "102" })
}

resource "aws_lb_listener_rule" "unit" {
  for_each     = { for unit, u in var.units : unit => u if u.entrance != "none" }
  listener_arn = aws_lb_listener.https[each.value.entrance].arn
  priority     = 100 + index(sort(keys(var.units)), each.key)
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this["${each.key}/blue"].arn
  }
  condition {
    host_header {
      values = each.value.entrance == "public" ? [for host in local.hosts[each.key] : "${host}.${var.domain_name}"] : ["${each.key}.florin.internal", "${each.key}.${local.internal_domain}"]
    }
  }
  tags = merge(var.tags, { Name = "${var.name}-${each.key}", Unit = each.key, DEP = "104" })
  lifecycle {
    # Blue/green releases turn the rule to the other group.
    ignore_changes = [action]
  }
}

# Figures of processes are for the platform alone: who scrapes asks the tasks themselves.
resource "aws_lb_listener_rule" "hidden" {
  listener_arn = aws_lb_listener.https["public"].arn
  priority     = 1
  action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      message_body = "not here"
      status_code  = "404"
    }
  }
  condition {
    path_pattern {
      values = ["/metrics", "/actuator/metrics*"]
    }
  }
  tags = merge(var.tags, { Name = "${var.name}-hidden", DEP = "031 101" })
}

# --- names and certificates

resource "aws_acm_certificate" "regional" {
  domain_name               = var.domain_name
  subject_alternative_names = ["*.${var.domain_name}", "*.${local.internal_domain}"]
  validation_method         = "DNS"
  tags                      = merge(var.tags, { Name = var.domain_name, DEP = "105 106" })
  lifecycle {
    create_before_destroy = true
  }
}

# CloudFront reads certificates in this region only.
resource "aws_acm_certificate" "edge" {
  provider                  = aws.us_east_1
  domain_name               = var.domain_name
  subject_alternative_names = ["*.${var.domain_name}"]
  validation_method         = "DNS"
  tags                      = merge(var.tags, { Name = var.domain_name, DEP = "014 106" })
  lifecycle {
    create_before_destroy = true
  }
}

# DEP-106: domain and wildcard are proved by the same record, which both certificates share.
resource "aws_route53_record" "validation" {
  zone_id         = var.hosted_zone_id
  name            = one([for o in aws_acm_certificate.regional.domain_validation_options : o.resource_record_name if o.domain_name == var.domain_name])
  type            = one([for o in aws_acm_certificate.regional.domain_validation_options : o.resource_record_type if o.domain_name == var.domain_name])
  records         = [one([for o in aws_acm_certificate.regional.domain_validation_options : o.resource_record_value if o.domain_name == var.domain_name])]
  ttl             = 300
  allow_overwrite = true
}

# DEP-106: names of units, proved by a record of their own.
resource "aws_route53_record" "validation_internal" {
  zone_id         = var.hosted_zone_id
  name            = one([for o in aws_acm_certificate.regional.domain_validation_options : o.resource_record_name if o.domain_name == "*.${local.internal_domain}"])
  type            = one([for o in aws_acm_certificate.regional.domain_validation_options : o.resource_record_type if o.domain_name == "*.${local.internal_domain}"])
  records         = [one([for o in aws_acm_certificate.regional.domain_validation_options : o.resource_record_value if o.domain_name == "*.${local.internal_domain}"])]
  ttl             = 300
  allow_overwrite = true
}

# DEP-106
resource "aws_acm_certificate_validation" "regional" {
  certificate_arn = aws_acm_certificate.regional.arn
  depends_on      = [aws_route53_record.validation, aws_route53_record.validation_internal]
}

# DEP-106
resource "aws_acm_certificate_validation" "edge" {
  provider        = aws.us_east_1
  certificate_arn = aws_acm_certificate.edge.arn
  depends_on      = [aws_route53_record.validation]
}

resource "aws_route53_health_check" "api" {
  fqdn              = "api.${var.domain_name}"
  type              = "HTTPS"
  port              = 443
  resource_path     = "/ready"
  request_interval  = 30
  failure_threshold = 3
  tags              = merge(var.tags, { Name = "${var.name}-api", DEP = "110" })
}

# DEP-110
resource "aws_route53_record" "api" {
  for_each        = toset(["A", "AAAA"])
  zone_id         = var.hosted_zone_id
  name            = "api.${var.domain_name}"
  type            = each.key
  set_identifier  = var.failover == "" ? null : var.failover
  health_check_id = var.failover == "primary" ? aws_route53_health_check.api.id : null
  alias {
    name                   = aws_lb.this["public"].dns_name
    zone_id                = aws_lb.this["public"].zone_id
    evaluate_target_health = true
  }
  dynamic "failover_routing_policy" {
    for_each = var.failover == "" ? [] : [upper(var.failover)]
    content {
      type = failover_routing_policy.value
    }
  }
}

# DEP-110, DEP-111: the console, through the CDN.
resource "aws_route53_record" "app" {
  for_each = var.failover == "secondary" ? toset([]) : toset(["A", "AAAA"])
  zone_id  = var.hosted_zone_id
  name     = "app.${var.domain_name}"
  type     = each.key
  alias {
    name                   = aws_cloudfront_distribution.this.domain_name
    zone_id                = aws_cloudfront_distribution.this.hosted_zone_id
    evaluate_target_health = false
  }
}

# DEP-111: where the distribution fetches pages.
resource "aws_route53_record" "origin" {
  count   = var.failover == "secondary" ? 0 : 1
  zone_id = var.hosted_zone_id
  name    = "origin.${var.domain_name}"
  type    = "A"
  alias {
    name                   = aws_lb.this["public"].dns_name
    zone_id                = aws_lb.this["public"].zone_id
    evaluate_target_health = true
  }
}

resource "aws_route53_zone" "internal" {
  for_each = { plain = "florin.internal", signed = local.internal_domain }
  name     = each.value
  comment  = "hosts of units"
  vpc {
    vpc_id = var.vpc_id
  }
  tags = merge(var.tags, { Name = each.value, DEP = "104" })
}

# DEP-104: one host per unit, whatever runs behind it.
resource "aws_route53_record" "unit" {
  for_each = merge([for kind in ["plain", "signed"] : { for unit, _ in local.internal : "${unit}/${kind}" => { unit = unit, kind = kind } }]...)
  zone_id  = aws_route53_zone.internal[each.value.kind].zone_id
  name     = "${each.value.unit}.${aws_route53_zone.internal[each.value.kind].name}"
  type     = "A"
  alias {
    name                   = aws_lb.this["internal"].dns_name
    zone_id                = aws_lb.this["internal"].zone_id
    evaluate_target_health = true
  }
}

# --- own networks reach the units without the internet: endpoint service, network load balancer,
# internal load balancer, under the names of units below internal.<domain>

# DEP-112: what comes through the endpoint service has been admitted by name already.
resource "aws_security_group" "private_api" {
  count                  = var.private_api ? 1 : 0
  name                   = "${var.name}-private-api"
  description            = "load balancer of the endpoint service"
  vpc_id                 = var.vpc_id
  revoke_rules_on_delete = true
  tags                   = merge(var.tags, { Name = "${var.name}-private-api", DEP = "036 112" })
}

resource "aws_vpc_security_group_egress_rule" "private_api" {
  count                        = var.private_api ? 1 : 0
  security_group_id            = aws_security_group.private_api[0].id
  referenced_security_group_id = var.security_group_ids["alb-internal"]
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  description                  = "to the internal load balancer"
  tags                         = merge(var.tags, { Name = "private-api", DEP = "036 112" })
}

resource "aws_vpc_security_group_ingress_rule" "private_api" {
  count                        = var.private_api ? 1 : 0
  security_group_id            = var.security_group_ids["alb-internal"]
  referenced_security_group_id = aws_security_group.private_api[0].id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  description                  = "from the endpoint service"
  tags                         = merge(var.tags, { Name = "private-api", DEP = "036 112" })
}

resource "aws_lb" "private_api" {
  count                            = var.private_api ? 1 : 0
  name                             = "${var.name}-private"
  internal                         = true
  load_balancer_type               = "network"
  subnets                          = var.private_subnet_ids
  security_groups                  = [aws_security_group.private_api[0].id]
  enable_deletion_protection       = true
  enable_cross_zone_load_balancing = true
  # Requests of an endpoint carry addresses of the other network, which no rule of ours names.
  enforce_security_group_inbound_rules_on_private_link_traffic = "off"
  access_logs {
    bucket  = var.logs_bucket
    prefix  = "nlb/private"
    enabled = true
  }
  tags = merge(var.tags, { Name = "${var.name}-private", DEP = "112" })
}

# A load balancer as the only target; its answer to a host that it does not know is health enough.
resource "aws_lb_target_group" "private_api" {
  count       = var.private_api ? 1 : 0
  name        = "${local.short}-private-api"
  vpc_id      = var.vpc_id
  target_type = "alb"
  protocol    = "TCP"
  port        = 443
  health_check {
    protocol = "HTTPS"
    path     = "/"
    matcher  = "404"
  }
  tags = merge(var.tags, { Name = "${var.name}-private", DEP = "112" })
}

# DEP-112
resource "aws_lb_target_group_attachment" "private_api" {
  count            = var.private_api ? 1 : 0
  target_group_arn = aws_lb_target_group.private_api[0].arn
  target_id        = aws_lb.this["internal"].arn
  port             = 443
  depends_on       = [aws_lb_listener.https]
}

resource "aws_lb_listener" "private_api" {
  count             = var.private_api ? 1 : 0
  load_balancer_arn = aws_lb.private_api[0].arn
  port              = 443
  protocol          = "TCP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.private_api[0].arn
  }
  tags = merge(var.tags, { Name = "${var.name}-private", DEP = "112" })
}

resource "aws_vpc_endpoint_service" "private_api" {
  count                      = var.private_api ? 1 : 0
  acceptance_required        = true
  network_load_balancer_arns = [aws_lb.private_api[0].arn]
  tags                       = merge(var.tags, { Name = "${var.name}-private", DEP = "112" })
}
