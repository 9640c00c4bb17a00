mock_provider "aws" {
  mock_resource "aws_eks_cluster" {
    override_during = plan
    defaults = {
      identity = [{ oidc = [{ issuer = "https://oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE" }] }]
    }
  }
}

variables {
  name                       = "florin-production"
  environment                = "production"
  region                     = "us-west-2"
  account_id                 = "111122223333"
  cluster_version            = "1.35"
  subnet_ids                 = ["subnet-1", "subnet-2", "subnet-3"]
  fargate_subnet_ids         = ["subnet-4", "subnet-5", "subnet-6"]
  cluster_security_group_ids = ["sg-1"]
  node_security_group_ids    = ["sg-2"]
  secrets_key_arn            = "arn:aws:kms:us-west-2:111122223333:key/00000000-0000-4000-8000-000000000001"
  volume_key_arn             = "arn:aws:kms:us-west-2:111122223333:key/00000000-0000-4000-8000-000000000002"
  log_kms_key_arn            = "arn:aws:kms:us-west-2:111122223333:key/00000000-0000-4000-8000-000000000003"
  admins                     = ["arn:aws:iam::111122223333:role/platform"]
  node_groups = {
    core     = { instance_types = ["m5.xlarge"], capacity = "ON_DEMAND", min = 3, desired = 3, max = 12, taint = "" }
    networks = { instance_types = ["m5.xlarge", "m5a.xlarge", "m6i.xlarge"], capacity = "SPOT", min = 0, desired = 0, max = 28, taint = "networks" }
  }
  addons                  = { "vpc-cni" = "v1.20.4-eksbuild.1", "aws-ebs-csi-driver" = "v1.53.0-eksbuild.1", "aws-efs-csi-driver" = "v2.1.13-eksbuild.1" }
  file_security_group_ids = ["sg-3"]
  service_accounts        = { chains = { namespace = "florin", policy = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" } }
}

run "dep_037_to_dep_045_cluster" {
  command = plan
  assert {
    condition     = aws_eks_cluster.this.version == "1.35" && aws_eks_cluster.this.upgrade_policy[0].support_type == "STANDARD"
    error_message = "DEP-037"
  }
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_private_access && !aws_eks_cluster.this.vpc_config[0].endpoint_public_access && length(aws_eks_cluster.this.enabled_cluster_log_types) == 5 && contains(aws_eks_cluster.this.encryption_config[0].resources, "secrets")
    error_message = "DEP-038"
  }
  assert {
    condition     = aws_eks_cluster.this.access_config[0].authentication_mode == "API" && length(aws_eks_access_entry.admin) == 1
    error_message = "DEP-040"
  }
  assert {
    condition     = aws_eks_node_group.this["core"].scaling_config[0].min_size == 3 && aws_eks_node_group.this["core"].capacity_type == "ON_DEMAND" && aws_eks_node_group.this["networks"].capacity_type == "SPOT" && length(aws_eks_node_group.this["networks"].taint) == 1
    error_message = "DEP-041, DEP-042"
  }
  assert {
    condition     = alltrue([for t in aws_launch_template.node : t.metadata_options[0].http_tokens == "required" && t.metadata_options[0].http_put_response_hop_limit == 1 && t.block_device_mappings[0].ebs[0].encrypted == "true"]) && alltrue([for g in aws_eks_node_group.this : g.update_config[0].max_unavailable_percentage == 25 && startswith(g.ami_type, "AL2023")])
    error_message = "DEP-044"
  }
  assert {
    condition     = strcontains(aws_eks_addon.network["vpc-cni"].configuration_values, "enableNetworkPolicy")
    error_message = "DEP-045"
  }
  assert {
    condition     = one(aws_eks_fargate_profile.batch.selector).namespace == "florin-batch"
    error_message = "DEP-050"
  }
}

run "dep_048_dep_138_files_and_disks" {
  command = plan
  assert {
    condition     = aws_efs_file_system.this.encrypted && length(aws_efs_mount_target.this) == 3 && aws_efs_mount_target.this[0].security_groups == toset(["sg-3"]) && aws_efs_file_system.this.tags["Backup"] == "files"
    error_message = "DEP-048, DEP-138: one encrypted file system, reached in each zone, backed up by its tag"
  }
  assert {
    condition     = contains(keys(aws_eks_addon.this), "aws-ebs-csi-driver") && contains(keys(aws_eks_addon.this), "aws-efs-csi-driver")
    error_message = "DEP-048: drivers of both classes"
  }
}

run "dep_038_dep_041_dep_045_refusals" {
  command = plan
  variables {
    public_access_cidrs = ["0.0.0.0/0"]
    cluster_version     = "latest"
    addons              = { "vpc-cni" = "latest" }
    node_groups         = { core = { instance_types = ["t3.medium"], capacity = "ON_DEMAND", min = 3, desired = 3, max = 12, taint = "" } }
  }
  expect_failures = [var.public_access_cidrs, var.cluster_version, var.addons, var.node_groups]
}
