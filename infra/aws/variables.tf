# What can be chosen. `make cloud-up` answers owner, expires and who may reach the cluster; a profile answers the rest.
variable "name" {
  description = "Name of the whole stack; it begins the name of everything in it, and is the tag `stack`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,24}$", var.name))
    error_message = "Use 3 to 25 small letters, digits and dashes, the first a letter: it becomes part of many names."
  }
}

variable "region" {
  description = "AWS region, such as eu-west-1."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "Name a region as AWS does: eu-west-1, us-east-1, ap-southeast-1."
  }
}

variable "owner" {
  description = "Who answers for it, and for the bill; a tag on everything."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9._+@-]{1,64}$", var.owner))
    error_message = "Use up to 64 letters, digits and . _ + @ - : it becomes a tag."
  }
}

variable "expires" {
  description = "Day, as YYYY-MM-DD, after which everything here may be deleted; a tag on everything. Nothing is deleted by itself."
  type        = string

  validation {
    # formatdate alone takes 2026-02-31 for a day of March.
    condition = (
      can(regex("^20[0-9]{2}-[0-9]{2}-[0-9]{2}$", var.expires))
      && try(formatdate("YYYY-MM-DD", "${var.expires}T00:00:00Z") == var.expires, false)
    )
    error_message = "Name a day of the calendar as YYYY-MM-DD, such as 2027-01-31."
  }
}

variable "vpc_cidr" {
  description = "Addresses of the network; each zone gets a sixteenth for the public subnet and another for the private one."
  type        = string
  default     = "10.20.0.0/16"

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0)) && can(regex("/(1[6-9]|20)$", var.vpc_cidr))
    error_message = "Give a range from /16 to /20, such as 10.20.0.0/16."
  }
}

variable "zones" {
  description = "Letters of the availability zones that there are subnets in; EKS wants two at least."
  type        = list(string)
  default     = ["a", "b"]

  validation {
    condition     = contains([2, 3], length(distinct(var.zones))) && alltrue([for letter in var.zones : can(regex("^[a-z]$", letter))])
    error_message = "Choose two or three letters, such as a, b and c; AWS says so if EKS does not offer one of these zones."
  }
}

variable "nat" {
  description = "NAT gateways: none (nodes sit in public subnets), single, or per_zone (a zone that fails takes no other's way out)."
  type        = string
  default     = "none"

  validation {
    condition     = contains(["none", "single", "per_zone"], var.nat)
    error_message = "Choose none, single or per_zone."
  }
}

variable "kubernetes_version" {
  description = "Kubernetes of control plane and nodes. When AWS's standard support for it ends the cluster is upgraded, not billed sixfold."
  type        = string
  default     = "1.35" # standard support until March 2027

  validation {
    condition     = can(regex("^1\\.[0-9]{2}$", var.kubernetes_version))
    error_message = "Name a minor version, such as 1.35."
  }
}

variable "api_cidrs" {
  description = "Addresses that may speak to the cluster's API from outside; with none it is reached from inside the network alone."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.api_cidrs : can(cidrhost(cidr, 0)) && !can(regex(":", cidr))])
    error_message = "Give IPv4 ranges, such as 203.0.113.7/32 for one address."
  }

  validation {
    condition     = alltrue([for cidr in var.api_cidrs : try(tonumber(split("/", cidr)[1]) >= 16, false)])
    error_message = "A range wider than /16 is nearly everybody; if you mean everybody, say api_open_to_the_world = true."
  }
}

variable "api_open_to_the_world" {
  description = "Let every address try the cluster's API, as a runner of GitHub's needs; who may do something is IAM's business still."
  type        = bool
  default     = false
}

