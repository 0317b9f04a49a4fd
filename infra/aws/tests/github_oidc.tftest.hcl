# The pipeline's roles alone.
mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = {
      arn = "arn:aws:iam::123456789012:role/t"
    }
  }

  mock_resource "aws_iam_openid_connect_provider" {
    defaults = {
      arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
    }
  }
}

variables {
  name            = "t-1"
  repository      = "octocat/house-prices"
  branch          = "main"
  environments    = { dev = "house-price-dev", prod = "house-price-prod" }
  repository_arns = ["arn:aws:ecr:eu-west-1:123456789012:repository/t-1/a", "arn:aws:ecr:eu-west-1:123456789012:repository/t-1/b"]
  cluster_name    = "t-1"
  cluster_arn     = "arn:aws:eks:eu-west-1:123456789012:cluster/t-1"
}

run "each_role_trusts_exactly_one_subject" {
  module {
    source = "./modules/github_oidc"
  }

  # The whole condition is compared, so that nothing can stand beside it.
  assert {
    condition = [for statement in jsondecode(aws_iam_role.push.assume_role_policy).Statement : statement.Condition] == [{
      StringEquals = {
        "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
        "token.actions.githubusercontent.com:sub" = "repo:octocat/house-prices:ref:refs/heads/main"
      }
    }]
    error_message = "the one branch of the one repository pushes"
  }

  assert {
    condition = {
      for name, role in aws_iam_role.deploy : name => [for statement in jsondecode(role.assume_role_policy).Statement : statement.Condition]
      } == {
      for name in ["dev", "prod"] : name => [{
        StringEquals = {
          "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
          "token.actions.githubusercontent.com:sub" = "repo:octocat/house-prices:environment:${name}"
          "token.actions.githubusercontent.com:ref" = "refs/heads/main"
        }
      }]
    }
    error_message = "each environment has its own role, and no other's, and none from another branch"
  }

  assert {
    condition = alltrue([
      for role in concat([aws_iam_role.push], values(aws_iam_role.deploy)) :
      jsondecode(role.assume_role_policy).Statement[0].Principal == { Federated = aws_iam_openid_connect_provider.github[0].arn }
      && jsondecode(role.assume_role_policy).Statement[0].Action == "sts:AssumeRoleWithWebIdentity"
    ])
    error_message = "GitHub's tokens and nothing else"
  }
}

run "one_pushes_to_these_repositories_the_others_only_pull" {
  module {
    source = "./modules/github_oidc"
  }

  assert {
    condition = alltrue([
      for policy in concat([aws_iam_role_policy.push], values(aws_iam_role_policy.deploy)) : alltrue([
        for statement in jsondecode(policy.policy).Statement :
        statement.Resource == "*" ? statement.Action == "ecr:GetAuthorizationToken" : !can(regex("[*]", jsonencode(statement)))
      ])
    ])
    error_message = "no wildcard but for the login, which has no narrower one"
  }

  assert {
    condition     = toset(flatten([for statement in jsondecode(aws_iam_role_policy.push.policy).Statement : statement.Resource])) == toset(concat(["*"], var.repository_arns))
    error_message = "pushes go to our repositories"
  }

  assert {
    condition = alltrue([
      for policy in aws_iam_role_policy.deploy :
      toset(flatten([for statement in jsondecode(policy.policy).Statement : statement.Action])) == toset([
        "ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer",
        "eks:DescribeCluster",
      ])
    ])
    error_message = "who deploys looks up the cluster and pulls, and pushes nothing"
  }
}

run "in_the_cluster_each_environment_is_one_group_of_one_namespace" {
  module {
    source = "./modules/github_oidc"
  }

  assert {
    condition = { for name, entry in aws_eks_access_entry.deploy : name => entry.kubernetes_groups } == {
      dev  = toset(["house-price-dev-deployers"])
      prod = toset(["house-price-prod-deployers"])
    }
    error_message = "deployers.yaml knows these groups"
  }
}

run "nobody_plans_unless_the_states_bucket_is_named" {
  module {
    source = "./modules/github_oidc"
  }

  assert {
    condition     = length(aws_iam_role.plan) == 0 && output.plan_role_arn == null
    error_message = "no bucket, no role"
  }
}

run "pull_requests_of_the_repository_look_and_neither_change_nor_read_what_is_inside" {
  variables {
    state_bucket = "t-state"
  }

  module {
    source = "./modules/github_oidc"
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role.plan[0].assume_role_policy).Statement : statement.Condition] == [{
      StringEquals = {
        "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
        "token.actions.githubusercontent.com:sub" = "repo:octocat/house-prices:pull_request"
      }
    }]
    error_message = "pull requests, and no others' jobs"
  }

  assert {
    condition = alltrue([
      for action in flatten([for statement in jsondecode(aws_iam_role_policy.plan[0].policy).Statement : statement.Action]) :
      can(regex("^(ec2:Describe|eks:Describe|ecr:(Describe|GetLifecycle|ListTags)|iam:(Get|List)|kms:(Describe|GetKey|List)|logs:(DescribeLogGroups|ListTags)|s3:(ListBucket|GetObject)$)", action))
    ])
    error_message = "it describes, and reads the state; no image, no log"
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.plan[0].policy).Statement :
      statement.Effect == "Allow" && (contains(statement.Resource, "*") ? statement.Action == ["ec2:Describe*", "kms:ListAliases"] : true)
    ])
    error_message = "each in what is ours, but for two that know no narrower one"
  }

  assert {
    condition = {
      for statement in jsondecode(aws_iam_role_policy.plan[0].policy).Statement :
      join(" ", statement.Action) => statement.Resource if strcontains(join(" ", statement.Action), "s3:")
      } == {
      "s3:ListBucket" = ["arn:aws:s3:::t-state"]
      "s3:GetObject"  = ["arn:aws:s3:::t-state/house-prices/*", "arn:aws:s3:::t-state/env:/*/house-prices/*"]
    }
    error_message = "the states of backend.tf.example, and nothing else in that bucket"
  }
}

run "a_bucket_by_wildcard_is_refused" {
  command = plan

  variables {
    state_bucket = "*"
  }

  module {
    source = "./modules/github_oidc"
  }

  expect_failures = [var.state_bucket]
}

run "a_provider_that_is_there_is_used" {
  variables {
    provider_arn   = "arn:aws:iam::210987654321:oidc-provider/token.actions.githubusercontent.com"
    access_entries = false
  }

  module {
    source = "./modules/github_oidc"
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0 && length(aws_eks_access_entry.deploy) == 0
    error_message = "an account can have GitHub's provider once"
  }

  assert {
    condition     = jsondecode(aws_iam_role.push.assume_role_policy).Statement[0].Principal.Federated == var.provider_arn
    error_message = "the one that is there is trusted"
  }
}

run "every_repository_of_an_owner_is_refused" {
  command = plan

  variables {
    repository = "octocat/*"
  }

  module {
    source = "./modules/github_oidc"
  }

  expect_failures = [var.repository]
}

run "every_branch_is_refused" {
  command = plan

  variables {
    branch = "*"
  }

  module {
    source = "./modules/github_oidc"
  }

  expect_failures = [var.branch]
}
