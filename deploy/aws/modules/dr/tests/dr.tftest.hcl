mock_provider "aws" {}

variables {
  name        = "florin-dr"
  environment = "dr"
  primary = {
    region               = "us-west-2"
    application_url      = "https://api.example.com"
    database_cluster     = "florin-production-database"
    global_cluster       = "florin-production-global"
    cluster_name         = "florin-production"
    unit_security_groups = { wallets = "sg-1" }
  }
  endpoints = { api = "florin-dr-public.us-east-1.elb.amazonaws.com" }
}

run "dep_140_dep_142_what_a_failover_reads" {
  command = plan
  assert {
    condition     = jsondecode(nonsensitive(aws_ssm_parameter.primary.value)).global_cluster == "florin-production-global" && aws_ssm_parameter.primary.name == "/florin/dr/primary"
    error_message = "the old writer can be found and fenced without asking the primary region"
  }
}
