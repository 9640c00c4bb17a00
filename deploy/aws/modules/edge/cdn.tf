# CloudFront for the console and static files. Programs call the API directly (DEP-112).

# DEP-111
resource "aws_cloudfront_origin_access_control" "static" {
  name                              = "${var.name}-static"
  description                       = "static files of ${var.name}"
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

# DEP-111: static files carry their hash in their name.
resource "aws_cloudfront_cache_policy" "static" {
  name        = "${var.name}-static"
  comment     = "a year, by path alone"
  min_ttl     = 1
  default_ttl = 86400
  max_ttl     = 31536000
  parameters_in_cache_key_and_forwarded_to_origin {
    enable_accept_encoding_brotli = true
    enable_accept_encoding_gzip   = true
    cookies_config {
      cookie_behavior = "none"
    }
    headers_config {
      header_behavior = "none"
    }
    query_strings_config {
      query_string_behavior = "none"
    }
  }
}

# DEP-111: pages and calls are never kept.
resource "aws_cloudfront_cache_policy" "none" {
  name        = "${var.name}-none"
  comment     = "nothing is kept"
  min_ttl     = 0
  default_ttl = 0
  max_ttl     = 0
  parameters_in_cache_key_and_forwarded_to_origin {
    cookies_config {
      cookie_behavior = "none"
    }
    headers_config {
      header_behavior = "none"
    }
    query_strings_config {
      query_string_behavior = "none"
    }
  }
}

# DEP-111
resource "aws_cloudfront_origin_request_policy" "pages" {
  name    = "${var.name}-pages"
  comment = "all but the host"
  cookies_config {
    cookie_behavior = "all"
  }
  headers_config {
    header_behavior = "allExcept"
    headers {
      items = ["host"]
    }
  }
  query_strings_config {
    query_string_behavior = "all"
  }
}

# DEP-111
resource "aws_cloudfront_response_headers_policy" "this" {
  name    = "${var.name}-headers"
  comment = "security headers"
  security_headers_config {
    strict_transport_security {
      access_control_max_age_sec = 31536000
      include_subdomains         = true
      override                   = true
    }
    content_type_options {
      override = true
    }
    frame_options {
      frame_option = "DENY"
      override     = true
    }
    referrer_policy {
      referrer_policy = "same-origin"
      override        = true
    }
  }
}

resource "aws_cloudfront_distribution" "this" {
  enabled             = true
  comment             = var.name
  aliases             = ["app.${var.domain_name}"]
  default_root_object = "index.html"
  price_class         = "PriceClass_All"
  http_version        = "http2and3"
  is_ipv6_enabled     = true
  web_acl_id          = module.acl_edge.arn
  wait_for_deployment = false
  origin {
    origin_id                = "static"
    domain_name              = var.static_bucket.domain
    origin_access_control_id = aws_cloudfront_origin_access_control.static.id
  }
  origin {
    origin_id   = "console"
    domain_name = "origin.${var.domain_name}"
    custom_origin_config {
      http_port              = 80
      https_port             = 443
      origin_protocol_policy = "https-only"
      origin_ssl_protocols   = ["TLSv1.2"]
    }
  }
  default_cache_behavior {
    target_origin_id           = "console"
    viewer_protocol_policy     = "redirect-to-https"
    allowed_methods            = ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"]
    cached_methods             = ["GET", "HEAD"]
    cache_policy_id            = aws_cloudfront_cache_policy.none.id
    origin_request_policy_id   = aws_cloudfront_origin_request_policy.pages.id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.this.id
    compress                   = true
  }
  ordered_cache_behavior {
    path_pattern               = "/static/*"
    target_origin_id           = "static"
    viewer_protocol_policy     = "redirect-to-https"
    allowed_methods            = ["GET", "HEAD"]
    cached_methods             = ["GET", "HEAD"]
    cache_policy_id            = aws_cloudfront_cache_policy.static.id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.this.id
    compress                   = true
  }
  viewer_certificate {
    acm_certificate_arn      = aws_acm_certificate_validation.edge.certificate_arn
    minimum_protocol_version = "TLSv1.2_2021"
    ssl_support_method       = "sni-only"
  }
  restrictions {
    geo_restriction {
      restriction_type = length(var.waf.blocked_countries) > 0 ? "blacklist" : "none"
      locations        = var.waf.blocked_countries
    }
  }
  tags = merge(var.tags, { Name = var.name, DEP = "107 111" })
}

# DEP-111: who fetched what, into the bucket of logs. CloudFront's logs are delivered from this region.
resource "aws_cloudwatch_log_delivery_source" "cdn" {
  provider     = aws.us_east_1
  name         = "${var.name}-cdn"
  log_type     = "ACCESS_LOGS"
  resource_arn = "arn:aws:cloudfront::${var.account_id}:distribution/${aws_cloudfront_distribution.this.id}"
  tags         = merge(var.tags, { Name = "${var.name}-cdn", DEP = "111" })
}

resource "aws_cloudwatch_log_delivery_destination" "cdn" {
  provider      = aws.us_east_1
  name          = "${var.name}-cdn"
  output_format = "json"
  delivery_destination_configuration {
    destination_resource_arn = "arn:aws:s3:::${var.logs_bucket}/cdn"
  }
  tags = merge(var.tags, { Name = "${var.name}-cdn", DEP = "111" })
}

# No cookies and no query, which may hold what is secret.
resource "aws_cloudwatch_log_delivery" "cdn" {
  provider                 = aws.us_east_1
  delivery_source_name     = aws_cloudwatch_log_delivery_source.cdn.name
  delivery_destination_arn = aws_cloudwatch_log_delivery_destination.cdn.arn
  record_fields            = ["date", "time", "x-edge-location", "sc-bytes", "c-ip", "cs-method", "cs(Host)", "cs-uri-stem", "sc-status", "x-edge-result-type", "x-edge-request-id", "time-taken", "ssl-protocol"]
  tags                     = merge(var.tags, { Name = "${var.name}-cdn", DEP = "111" })
}
