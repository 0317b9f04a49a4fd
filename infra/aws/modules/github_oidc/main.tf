# What one GitHub repository may do here: push images from one branch, deploy to one namespace from each environment on that
# branch, and look, for plans on pull requests. GitHub signs who a workflow is, and AWS lends it a role for an hour: no key is
# kept anywhere.
locals {
  issuer       = "token.actions.githubusercontent.com"
  provider_arn = var.provider_arn == null ? aws_iam_openid_connect_provider.github[0].arn : var.provider_arn
  branch       = "refs/heads/${var.branch}"
  partition    = split(":", var.cluster_arn)[1]
  account      = split(":", var.cluster_arn)[4]
  in_cluster   = replace(var.cluster_arn, ":cluster/", ":*/") # the cluster, and its nodegroup, addon and access-entry

  # Who is meant, to the letter: StringEquals knows no wildcards, and a claim that is missing equals nothing. The subject of a job
  # in an environment does not name the branch, so that the branch is compared beside it.
  claims = merge(
    { push = { sub = "ref:${local.branch}" } },
    { for name in keys(var.environments) : "deploy-${name}" => { sub = "environment:${name}", ref = local.branch } },
    { plan = { sub = "pull_request" } },
  )
  trust = {
    for role, claims in local.claims : role => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Action    = "sts:AssumeRoleWithWebIdentity"
        Principal = { Federated = local.provider_arn }
        Condition = {
          StringEquals = {
            for claim, value in merge(claims, { aud = "sts.amazonaws.com", sub = "repo:${var.repository}:${claims.sub}" }) :
            "${local.issuer}:${claim}" => value
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
  assume_role_policy   = local.trust["push"]
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
  description          = "Deploys to ${each.value} from environment ${each.key} on ${var.branch} of ${var.repository}"
  max_session_duration = 3600
  assume_role_policy   = local.trust["deploy-${each.key}"]
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

# What a plan compares with: how things are set up, and what the state knows. Whoever may push a branch to the repository can open
# a pull request whose workflow takes this role; hence no image and no line of a log can be read by it. But it reads what EC2
# describes in the whole account: user data of machines, say.
resource "aws_iam_role" "plan" {
  count = var.state_bucket == null ? 0 : 1

  name                 = "${var.name}-plan"
  description          = "Looks, for pull requests within ${var.repository}"
  max_session_duration = 3600
  assume_role_policy   = local.trust["plan"]
}

resource "aws_iam_role_policy" "plan" {
  count = length(aws_iam_role.plan)

  name = "plan"
  role = aws_iam_role.plan[0].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for look in [
      { Action = ["ec2:Describe*", "kms:ListAliases"], Resource = ["*"] }, # they know no narrower one
      { Action = ["eks:Describe*"], Resource = [local.in_cluster, "${local.in_cluster}/*"] },
      { Action = ["ecr:DescribeRepositories", "ecr:GetLifecyclePolicy", "ecr:ListTagsForResource"], Resource = var.repository_arns },
      {
        Action   = ["iam:GetRole", "iam:GetRolePolicy", "iam:ListRolePolicies", "iam:ListAttachedRolePolicies", "iam:GetOpenIDConnectProvider"]
        Resource = ["arn:${local.partition}:iam::${local.account}:role/${var.name}-*", local.provider_arn]
      },
      {
        Action   = ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListResourceTags"]
        Resource = ["arn:${local.partition}:kms:*:${local.account}:key/*"]
      },
      { Action = ["logs:DescribeLogGroups", "logs:ListTagsForResource"], Resource = ["arn:${local.partition}:logs:*:${local.account}:log-group:*"] },
      { Action = ["s3:ListBucket"], Resource = ["arn:${local.partition}:s3:::${var.state_bucket}"] },
      {
        Action   = ["s3:GetObject"] # of the key in backend.tf.example, and of the same in each workspace
        Resource = [for key in ["house-prices/*", "env:/*/house-prices/*"] : "arn:${local.partition}:s3:::${var.state_bucket}/${key}"]
      },
    ] : merge(look, { Effect = "Allow" })]
  })
}
