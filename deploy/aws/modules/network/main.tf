# VPC, subnets in four tiers over three zones, routes, NACLs, endpoints, security groups.

locals {
  tiers = {
    public   = var.public_subnet_cidrs
    private  = var.private_subnet_cidrs
    pods     = var.pod_subnet_cidrs
    database = var.database_subnet_cidrs
  }
  tier_dep = { public = "021", private = "022", pods = "023", database = "024" }
  tier_tags = {
    public   = { "kubernetes.io/role/elb" = "1" }
    private  = { "kubernetes.io/role/internal-elb" = "1" }
    pods     = { "kubernetes.io/cluster/${var.name}" = "shared" }
    database = {}
  }
  subnets = merge([
    for tier, cidrs in local.tiers : {
      for i, cidr in cidrs : "${tier}-${i + 1}" => { tier = tier, zone = i, cidr = cidr }
    }
  ]...)
  nat_zones   = var.nat_per_az ? [0, 1, 2] : [0]
  inner_cidrs = concat(var.private_subnet_cidrs, var.pod_subnet_cidrs)
}

resource "aws_vpc" "this" {
  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = merge(var.tags, { Name = var.name, DEP = "019" })
}

# The default group admits nothing, so nothing works by accident.
resource "aws_default_security_group" "none" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-default-unused", DEP = "036" })
}

resource "aws_subnet" "this" {
  for_each                = local.subnets
  vpc_id                  = aws_vpc.this.id
  cidr_block              = each.value.cidr
  availability_zone       = var.azs[each.value.zone]
  map_public_ip_on_launch = false
  tags = merge(var.tags, local.tier_tags[each.value.tier], {
    Name = "${var.name}-${each.key}"
    Tier = each.value.tier
    DEP  = "020 ${local.tier_dep[each.value.tier]} 030"
  })
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = var.name, DEP = "021" })
}

resource "aws_eip" "nat" {
  count  = length(local.nat_zones)
  domain = "vpc"
  tags   = merge(var.tags, { Name = "${var.name}-nat-${count.index + 1}", DEP = "025" })
}

resource "aws_nat_gateway" "this" {
  count         = length(local.nat_zones)
  allocation_id = aws_eip.nat[count.index].id
  subnet_id     = aws_subnet.this["public-${count.index + 1}"].id
  tags          = merge(var.tags, { Name = "${var.name}-${count.index + 1}", DEP = "025" })
  depends_on    = [aws_internet_gateway.this]
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-public", DEP = "021" })
}

# DEP-021
resource "aws_route" "internet" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table" "inner" {
  count  = 3
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-inner-${count.index + 1}", DEP = "022 023 025" })
}

# DEP-025: with one gateway all zones share it.
resource "aws_route" "nat" {
  count                  = 3
  route_table_id         = aws_route_table.inner[count.index].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[min(count.index, length(local.nat_zones) - 1)].id
}

# The database tier has local routes only.
resource "aws_route_table" "database" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-database", DEP = "024" })
}

# DEP-021, DEP-022, DEP-023, DEP-024
resource "aws_route_table_association" "this" {
  for_each  = local.subnets
  subnet_id = aws_subnet.this[each.key].id
  route_table_id = (
    each.value.tier == "public" ? aws_route_table.public.id :
    each.value.tier == "database" ? aws_route_table.database.id :
    aws_route_table.inner[each.value.zone].id
  )
}

resource "aws_flow_log" "this" {
  vpc_id                   = aws_vpc.this.id
  traffic_type             = "ALL"
  log_destination_type     = "s3"
  log_destination          = var.flow_log_bucket_arn
  max_aggregation_interval = 600
  destination_options {
    file_format                = "parquet"
    hive_compatible_partitions = true
    per_hour_partition         = true
  }
  tags = merge(var.tags, { Name = var.name, DEP = "026" })
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  vpc_endpoint_type = "Gateway"
  service_name      = "com.amazonaws.${var.region}.s3"
  route_table_ids   = concat(aws_route_table.inner[*].id, [aws_route_table.database.id])
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "OwnAccount"
        Effect    = "Allow"
        Principal = "*"
        Action    = "s3:*"
        Resource  = "*"
        Condition = { StringEquals = { "aws:PrincipalAccount" = var.account_id } }
      },
      {
        # Image layers and node packages come from buckets of AWS by presigned address.
        Sid       = "ImageLayers"
        Effect    = "Allow"
        Principal = "*"
        Action    = "s3:GetObject"
        Resource = [
          "arn:aws:s3:::prod-${var.region}-starport-layer-bucket/*",
          "arn:aws:s3:::al2023-repos-${var.region}-*/*",
        ]
      },
    ]
  })
  tags = merge(var.tags, { Name = "${var.name}-s3", DEP = "027" })
}

