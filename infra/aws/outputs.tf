# What the commands that come next need to know.
output "region" {
  description = "Region that all of it is in."
  value       = var.region
}

output "cluster_name" {
  description = "What `aws eks update-kubeconfig --name` wants."
  value       = module.cluster.name
}

output "registry" {
  description = "What `make rollout REGISTRY=` wants: the registry's host, and the path that our two repositories share."
  value       = module.registry.address
}

output "push_role_arn" {
  description = "Role of the workflow that pushes images, or null without a GitHub repository."
  value       = one(module.github_oidc[*].push_role_arn)
}

output "deploy_role_arns" {
  description = "Role of each GitHub environment that deploys."
  value       = try(module.github_oidc[0].deploy_role_arns, {})
}

output "plan_role_arn" {
  description = "Role of the workflow that plans on pull requests, or null without a GitHub repository or the state's bucket."
  value       = one(module.github_oidc[*].plan_role_arn)
}

output "answers" {
  description = "What was answered when it was made; a next run answers the same unless it is told otherwise."
  value = {
    owner                 = var.owner
    expires               = var.expires
    api_cidrs             = var.api_cidrs
    api_open_to_the_world = var.api_open_to_the_world
    github_repository     = var.github_repository
  }
}
