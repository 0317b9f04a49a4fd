variable "name" {
  description = "Beginning of every name in the network."
  type        = string

  validation {
    condition     = length(var.name) > 0
    error_message = "The network needs a name."
  }
}

variable "region" {
  description = "AWS region; it is part of the name of S3's endpoint."
  type        = string

  validation {
    condition     = length(var.region) > 0
    error_message = "Name the region."
  }
}

variable "cidr" {
  description = "Addresses of the network; each subnet gets a sixteenth."
  type        = string

  validation {
    condition     = can(cidrhost(var.cidr, 0))
    error_message = "Give a range, such as 10.20.0.0/16."
  }
}

variable "zones" {
  description = "Names of the availability zones, two at least; there is room for eight."
  type        = list(string)

  validation {
    condition     = 2 <= length(var.zones) && length(var.zones) <= 8 && length(distinct(var.zones)) == length(var.zones)
    error_message = "Name two to eight different zones."
  }
}

variable "nat" {
  description = "NAT gateways: none, single or per_zone."
  type        = string

  validation {
    condition     = contains(["none", "single", "per_zone"], var.nat)
    error_message = "Choose none, single or per_zone."
  }
}
