variable "name" {
  description = "Name of the cluster, and beginning of every name around it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,}$", var.name))
    error_message = "Use small letters, digits and dashes, three at least."
  }
}

variable "region" {
  description = "AWS region; it is part of the name of the service that writes logs."
  type        = string

  validation {
    condition     = length(var.region) > 0
    error_message = "Name the region."
  }
}

variable "kubernetes_version" {
  description = "Kubernetes of control plane and nodes, such as 1.35."
  type        = string

  validation {
    condition     = can(regex("^1\\.[0-9]{2}$", var.kubernetes_version))
    error_message = "Name a minor version, such as 1.35."
  }
}

variable "control_plane_subnet_ids" {
  description = "Subnets, of two zones at least, in which the control plane has its addresses."
  type        = list(string)

  validation {
    condition     = length(var.control_plane_subnet_ids) >= 2
    error_message = "EKS wants subnets of two zones at least."
  }
}

variable "node_subnet_ids" {
  description = "Subnets of the nodes; each needs a way out, to pull images."
  type        = list(string)

  validation {
    condition     = length(var.node_subnet_ids) > 0
    error_message = "Nodes need a subnet."
  }
}

variable "api_cidrs" {
  description = "Addresses that may speak to the API from outside; with none there is no public endpoint."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.api_cidrs : can(cidrhost(cidr, 0))])
    error_message = "Give IPv4 ranges, such as 203.0.113.7/32."
  }
}

variable "nodes" {
  description = "The machines: amd64 types, SPOT or ON_DEMAND, how many, and the disk in GiB."
  type = object({
    instance_types = list(string)
    capacity_type  = string
    min            = number
    desired        = number
    max            = number
    disk_gib       = number
  })

  validation {
    condition     = var.nodes.min <= var.nodes.desired && var.nodes.desired <= var.nodes.max
    error_message = "Choose min <= desired <= max."
  }
}

variable "node_tags" {
  description = "Tags for machines, disks and network interfaces, which get no default tags."
  type        = map(string)
  default     = {}

  validation {
    condition     = !contains(keys(var.node_tags), "Name")
    error_message = "The tag Name is given here."
  }
}

variable "log_retention_days" {
  description = "How long CloudWatch keeps the control plane's logs."
  type        = number
  default     = 365

  validation {
    condition     = var.log_retention_days > 0
    error_message = "0 would mean for ever."
  }
}

variable "addons" {
  description = "EKS add-ons; none where EKS is only a stand-in."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for addon in var.addons : can(regex("^[a-z][a-z0-9-]+$", addon))])
    error_message = "Name add-ons as EKS does, such as vpc-cni."
  }
}
