# Security groups: one per unit and store. Every rule is its own resource with a description, and
# its peer is a group wherever one exists.

locals {
  store_port = { database = 5432, cache = 6379, kafka = 9096 }
  fixed_groups = {
    "alb-public"   = { about = "public load balancer", dep = "031" }
    "alb-internal" = { about = "internal load balancer", dep = "032 104" }
    "nodes"        = { about = "nodes and pods of EKS", dep = "033" }
    "cluster"      = { about = "control plane of EKS", dep = "033" }
    "database"     = { about = "Aurora", dep = "034" }
    "cache"        = { about = "ElastiCache", dep = "034" }
    "kafka"        = { about = "MSK brokers", dep = "034" }
    "efs"          = { about = "shared files of user networks", dep = "034" }
    "endpoints"    = { about = "VPC endpoints", dep = "034" }
    "rotation"     = { about = "secret rotation function", dep = "034" }
    "monitoring"   = { about = "monitoring host", dep = "035" }
  }
  groups = merge(local.fixed_groups, { for unit, _ in var.units : "unit-${unit}" => { about = "unit ${unit}", dep = "032" } })

  callers = { for store, port in local.store_port : store => concat(
    [for unit, u in var.units : "unit-${unit}" if contains(u.needs, store)], ["nodes", "rotation"]
  ) }

  ledger_callers = contains(keys(var.units), "wallets") ? concat([for unit, u in var.units : "unit-${unit}" if contains(u.needs, "ledger")], ["nodes"]) : []

  served = { for unit, u in var.units : unit => u.entrance == "public" ? "alb-public" : "alb-internal" if u.entrance != "none" }

  # One list of allowed conversations: who, to whom, on which ports. Both ends are made from it.
  talks = concat(
    [for unit, lb in local.served : { from = lb, to = "unit-${unit}", low = 8443, high = 8443 }],
    [for unit, _ in var.units : { from = "monitoring", to = "unit-${unit}", low = 8443, high = 8443 }],
    # Calls of the ledger go to the task of wallets that is elected to commit for all.
    [for caller in local.ledger_callers : { from = caller, to = "unit-wallets", low = 7443, high = 7443 }],
    [for unit, _ in var.units : { from = "unit-${unit}", to = "alb-internal", low = 443, high = 443 }],
    flatten([for store, callers in local.callers : [for caller in callers : { from = caller, to = store, low = local.store_port[store], high = local.store_port[store] }]]),
    [
      { from = "alb-internal", to = "nodes", low = 8443, high = 8443 },
      { from = "monitoring", to = "nodes", low = 8443, high = 8443 },
      { from = "cluster", to = "nodes", low = 443, high = 443 },
      { from = "cluster", to = "nodes", low = 9443, high = 9443 },
      { from = "cluster", to = "nodes", low = 10250, high = 10250 },
      { from = "nodes", to = "cluster", low = 443, high = 443 },
      { from = "nodes", to = "nodes", low = 0, high = 65535 },
      { from = "nodes", to = "alb-internal", low = 443, high = 443 },
      { from = "nodes", to = "efs", low = 2049, high = 2049 },
      { from = "monitoring", to = "alb-internal", low = 443, high = 443 },
    ],
    [for port in [3000, 9090, 9093] : { from = "alb-internal", to = "monitoring", low = port, high = port }],
    # Brokers of one cluster replicate among themselves.
    [{ from = "kafka", to = "kafka", low = 9092, high = 9098 }],
  )
  talk_map = { for t in local.talks : "${t.from}-to-${t.to}-${t.low}" => t }

  # Callers of AWS and of vendors: 443 outwards.
  outward = concat([for unit, _ in var.units : "unit-${unit}"], ["nodes", "monitoring", "rotation"])
}

resource "aws_security_group" "this" {
  for_each               = local.groups
  name                   = "${var.name}-${each.key}"
  description            = each.value.about
  vpc_id                 = aws_vpc.this.id
  revoke_rules_on_delete = true
  tags                   = merge(var.tags, { Name = "${var.name}-${each.key}", DEP = "${each.value.dep} 029 036" })
}

resource "aws_vpc_security_group_ingress_rule" "talk" {
  for_each                     = local.talk_map
  security_group_id            = aws_security_group.this[each.value.to].id
  referenced_security_group_id = aws_security_group.this[each.value.from].id
  ip_protocol                  = "tcp"
  from_port                    = each.value.low
  to_port                      = each.value.high
  description                  = "from ${each.value.from}"
  tags                         = merge(var.tags, { Name = each.key, DEP = "032 033 034 035 036" })
}

resource "aws_vpc_security_group_egress_rule" "talk" {
  for_each                     = { for key, t in local.talk_map : key => t if !contains(["database", "cache"], t.from) }
  security_group_id            = aws_security_group.this[each.value.from].id
  referenced_security_group_id = aws_security_group.this[each.value.to].id
  ip_protocol                  = "tcp"
  from_port                    = each.value.low
  to_port                      = each.value.high
  description                  = "to ${each.value.to}"
  tags                         = merge(var.tags, { Name = each.key, DEP = "031 032 034 036" })
}

# The only rules of the platform that admit the whole internet.
resource "aws_vpc_security_group_ingress_rule" "internet" {
  for_each          = { https = 443, redirect = 80 }
  security_group_id = aws_security_group.this["alb-public"].id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = each.value
  to_port           = each.value
  description       = "${each.key} from the internet"
  tags              = merge(var.tags, { Name = each.key, DEP = "031" })
}

resource "aws_vpc_security_group_egress_rule" "outward" {
  for_each          = toset(local.outward)
  security_group_id = aws_security_group.this[each.key].id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  description       = "AWS and vendors over TLS"
  tags              = merge(var.tags, { Name = "${each.key}-443", DEP = "032" })
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  security_group_id = aws_security_group.this["endpoints"].id
  cidr_ipv4         = var.vpc_cidr
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  description       = "AWS services from the VPC"
  tags              = merge(var.tags, { Name = "endpoints", DEP = "034" })
}

# Pods resolve names at CoreDNS on any node.
resource "aws_vpc_security_group_ingress_rule" "node_dns" {
  security_group_id            = aws_security_group.this["nodes"].id
  referenced_security_group_id = aws_security_group.this["nodes"].id
  ip_protocol                  = "udp"
  from_port                    = 53
  to_port                      = 53
  description                  = "names among nodes"
  tags                         = merge(var.tags, { Name = "node-dns", DEP = "033" })
}

resource "aws_vpc_security_group_egress_rule" "node_dns" {
  security_group_id            = aws_security_group.this["nodes"].id
  referenced_security_group_id = aws_security_group.this["nodes"].id
  ip_protocol                  = "udp"
  from_port                    = 53
  to_port                      = 53
  description                  = "names among nodes"
  tags                         = merge(var.tags, { Name = "node-dns", DEP = "033" })
}
