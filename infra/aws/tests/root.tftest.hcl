# The root with both profiles, and what it refuses. The profiles are read from the files themselves by make test-infra, which
# applies them; here stand the promises that must hold whatever a profile says.
mock_provider "aws" {
  override_during = plan

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

  mock_resource "aws_eks_cluster" {
    defaults = {
      arn = "arn:aws:eks:eu-west-1:123456789012:cluster/t-1"
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
  name    = "t-1"
  region  = "eu-west-1"
  owner   = "me"
  expires = "2027-01-31"
  nodes = {
    instance_types = ["t3.medium"]
    capacity_type  = "SPOT"
    min            = 1
    desired        = 2
    max            = 3
    disk_gib       = 20
  }
}

run "by_default_there_is_no_nat_gateway_no_public_api_and_no_pipeline" {
  command = plan

  assert {
    condition     = length(module.network.node_subnet_ids) == 2 && var.nat == "none"
    error_message = "two zones, no gateway"
  }

  assert {
    condition     = length(var.api_cidrs) == 0 && !var.api_open_to_the_world && length(module.cluster.api_cidrs) == 0
    error_message = "the world reaches the API only if somebody says so"
  }

  assert {
    condition     = output.push_role_arn == null && output.deploy_role_arns == {}
    error_message = "without a repository nobody is let in"
  }

  assert {
    condition     = local.tags == { project = "house-prices", stack = "t-1", owner = "me", expires = "2027-01-31" }
    error_message = "cloud-check looks for stack; owner and expires tell a stranger the rest"
  }

  assert {
    condition     = local.node_tags == { project = "house-prices", stack = "t-1", owner = "me" }
    error_message = "another day of expiry must not replace all machines"
  }
}

run "the_world_is_let_to_the_api_by_one_plain_word" {
  command = plan

  variables {
    api_open_to_the_world = true
  }

  assert {
    condition     = module.cluster.api_cidrs == tolist(["0.0.0.0/0"])
    error_message = "GitHub's own runners need it"
  }
}

run "with_a_repository_there_is_a_role_to_push_and_one_for_each_environment" {
  command = plan

  variables {
    github_repository = "octocat/house-prices"
  }

  assert {
    condition     = output.push_role_arn != null && keys(output.deploy_role_arns) == ["dev", "prod"]
    error_message = "what the workflows are told"
  }

  assert {
    condition     = output.plan_role_arn == null
    error_message = "who only opens a pull request gets nothing unless somebody says so"
  }
}

run "with_the_states_bucket_pull_requests_get_a_role_that_looks" {
  command = plan

  variables {
    github_repository  = "octocat/house-prices"
    github_plan_bucket = "t-state"
  }

  assert {
    condition     = output.plan_role_arn != null
    error_message = "what infra.yml is told"
  }
}

run "a_bucket_by_wildcard_is_refused" {
  command = plan

  variables {
    github_plan_bucket = "*"
  }

  expect_failures = [var.github_plan_bucket]
}

run "the_world_does_not_slip_in_as_a_range" {
  command = plan

  variables {
    api_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [var.api_cidrs]
}

run "a_range_that_is_none_is_refused" {
  command = plan

  variables {
    api_cidrs = ["203.0.113.7"]
  }

  expect_failures = [var.api_cidrs]
}

run "a_day_that_is_not_in_the_calendar_is_refused" {
  command = plan

  variables {
    expires = "2026-02-31"
  }

  expect_failures = [var.expires]
}

run "a_day_written_another_way_is_refused" {
  command = plan

  variables {
    expires = "31.01.2027"
  }

  expect_failures = [var.expires]
}

run "nobody_owns_nothing" {
  command = plan

  variables {
    owner = ""
  }

  expect_failures = [var.owner]
}

run "a_name_that_s3_and_iam_would_refuse_is_refused_first" {
  command = plan

  variables {
    name = "My House"
  }

  expect_failures = [var.name]
}

run "a_network_too_small_for_its_pods_is_refused" {
  command = plan

  variables {
    vpc_cidr = "10.0.0.0/24"
  }

  expect_failures = [var.vpc_cidr]
}

run "one_zone_is_refused" {
  command = plan

  variables {
    zones = ["a"]
  }

  expect_failures = [var.zones]
}

run "another_kind_of_nat_is_refused" {
  command = plan

  variables {
    nat = "instance"
  }

  expect_failures = [var.nat]
}

run "machines_that_our_images_do_not_run_on_are_refused" {
  command = plan

  variables {
    nodes = {
      instance_types = ["t3.medium", "t4g.medium"]
      capacity_type  = "SPOT"
      min            = 1
      desired        = 2
      max            = 3
      disk_gib       = 20
    }
  }

  expect_failures = [var.nodes]
}

run "more_machines_than_the_most_are_refused" {
  command = plan

  variables {
    nodes = {
      instance_types = ["t3.medium"]
      capacity_type  = "SPOT"
      min            = 1
      desired        = 4
      max            = 3
      disk_gib       = 20
    }
  }

  expect_failures = [var.nodes]
}

run "logs_for_a_number_of_days_that_cloudwatch_does_not_know_are_refused" {
  command = plan

  variables {
    log_retention_days = 10
  }

  expect_failures = [var.log_retention_days]
}

run "every_repository_of_an_owner_is_refused" {
  command = plan

  variables {
    github_repository = "octocat/*"
  }

  expect_failures = [var.github_repository]
}

run "every_branch_is_refused" {
  command = plan

  variables {
    github_branch = "release-*"
  }

  expect_failures = [var.github_branch]
}

run "an_environment_by_wildcard_is_refused" {
  command = plan

  variables {
    github_environments = { "*" = "house-price-prod" }
  }

  expect_failures = [var.github_environments]
}

run "another_identity_provider_than_githubs_is_refused" {
  command = plan

  variables {
    github_provider_arn = "arn:aws:iam::123456789012:oidc-provider/evil.example.com"
  }

  expect_failures = [var.github_provider_arn]
}
