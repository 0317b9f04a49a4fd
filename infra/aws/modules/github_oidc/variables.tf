variable "name" {
  description = "Beginning of the roles' names."
  type        = string

  validation {
    condition     = length(var.name) > 0
    error_message = "Roles need a name."
  }
}

variable "repository" {
  description = "OWNER/NAME of the one repository, as GitHub writes it in the subject of its tokens."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9._@-]+/[A-Za-z0-9._@-]+$", var.repository))
    error_message = "Write OWNER/NAME of one repository; wildcards would let strangers in."
  }
}

variable "branch" {
  description = "The one branch that pushes images and deploys."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9._/-]+$", var.branch))
    error_message = "Name one branch; wildcards would let every branch in."
  }
}

variable "environments" {
  description = "GitHub environments that deploy, each with its namespace."
  type        = map(string)

  validation {
    condition     = alltrue([for name in keys(var.environments) : can(regex("^[A-Za-z0-9_-]+$", name))])
    error_message = "Name environments in letters, digits, _ and -, without wildcards."
  }
}

variable "provider_arn" {
  description = "GitHub's identity provider if the account has one; null to make it."
  type        = string
  default     = null

  validation {
    condition     = var.provider_arn == null || can(regex(":oidc-provider/token[.]actions[.]githubusercontent[.]com$", var.provider_arn))
    error_message = "That is not GitHub's identity provider."
  }
}

variable "repository_arns" {
  description = "The ECR repositories that may be pushed to and pulled from."
  type        = list(string)

  validation {
    condition     = length(var.repository_arns) > 0 && alltrue([for arn in var.repository_arns : !can(regex("[*]", arn))])
    error_message = "Name each repository; wildcards would open others."
  }
}

variable "cluster_name" {
  description = "The cluster that is deployed to."
  type        = string

  validation {
    condition     = length(var.cluster_name) > 0
    error_message = "Name the cluster."
  }
}

variable "cluster_arn" {
  description = "The same, for policies."
  type        = string

  validation {
    condition     = !can(regex("[*]", var.cluster_arn))
    error_message = "Name one cluster; a wildcard would open others."
  }
}

variable "access_entries" {
  description = "Let the roles into the cluster; false where EKS is only a stand-in."
  type        = bool
  default     = true
}

variable "state_bucket" {
  description = "S3 bucket that holds the state; with it pull requests get a role that plans, null for none."
  type        = string
  default     = null

  validation {
    condition     = var.state_bucket == null || can(regex("^[a-z0-9][a-z0-9.-]+$", var.state_bucket))
    error_message = "Name one bucket, without wildcards."
  }
}
