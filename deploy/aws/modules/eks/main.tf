# The EKS cluster: private API, encrypted secrets, managed nodes, one role per service account.

locals {
  oidc = replace(aws_eks_cluster.this.identity[0].oidc[0].issuer, "https://", "")
}

resource "aws_cloudwatch_log_group" "control_plane" {
  name              = "/aws/eks/${var.name}/cluster"
  retention_in_days = 90
  kms_key_id        = var.log_kms_key_arn
  tags              = merge(var.tags, { Name = "/aws/eks/${var.name}/cluster", DEP = "038" })
}

resource "aws_iam_role" "cluster" {
  name = "${var.name}-eks-cluster"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "eks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
  tags                 = merge(var.tags, { Name = "${var.name}-eks-cluster", DEP = "037" })
  permissions_boundary = "arn:aws:iam::${var.account_id}:policy/${replace(var.name, "/-[a-z]+$/", "")}-boundary"
}

# DEP-037
resource "aws_iam_role_policy_attachment" "cluster" {
  role       = aws_iam_role.cluster.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
}

resource "aws_eks_cluster" "this" {
  name                          = var.name
  version                       = var.cluster_version
  role_arn                      = aws_iam_role.cluster.arn
  enabled_cluster_log_types     = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
  bootstrap_self_managed_addons = false
  access_config {
    authentication_mode                         = "API"
    bootstrap_cluster_creator_admin_permissions = false
  }
  upgrade_policy {
    support_type = "STANDARD"
  }
  vpc_config {
    subnet_ids              = var.subnet_ids
    security_group_ids      = var.cluster_security_group_ids
    endpoint_private_access = true
    endpoint_public_access  = length(var.public_access_cidrs) > 0
    public_access_cidrs     = length(var.public_access_cidrs) > 0 ? var.public_access_cidrs : null
  }
  encryption_config {
    resources = ["secrets"]
    provider {
      key_arn = var.secrets_key_arn
    }
  }
  tags = merge(var.tags, { Name = var.name, DEP = "037 038 040" })
  depends_on = [
    aws_cloudwatch_log_group.control_plane,
    aws_iam_role_policy_attachment.cluster,
  ]
}

resource "aws_eks_access_entry" "admin" {
  for_each      = toset(var.admins)
  cluster_name  = aws_eks_cluster.this.name
  principal_arn = each.key
  tags          = merge(var.tags, { Name = "${var.name}-admin", DEP = "040" })
}

# DEP-040
resource "aws_eks_access_policy_association" "admin" {
  for_each      = toset(var.admins)
  cluster_name  = aws_eks_cluster.this.name
  principal_arn = each.key
  policy_arn    = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
  access_scope {
    type = "cluster"
  }
  depends_on = [aws_eks_access_entry.admin]
}

resource "aws_iam_openid_connect_provider" "this" {
  url            = aws_eks_cluster.this.identity[0].oidc[0].issuer
  client_id_list = ["sts.amazonaws.com"]
  # AWS trusts the issuer's certificate by its own store; the field must not be empty.
  thumbprint_list = ["9e99a48a9960b14926bb7f3b02e22da2b0ab7280"]
  tags            = merge(var.tags, { Name = var.name, DEP = "039" })
}

resource "aws_iam_role" "service_account" {
  for_each = var.service_accounts
  name     = "${var.name}-sa-${each.key}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = aws_iam_openid_connect_provider.this.arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = { StringEquals = {
        "${local.oidc}:sub" = "system:serviceaccount:${each.value.namespace}:${each.key}"
        "${local.oidc}:aud" = "sts.amazonaws.com"
      } }
    }]
  })
  tags                 = merge(var.tags, { Name = "${var.name}-sa-${each.key}", Unit = each.key, DEP = "039 055" })
  permissions_boundary = "arn:aws:iam::${var.account_id}:policy/${replace(var.name, "/-[a-z]+$/", "")}-boundary"
}

# DEP-039, part D1 of the contract.
resource "aws_iam_role_policy" "service_account" {
  for_each = var.service_accounts
  name     = "run"
  role     = aws_iam_role.service_account[each.key].id
  policy   = each.value.policy
}

# --- nodes

resource "aws_iam_role" "node" {
  name = "${var.name}-eks-node"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
  tags                 = merge(var.tags, { Name = "${var.name}-eks-node", DEP = "041" })
  permissions_boundary = "arn:aws:iam::${var.account_id}:policy/${replace(var.name, "/-[a-z]+$/", "")}-boundary"
}

# DEP-029, DEP-041: what a node needs to join, pull and be reached by Session Manager.
resource "aws_iam_role_policy_attachment" "node" {
  for_each = toset([
    "AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonSSMManagedInstanceCore", "AmazonEKS_CNI_Policy",
  ])
  role       = aws_iam_role.node.name
  policy_arn = "arn:aws:iam::aws:policy/${each.key}"
}

# DEP-128: the network agent of a node tells what it turned away.
resource "aws_iam_role_policy" "node" {
  name = "network-policy-log"
  role = aws_iam_role.node.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Log", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"], Resource = "${aws_cloudwatch_log_group.control_plane.arn}:*" },
      { Sid = "Find", Effect = "Allow", Action = ["logs:DescribeLogGroups"], Resource = "*" },
    ]
  })
}

