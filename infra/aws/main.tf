# The root only wires: each module gets what it needs, and what one makes is handed to the next.
locals {
  tags = {
    project = "house-prices"
    stack   = var.name
    owner   = var.owner
    expires = var.expires
  }
  # A machine's tags are part of its template: with the day among them, another day would replace all machines.
  node_tags = { for key, value in local.tags : key => value if key != "expires" }
}

module "network" {
  source = "./modules/network"

  name   = var.name
  region = var.region
  cidr   = var.vpc_cidr
  zones  = [for letter in var.zones : "${var.region}${letter}"]
  nat    = var.nat
}

module "registry" {
  source = "./modules/registry"

  name         = var.name
  force_delete = var.delete_images
}

module "cluster" {
  source = "./modules/cluster"

  name                     = var.name
  region                   = var.region
  kubernetes_version       = var.kubernetes_version
  control_plane_subnet_ids = module.network.private_subnet_ids
  node_subnet_ids          = module.network.node_subnet_ids
  api_cidrs                = var.api_open_to_the_world ? ["0.0.0.0/0"] : var.api_cidrs
  nodes                    = var.nodes
  node_tags                = local.node_tags
  log_retention_days       = var.log_retention_days
  addons                   = var.addons
}

# Without a repository there is no pipeline to let in.
module "github_oidc" {
  source = "./modules/github_oidc"
  count  = var.github_repository == null ? 0 : 1

  name            = var.name
  repository      = var.github_repository
  branch          = var.github_branch
  environments    = var.github_environments
  provider_arn    = var.github_provider_arn
  repository_arns = module.registry.arns
  cluster_name    = module.cluster.name
  cluster_arn     = module.cluster.arn
  access_entries  = var.access_entries
  state_bucket    = var.github_plan_bucket
}
