# Which Terraform, which provider, and what is written on everything that is made.
terraform {
  required_version = ">= 1.11.0, < 2.0.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

provider "aws" {
  region = var.region

  # `make cloud-check` asks AWS for what carries `stack`; the rest tells a stranger whose it is, and until when.
  default_tags {
    tags = local.tags
  }
}
