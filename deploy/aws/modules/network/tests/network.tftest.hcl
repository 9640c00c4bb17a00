mock_provider "aws" {}

variables {
  name                  = "florin-production"
  environment           = "production"
  region                = "us-west-2"
  account_id            = "111122223333"
  vpc_cidr              = "10.0.0.0/16"
  azs                   = ["us-west-2a", "us-west-2b", "us-west-2c"]
  public_subnet_cidrs   = ["10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"]
  private_subnet_cidrs  = ["10.0.11.0/24", "10.0.12.0/24", "10.0.13.0/24"]
  pod_subnet_cidrs      = ["10.0.32.0/19", "10.0.64.0/19", "10.0.96.0/19"]
  database_subnet_cidrs = ["10.0.21.0/24", "10.0.22.0/24", "10.0.23.0/24"]
  interface_endpoints   = ["logs", "kms"]
  flow_log_bucket_arn   = "arn:aws:s3:::florin-production-logs"
  units = {
    gateway = { entrance = "public", needs = ["database", "cache", "kafka"] }
    wallets = { entrance = "internal", needs = ["database", "ledger", "cache"] }
    custody = { entrance = "none", needs = ["database"] }
  }
}

run "dep_019_vpc_with_names" {
  command = plan
  assert {
    condition     = aws_vpc.this.enable_dns_hostnames && aws_vpc.this.enable_dns_support && aws_vpc.this.cidr_block == "10.0.0.0/16"
    error_message = "the VPC resolves names and has the range given"
  }
}

run "dep_020_three_zones_in_every_tier" {
  command = plan
  assert {
    condition     = alltrue([for tier in ["public", "private", "pods", "database"] : length(distinct([for s in aws_subnet.this : s.availability_zone if s.tags.Tier == tier])) == 3])
    error_message = "DEP-020 to DEP-024: each tier stands in three zones"
  }
  assert {
    condition     = alltrue([for s in aws_subnet.this : s.map_public_ip_on_launch == false])
    error_message = "DEP-030: nothing gets a public address by itself"
  }
}

run "dep_025_nat_per_zone" {
  command = plan
  assert {
    condition     = length(aws_nat_gateway.this) == 3
    error_message = "a NAT gateway in each zone"
  }
}

run "dep_025_one_nat_in_staging" {
  command = plan
  variables {
    nat_per_az = false
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_route.nat) == 3
    error_message = "one gateway, and all zones use it"
  }
}

run "dep_026_flow_logs" {
  command = plan
  assert {
    condition     = aws_flow_log.this.traffic_type == "ALL" && aws_flow_log.this.destination_options[0].file_format == "parquet" && aws_flow_log.this.destination_options[0].per_hour_partition
    error_message = "DEP-026: all traffic, as Parquet, by the hour"
  }
}

run "dep_028_database_tier_is_fenced" {
  command = plan
  assert {
    condition     = alltrue([for r in aws_network_acl.this["database"].ingress : r.cidr_block != "0.0.0.0/0"]) && alltrue([for r in aws_network_acl.this["database"].egress : r.cidr_block != "0.0.0.0/0"])
    error_message = "DEP-028: the database tier talks to the VPC only"
  }
  assert {
    condition     = toset([for r in aws_network_acl.this["database"].ingress : r.from_port if r.protocol == "tcp" && r.from_port == r.to_port]) == toset([5432, 6379, 9096])
    error_message = "DEP-028: of the stores' ports those three"
  }
}

run "dep_029_no_ssh_anywhere" {
  command = plan
  assert {
    condition     = alltrue([for r in aws_vpc_security_group_ingress_rule.talk : !(r.from_port <= 22 && r.to_port >= 22) || r.tags.Name == "nodes-to-nodes-0"])
    error_message = "port 22 is admitted between nodes of one cluster only, by their mutual rule"
  }
}

run "dep_031_the_internet_reaches_the_load_balancer_only" {
  command = plan
  assert {
    condition     = alltrue([for r in aws_vpc_security_group_ingress_rule.internet : contains([80, 443], r.from_port)]) && length(aws_vpc_security_group_ingress_rule.internet) == 2
    error_message = "443 and the redirect on 80"
  }
  assert {
    condition     = [for key, r in aws_vpc_security_group_egress_rule.talk : key if startswith(key, "alb-public-to-")] == ["alb-public-to-unit-gateway-8443"]
    error_message = "the public load balancer reaches units with a public entrance only"
  }
}

run "dep_034_stores_admit_named_groups_only" {
  command = plan
  assert {
    condition     = !contains(keys(aws_vpc_security_group_ingress_rule.talk), "unit-custody-to-cache-6379") && contains(keys(aws_vpc_security_group_ingress_rule.talk), "unit-wallets-to-database-5432")
    error_message = "DEP-032, DEP-034: a unit reaches the stores that it needs"
  }
  assert {
    condition     = length([for key, r in aws_vpc_security_group_egress_rule.talk : key if startswith(key, "database-") || startswith(key, "cache-")]) == 0
    error_message = "databases start no connections"
  }
}

run "dep_032_dep_033_dep_035_who_talks_to_whom" {
  command = plan
  assert {
    condition     = alltrue([for key in keys(local.talk_map) : !startswith(key, "alb-public-to-nodes")]) && contains(keys(local.talk_map), "alb-internal-to-nodes-8443")
    error_message = "DEP-033: nodes admit the internal load balancer on 8443, the public one never"
  }
  assert {
    condition     = toset([for key, t in local.talk_map : t.from if t.to == "monitoring"]) == toset(["alb-internal"]) && toset([for key, t in local.talk_map : t.low if t.to == "monitoring"]) == toset([3000, 9090, 9093])
    error_message = "DEP-035: dashboards stand behind the internal load balancer alone"
  }
  assert {
    condition     = alltrue([for key, t in local.talk_map : t.low == 8443 && t.high == 8443 if startswith(t.to, "unit-") && !endswith(key, "-to-unit-wallets-7443")])
    error_message = "DEP-032: units are reached on 8443 alone, and wallets on the port of the ledger's sequencer"
  }
  assert {
    condition     = contains(keys(local.talk_map), "unit-wallets-to-unit-wallets-7443") && !contains(keys(local.talk_map), "unit-custody-to-unit-wallets-7443")
    error_message = "DEP-032: whoever has the ledger reaches its sequencer, nobody else"
  }
}

run "dep_027_endpoints" {
  command = plan
  assert {
    condition     = length(aws_vpc_endpoint.interface) == length(var.interface_endpoints) && alltrue([for e in aws_vpc_endpoint.interface : e.private_dns_enabled])
    error_message = "DEP-027: an endpoint for each service, under its usual name"
  }
}

run "dep_036_every_rule_is_described" {
  command = plan
  assert {
    condition     = alltrue([for r in aws_vpc_security_group_ingress_rule.talk : length(r.description) > 5])
    error_message = "each rule says what it is for"
  }
}

run "dep_020_two_zones_are_refused" {
  command = plan
  variables {
    azs = ["us-west-2a", "us-west-2b"]
  }
  expect_failures = [var.azs]
}
