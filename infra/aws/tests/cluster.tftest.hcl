# The cluster alone.
mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = {
      arn = "arn:aws:iam::123456789012:role/t"
    }
  }

  mock_resource "aws_kms_key" {
    defaults = {
      arn = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"
    }
  }

  mock_resource "aws_launch_template" {
    defaults = {
      id             = "lt-00000000000000000"
      latest_version = 1
    }
  }

  mock_data "aws_partition" {
    defaults = {
      partition = "aws"
    }
  }

  mock_data "aws_caller_identity" {
    defaults = {
      account_id = "123456789012"
    }
  }
}

variables {
  name                     = "t-1"
  region                   = "eu-west-1"
  kubernetes_version       = "1.35"
  control_plane_subnet_ids = ["subnet-1", "subnet-2"]
  node_subnet_ids          = ["subnet-3"]
  node_tags                = { stack = "t-1", owner = "me" }
  nodes = {
    instance_types = ["t3.medium", "t3a.medium"]
    capacity_type  = "SPOT"
    min            = 1
    desired        = 2
    max            = 3
    disk_gib       = 20
  }
}

run "by_default_nobody_outside_reaches_the_api" {
  module {
    source = "./modules/cluster"
  }

  assert {
    condition     = !aws_eks_cluster.this.vpc_config[0].endpoint_public_access && aws_eks_cluster.this.vpc_config[0].endpoint_private_access
    error_message = "without api_cidrs there is a private endpoint only"
  }

  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].provider[0].key_arn == aws_kms_key.this.arn && contains(aws_eks_cluster.this.encryption_config[0].resources, "secrets")
    error_message = "secrets are encrypted by our key"
  }

  assert {
    condition     = aws_kms_key.this.enable_key_rotation
    error_message = "the key is renewed each year"
  }

  assert {
    condition     = aws_eks_cluster.this.enabled_cluster_log_types == toset(["api", "audit", "authenticator", "controllerManager", "scheduler"])
    error_message = "all five logs"
  }

  assert {
    condition     = aws_cloudwatch_log_group.control_plane.name == "/aws/eks/${aws_eks_cluster.this.name}/cluster" && aws_cloudwatch_log_group.control_plane.kms_key_id == aws_kms_key.this.arn
    error_message = "into the group that is ours, encrypted, and goes with the rest"
  }

  # moto keeps neither of the next two: they are looked at here only.
  assert {
    condition     = aws_eks_cluster.this.access_config[0].authentication_mode == "API"
    error_message = "who comes in is said by access entries alone"
  }

  assert {
    condition     = aws_eks_cluster.this.upgrade_policy[0].support_type == "STANDARD"
    error_message = "extended support costs six times as much"
  }
}

run "the_key_serves_cloudwatch_for_this_one_log_group" {
  module {
    source = "./modules/cluster"
  }

  assert {
    condition = [
      for statement in jsondecode(aws_kms_key.this.policy).Statement : statement.Condition.ArnEquals["kms:EncryptionContext:aws:logs:arn"]
      if can(statement.Principal.Service)
    ] == ["arn:aws:logs:eu-west-1:123456789012:log-group:/aws/eks/t-1/cluster"]
    error_message = "no other log group may use the key"
  }
}

run "who_is_named_reaches_the_api" {
  variables {
    api_cidrs = ["203.0.113.7/32"]
  }

  module {
    source = "./modules/cluster"
  }

  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_public_access && aws_eks_cluster.this.vpc_config[0].public_access_cidrs == toset(["203.0.113.7/32"])
    error_message = "those addresses and no others"
  }
}

run "a_node_gives_nothing_away_and_borrows_no_time" {
  module {
    source = "./modules/cluster"
  }

  assert {
    condition     = aws_launch_template.node.metadata_options[0].http_tokens == "required" && aws_launch_template.node.metadata_options[0].http_put_response_hop_limit == 1
    error_message = "a pod must not get the node's role from the metadata service"
  }

  assert {
    condition     = aws_launch_template.node.block_device_mappings[0].ebs[0].encrypted == "true" && aws_launch_template.node.block_device_mappings[0].ebs[0].volume_size == 20
    error_message = "an encrypted disk of the size that was asked for"
  }

  assert {
    condition     = aws_launch_template.node.credit_specification[0].cpu_credits == "standard"
    error_message = "unlimited credits are billed"
  }

  assert {
    condition = {
      for each in aws_launch_template.node.tag_specifications : each.resource_type => each.tags["stack"]
    } == { instance = "t-1", network-interface = "t-1", volume = "t-1" }
    error_message = "machines, disks and interfaces carry the tags too"
  }

  assert {
    condition     = aws_eks_node_group.this.capacity_type == "SPOT" && aws_eks_node_group.this.scaling_config[0].desired_size == 2 && aws_eks_node_group.this.subnet_ids == toset(["subnet-3"])
    error_message = "two spot machines in the subnets of nodes"
  }

  assert {
    condition     = aws_eks_node_group.this.ami_type == "AL2023_x86_64_STANDARD" && aws_eks_node_group.this.update_config[0].max_unavailable == 1
    error_message = "amd64, as our images are, and one at a time"
  }

  assert {
    condition     = toset([for each in aws_iam_role_policy_attachment.node : each.policy_arn]) == toset([for name in ["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly"] : "arn:aws:iam::aws:policy/${name}"])
    error_message = "a node pulls images, and pushes none"
  }
}

run "machines_of_other_families_have_no_credits" {
  variables {
    nodes = {
      instance_types = ["m6i.large"]
      capacity_type  = "ON_DEMAND"
      min            = 3
      desired        = 3
      max            = 6
      disk_gib       = 40
    }
  }

  module {
    source = "./modules/cluster"
  }

  assert {
    condition     = length(aws_launch_template.node.credit_specification) == 0
    error_message = "EC2 refuses credits for an m6i"
  }
}

run "add_ons_are_ours_and_networkpolicies_hold" {
  variables {
    addons = ["vpc-cni", "coredns"]
  }

  module {
    source = "./modules/cluster"
  }

  assert {
    condition     = keys(aws_eks_addon.this) == ["coredns", "vpc-cni"]
    error_message = "those that were named"
  }

  assert {
    condition     = jsondecode(aws_eks_addon.this["vpc-cni"].configuration_values).enableNetworkPolicy == "true"
    error_message = "without this line NetworkPolicies are accepted and ignored"
  }
}
