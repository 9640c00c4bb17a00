# Prometheus, Alertmanager and Grafana on one host with a disk that outlives it; or Amazon's own.

locals {
  ec2     = var.monitoring == "ec2" ? 1 : 0
  managed = var.monitoring == "managed" ? 1 : 0
  # Login at 3000; the other two only for people on the internal network.
  ports = { grafana = 3000, prometheus = 9090, alertmanager = 9093 }
  paths = { grafana = "/api/health", prometheus = "/-/ready", alertmanager = "/-/ready" }
}

resource "aws_iam_role" "host" {
  count = local.ec2
  name  = "${var.name}-monitoring"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
  tags                 = merge(var.tags, { Name = "${var.name}-monitoring", DEP = "060" })
  permissions_boundary = "arn:aws:iam::${var.account_id}:policy/${replace(var.name, "/-[a-z]+$/", "")}-boundary"
}

# DEP-060, part D1 of the contract.
resource "aws_iam_role_policy" "host" {
  count = local.ec2
  name  = "watch"
  role  = aws_iam_role.host[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Look", Effect = "Allow", Action = ["cloudwatch:GetMetricData", "cloudwatch:ListMetrics", "ec2:DescribeInstances", "ec2:DescribeVolumes", "tag:GetResources"], Resource = "*" },
      { Sid = "Tell", Effect = "Allow", Action = ["sns:Publish"], Resource = var.topic_arns },
      { Sid = "Targets", Effect = "Allow", Action = ["servicediscovery:DiscoverInstances"], Resource = "arn:aws:servicediscovery:${var.region}:${var.account_id}:*" },
      { Sid = "Rules", Effect = "Allow", Action = ["s3:GetObject"], Resource = "${var.config_bucket_arn}/monitoring/*" },
      { Sid = "Disk", Effect = "Allow", Action = ["ec2:AttachVolume"], Resource = [aws_ebs_volume.data[0].arn, "arn:aws:ec2:${var.region}:${var.account_id}:instance/*"], Condition = { StringEquals = { "aws:ResourceTag/Name" = "${var.name}-monitoring" } } },
    ]
  })
}

# DEP-029, DEP-060
resource "aws_iam_role_policy_attachment" "host" {
  count      = local.ec2
  role       = aws_iam_role.host[0].name
  policy_arn = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "host" {
  count = local.ec2
  name  = "${var.name}-monitoring"
  role  = aws_iam_role.host[0].name
  tags  = merge(var.tags, { Name = "${var.name}-monitoring", DEP = "060" })
}

resource "aws_ebs_volume" "data" {
  count             = local.ec2
  availability_zone = var.az
  size              = var.volume_gib
  type              = "gp3"
  encrypted         = true
  kms_key_id        = var.volume_key_arn
  tags              = merge(var.tags, { Name = "${var.name}-monitoring", DEP = "060" })
}

resource "aws_launch_template" "host" {
  count                  = local.ec2
  name                   = "${var.name}-monitoring"
  image_id               = var.ami_id
  instance_type          = var.instance_type
  update_default_version = true
  vpc_security_group_ids = [var.security_group_id]
  user_data = base64encode(templatefile("${path.module}/user-data.sh", {
    volume = aws_ebs_volume.data[0].id
    bucket = replace(var.config_bucket_arn, "arn:aws:s3:::", "")
    region = var.region
  }))
  iam_instance_profile {
    arn = aws_iam_instance_profile.host[0].arn
  }
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  monitoring {
    enabled = true
  }
  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size = 30
      volume_type = "gp3"
      encrypted   = true
      kms_key_id  = var.volume_key_arn
    }
  }
  tag_specifications {
    resource_type = "instance"
    tags          = merge(var.tags, { Name = "${var.name}-monitoring" })
  }
  tags = merge(var.tags, { Name = "${var.name}-monitoring", DEP = "060" })
}

# DEP-060: tags stand in the group's own blocks.
resource "aws_autoscaling_group" "host" {
  count                     = local.ec2
  name                      = "${var.name}-monitoring"
  min_size                  = 1
  desired_capacity          = 1
  max_size                  = var.max_hosts
  vpc_zone_identifier       = [var.subnet_id]
  health_check_type         = "EC2"
  health_check_grace_period = 300
  target_group_arns         = [for group in aws_lb_target_group.host : group.arn]
  wait_for_capacity_timeout = "0"
  launch_template {
    id      = aws_launch_template.host[0].id
    version = aws_launch_template.host[0].latest_version
  }
  dynamic "tag" {
    for_each = merge(var.tags, { Name = "${var.name}-monitoring", DEP = "060" })
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }
}

resource "aws_lb_target_group" "host" {
  for_each    = local.ec2 == 1 ? local.ports : {}
  name        = "${substr(var.environment, 0, 3)}-mon-${each.key}"
  vpc_id      = var.vpc_id
  target_type = "instance"
  protocol    = "HTTP"
  port        = each.value
  health_check {
    path    = local.paths[each.key]
    matcher = "200"
  }
  tags = merge(var.tags, { Name = "${var.name}-${each.key}", DEP = "035 060" })
}

resource "aws_lb_listener_rule" "host" {
  for_each     = aws_lb_target_group.host
  listener_arn = var.listener_arn
  priority     = 10 + index(sort(keys(local.ports)), each.key)
  action {
    type             = "forward"
    target_group_arn = each.value.arn
  }
  condition {
    host_header {
      values = ["${each.key}.florin.internal"]
    }
  }
  tags = merge(var.tags, { Name = "${var.name}-${each.key}", DEP = "035" })
}

# --- Amazon's own

resource "aws_prometheus_workspace" "this" {
  count = local.managed
  alias = var.name
  tags  = merge(var.tags, { Name = var.name, DEP = "061" })
}

resource "aws_iam_role" "grafana" {
  count = local.managed
  name  = "${var.name}-grafana"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "grafana.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
  tags                 = merge(var.tags, { Name = "${var.name}-grafana", DEP = "061" })
  permissions_boundary = "arn:aws:iam::${var.account_id}:policy/${replace(var.name, "/-[a-z]+$/", "")}-boundary"
}

resource "aws_grafana_workspace" "this" {
  count                    = local.managed
  name                     = var.name
  account_access_type      = "CURRENT_ACCOUNT"
  authentication_providers = ["AWS_SSO"]
  permission_type          = "SERVICE_MANAGED"
  role_arn                 = aws_iam_role.grafana[0].arn
  data_sources             = ["PROMETHEUS", "CLOUDWATCH", "XRAY"]
  tags                     = merge(var.tags, { Name = var.name, DEP = "061" })
}