resource "aws_launch_template" "node" {
  for_each               = var.node_groups
  name                   = "${var.name}-${each.key}"
  description            = "nodes of ${var.name}"
  update_default_version = true
  vpc_security_group_ids = concat(var.node_security_group_ids, [aws_eks_cluster.this.vpc_config[0].cluster_security_group_id])
  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size           = 100
      volume_type           = "gp3"
      encrypted             = true
      kms_key_id            = var.volume_key_arn
      delete_on_termination = true
    }
  }
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  monitoring {
    enabled = true
  }
  tag_specifications {
    resource_type = "instance"
    tags          = merge(var.tags, { Name = "${var.name}-${each.key}" })
  }
  tags = merge(var.tags, { Name = "${var.name}-${each.key}", DEP = "044" })
}

resource "aws_eks_node_group" "this" {
  for_each        = var.node_groups
  cluster_name    = aws_eks_cluster.this.name
  node_group_name = each.key
  node_role_arn   = aws_iam_role.node.arn
  subnet_ids      = var.subnet_ids
  ami_type        = "AL2023_x86_64_STANDARD"
  capacity_type   = each.value.capacity
  instance_types  = each.value.instance_types
  scaling_config {
    min_size     = each.value.min
    desired_size = each.value.desired
    max_size     = each.value.max
  }
  update_config {
    max_unavailable_percentage = 25
  }
  launch_template {
    id      = aws_launch_template.node[each.key].id
    version = aws_launch_template.node[each.key].latest_version
  }
  labels = { "florin.dev/group" = each.key }
  dynamic "taint" {
    for_each = each.value.taint == "" ? [] : [each.value.taint]
    content {
      key    = "florin.dev/group"
      value  = taint.value
      effect = "NO_SCHEDULE"
    }
  }
  tags = merge(var.tags, {
    Name                                    = "${var.name}-${each.key}"
    "k8s.io/cluster-autoscaler/enabled"     = "true"
    "k8s.io/cluster-autoscaler/${var.name}" = "owned"
    DEP                                     = "041 042 043 044 046"
  })
  lifecycle {
    # The autoscaler's business.
    ignore_changes = [scaling_config[0].desired_size]
  }
  depends_on = [aws_iam_role_policy_attachment.node, aws_eks_addon.network]
}

locals {
  # Nodes become ready only with a network, so these come before them.
  addon_accounts = { aws-ebs-csi-driver = "ebs-csi-controller-sa", aws-efs-csi-driver = "efs-csi-controller-sa" }
  network_addons = { for name, version in var.addons : name => version if contains(["vpc-cni", "kube-proxy"], name) }
}

resource "aws_eks_addon" "network" {
  for_each                    = local.network_addons
  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = each.value
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "PRESERVE"
  configuration_values = each.key == "vpc-cni" ? jsonencode({
    enableNetworkPolicy = "true"
    # DEP-128: what is turned away is seen.
    nodeAgent = { enablePolicyEventLogs = "true", enableCloudWatchLogs = "true" }
    env       = { ENABLE_PREFIX_DELEGATION = "true", WARM_PREFIX_TARGET = "1" }
  }) : null
  tags = merge(var.tags, { Name = "${var.name}-${each.key}", DEP = "023 045" })
}

resource "aws_eks_addon" "this" {
  for_each      = { for name, version in var.addons : name => version if !contains(keys(local.network_addons), name) }
  cluster_name  = aws_eks_cluster.this.name
  addon_name    = each.key
  addon_version = each.value
  # The drivers of disks and files take their own roles (D1), not that of the node.
  service_account_role_arn    = try(aws_iam_role.service_account[local.addon_accounts[each.key]].arn, null)
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "PRESERVE"
  tags                        = merge(var.tags, { Name = "${var.name}-${each.key}", DEP = "023 045" })
  depends_on                  = [aws_eks_node_group.this]
}

# --- one-off jobs get no node

resource "aws_iam_role" "fargate" {
  name = "${var.name}-eks-fargate"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "eks-fargate-pods.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { ArnLike = { "aws:SourceArn" = "arn:aws:eks:${var.region}:${var.account_id}:fargateprofile/${var.name}/*" } }
    }]
  })
  tags                 = merge(var.tags, { Name = "${var.name}-eks-fargate", DEP = "050" })
  permissions_boundary = "arn:aws:iam::${var.account_id}:policy/${replace(var.name, "/-[a-z]+$/", "")}-boundary"
}

# DEP-050
resource "aws_iam_role_policy_attachment" "fargate" {
  role       = aws_iam_role.fargate.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonEKSFargatePodExecutionRolePolicy"
}

resource "aws_eks_fargate_profile" "batch" {
  cluster_name           = aws_eks_cluster.this.name
  fargate_profile_name   = "batch"
  pod_execution_role_arn = aws_iam_role.fargate.arn
  subnet_ids             = var.fargate_subnet_ids
  selector {
    namespace = "florin-batch"
  }
  tags = merge(var.tags, { Name = "${var.name}-batch", DEP = "050" })
}