resource "aws_vpc_endpoint" "interface" {
  for_each            = toset(var.interface_endpoints)
  vpc_id              = aws_vpc.this.id
  vpc_endpoint_type   = "Interface"
  service_name        = "com.amazonaws.${var.region}.${each.key}"
  private_dns_enabled = true
  subnet_ids          = [for i in [1, 2, 3] : aws_subnet.this["private-${i}"].id]
  security_group_ids  = [aws_security_group.this["endpoints"].id]
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OwnAccount"
      Effect    = "Allow"
      Principal = "*"
      Action    = "*"
      Resource  = "*"
      Condition = { StringEquals = { "aws:PrincipalAccount" = var.account_id } }
    }]
  })
  tags = merge(var.tags, { Name = "${var.name}-${each.key}", DEP = "027" })
}

# --- NACLs: a second fence, per tier. Replies use the ephemeral ports.

locals {
  nacl_in = {
    public = concat(
      [for port in [80, 443] : { from = port, to = port, cidr = "0.0.0.0/0" }],
      [{ from = 1024, to = 65535, cidr = "0.0.0.0/0" }],
    )
    private = [{ from = 0, to = 65535, cidr = var.vpc_cidr }, { from = 1024, to = 65535, cidr = "0.0.0.0/0" }]
    pods    = [{ from = 0, to = 65535, cidr = var.vpc_cidr }, { from = 1024, to = 65535, cidr = "0.0.0.0/0" }]
    database = concat(
      [for pair in setproduct([5432, 6379, 9096], local.inner_cidrs) : { from = pair[0], to = pair[0], cidr = pair[1] }],
      # Members of a cluster talk to each other, and to endpoints of AWS through the S3 gateway.
      [for cidr in var.database_subnet_cidrs : { from = 0, to = 65535, cidr = cidr }],
    )
  }
  nacl_out = {
    public   = [{ from = 0, to = 65535, cidr = "0.0.0.0/0" }]
    private  = [{ from = 0, to = 65535, cidr = "0.0.0.0/0" }]
    pods     = [{ from = 0, to = 65535, cidr = "0.0.0.0/0" }]
    database = [for cidr in concat(local.inner_cidrs, var.database_subnet_cidrs) : { from = 1024, to = 65535, cidr = cidr }]
  }
}

resource "aws_network_acl" "this" {
  for_each   = local.tiers
  vpc_id     = aws_vpc.this.id
  subnet_ids = [for key, subnet in local.subnets : aws_subnet.this[key].id if subnet.tier == each.key]
  dynamic "ingress" {
    for_each = local.nacl_in[each.key]
    content {
      rule_no    = 100 + ingress.key * 10
      protocol   = "tcp"
      action     = "allow"
      from_port  = ingress.value.from
      to_port    = ingress.value.to
      cidr_block = ingress.value.cidr
    }
  }
  dynamic "ingress" {
    # Name resolution and time inside the VPC.
    for_each = each.key == "public" ? [] : [1]
    content {
      rule_no    = 900
      protocol   = "udp"
      action     = "allow"
      from_port  = 0
      to_port    = 65535
      cidr_block = var.vpc_cidr
    }
  }
  dynamic "egress" {
    for_each = local.nacl_out[each.key]
    content {
      rule_no    = 100 + egress.key * 10
      protocol   = "tcp"
      action     = "allow"
      from_port  = egress.value.from
      to_port    = egress.value.to
      cidr_block = egress.value.cidr
    }
  }
  dynamic "egress" {
    for_each = each.key == "public" ? [] : [1]
    content {
      rule_no    = 900
      protocol   = "udp"
      action     = "allow"
      from_port  = 0
      to_port    = 65535
      cidr_block = var.vpc_cidr
    }
  }
  tags = merge(var.tags, { Name = "${var.name}-${each.key}", DEP = "028" })
}
