# What one GitHub repository may do here: push images from one branch, and deploy to one namespace from each environment.
# GitHub signs who a workflow is, and AWS lends it a role for an hour: no key is kept anywhere.
locals {
  issuer       = "token.actions.githubusercontent.com"
  provider_arn = var.provider_arn == null ? aws_iam_openid_connect_provider.github[0].arn : var.provider_arn

  # Who is meant, to the letter: StringEquals knows no wildcards.
  trust = {
    for subject in concat(["ref:refs/heads/${var.branch}"], [for name in keys(var.environments) : "environment:${name}"]) :
    subject => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Action    = "sts:AssumeRoleWithWebIdentity"
        Principal = { Federated = local.provider_arn }
        Condition = {
          StringEquals = {
            "${local.issuer}:aud" = "sts.amazonaws.com"
            "${local.issuer}:sub" = "repo:${var.repository}:${subject}"
          }
        }
      }]
    })
  }

  log_in = { Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" } # ECR has no narrower one
  pull   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
  push   = ["ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"]
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.provider_arn == null ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_iam_role" "push" {
  name                 = "${var.name}-push"
  description          = "Pushes images from ${var.branch} of ${var.repository}"
  max_session_duration = 3600
  assume_role_policy   = local.trust["ref:refs/heads/${var.branch}"]
}

resource "aws_iam_role_policy" "push" {
  name = "push"
  role = aws_iam_role.push.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      local.log_in,
      { Effect = "Allow", Action = concat(local.pull, local.push), Resource = var.repository_arns },
    ]
  })
}

resource "aws_iam_role" "deploy" {
  for_each = var.environments

  name                 = "${var.name}-deploy-${each.key}"
  description          = "Deploys to ${each.value} from environment ${each.key} of ${var.repository}"
  max_session_duration = 3600
  assume_role_policy   = local.trust["environment:${each.key}"]
}

# To find the cluster and to read the images; what it may do inside is Kubernetes' business.
resource "aws_iam_role_policy" "deploy" {
  for_each = var.environments

  name = "deploy"
  role = aws_iam_role.deploy[each.key].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      local.log_in,
      { Effect = "Allow", Action = local.pull, Resource = var.repository_arns },
      { Effect = "Allow", Action = "eks:DescribeCluster", Resource = var.cluster_arn },
    ]
  })
}

# In the cluster the role is one group, and infra/aws/deployers.yaml lets that group into one namespace. EKS's own policies
# fit neither way: even `Edit` cannot write the events of a rollout, and may read every secret.
resource "aws_eks_access_entry" "deploy" {
  for_each = var.access_entries ? var.environments : {}

  cluster_name      = var.cluster_name
  principal_arn     = aws_iam_role.deploy[each.key].arn
  kubernetes_groups = ["${each.value}-deployers"]
}