variable "nodes" {
  description = "The machines: types (the images we build are amd64), SPOT or ON_DEMAND, how many, and the disk in GiB."
  type = object({
    instance_types = list(string)
    capacity_type  = string
    min            = number
    desired        = number
    max            = number
    disk_gib       = number
  })

  validation {
    condition     = contains(["SPOT", "ON_DEMAND"], var.nodes.capacity_type)
    error_message = "capacity_type is SPOT or ON_DEMAND."
  }

  validation {
    condition     = 1 <= var.nodes.min && var.nodes.min <= var.nodes.desired && var.nodes.desired <= var.nodes.max && var.nodes.max <= 10
    error_message = "Choose 1 <= min <= desired <= max <= 10."
  }

  validation {
    condition     = 20 <= var.nodes.disk_gib && var.nodes.disk_gib <= 200
    error_message = "disk_gib is from 20 (less is too small for the images) to 200."
  }

  validation {
    # Of the second part of a type's name, g after the digit is Graviton: m7g, t4g.
    condition     = length(var.nodes.instance_types) > 0 && alltrue([for type in var.nodes.instance_types : can(regex("^[a-z]+[0-9](|[a-fh-z][a-z]*)[.][0-9a-z]+$", type))])
    error_message = "Name amd64 types, such as t3.medium or m6i.large: the images we build do not run on Graviton (t4g, m7g)."
  }
}

variable "log_retention_days" {
  description = "How long CloudWatch keeps the control plane's logs; only numbers that CloudWatch knows."
  type        = number
  default     = 365

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_retention_days)
    error_message = "CloudWatch knows 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545 and 731 days."
  }
}

variable "addons" {
  description = "EKS add-ons. AWS's stand-in in our tests has none, so there it is empty."
  type        = set(string)
  default     = ["vpc-cni", "kube-proxy", "coredns", "metrics-server"]

  validation {
    condition     = alltrue([for addon in var.addons : can(regex("^[a-z][a-z0-9-]+$", addon))])
    error_message = "Name add-ons as EKS does, such as vpc-cni."
  }
}

variable "access_entries" {
  description = "Let the pipeline's roles into the cluster. AWS's stand-in in our tests has no access entries, so there it is false."
  type        = bool
  default     = true
}

variable "delete_images" {
  description = "Whether deleting the stack may delete images with it; without this a registry that holds images stays, and says so."
  type        = bool
  default     = false
}

variable "github_repository" {
  description = "OWNER/NAME whose workflows may push and deploy, written as GitHub writes it in the subject of its tokens; null for none."
  type        = string
  default     = null

  validation {
    condition     = var.github_repository == null || can(regex("^[A-Za-z0-9._@-]+/[A-Za-z0-9._@-]+$", var.github_repository))
    error_message = "Write OWNER/NAME, without a host and without wildcards; repositories made since 15 July 2026 have numbers in it too."
  }
}

variable "github_branch" {
  description = "The one branch whose workflows may push images and deploy."
  type        = string
  default     = "main"

  validation {
    condition     = can(regex("^[A-Za-z0-9._/-]+$", var.github_branch))
    error_message = "Name one branch, without wildcards."
  }
}

variable "github_environments" {
  description = "GitHub environments that may deploy, each with the one namespace that it may change."
  type        = map(string)
  default = {
    dev  = "house-price-dev"
    prod = "house-price-prod"
  }

  validation {
    condition     = alltrue([for name, space in var.github_environments : can(regex("^[A-Za-z0-9_-]{1,20}$", name)) && can(regex("^[a-z0-9-]{1,63}$", space))])
    error_message = "Name environments (up to 20 letters, digits, _ and -) and a namespace for each."
  }
}

variable "github_provider_arn" {
  description = "GitHub's identity provider if this account has it already (there can be one only); null to make it."
  type        = string
  default     = null

  validation {
    condition     = var.github_provider_arn == null || can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:oidc-provider/token[.]actions[.]githubusercontent[.]com$", var.github_provider_arn))
    error_message = "Give the provider's ARN: arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
  }
}

variable "github_plan_bucket" {
  description = "S3 bucket of backend.tf; with it pull requests get a role that plans, null for none."
  type        = string
  default     = null

  validation {
    condition     = var.github_plan_bucket == null || can(regex("^[a-z0-9][a-z0-9.-]+$", var.github_plan_bucket))
    error_message = "Name one bucket, without wildcards."
  }
}
