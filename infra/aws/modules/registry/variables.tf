variable "name" {
  description = "Path that the repositories share."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]+$", var.name))
    error_message = "Use small letters, digits and dashes."
  }
}

variable "images" {
  description = "Names of the images that are pushed."
  type        = set(string)
  default     = ["house-price-service", "rollcheck"]

  validation {
    condition     = length(var.images) > 0 && alltrue([for image in var.images : can(regex("^[a-z0-9][a-z0-9-]+$", image))])
    error_message = "Name one image at least, in small letters, digits and dashes."
  }
}

variable "keep" {
  description = "How many of the newest images a repository keeps: what serves in prod must be among them, however many pushes it is behind."
  type        = number
  default     = 100 # of 80 MB each: less than a dollar a month

  validation {
    condition     = 50 <= var.keep && var.keep <= 1000
    error_message = "Keep 50 to 1000: a machine that comes new has to pull what serves, or what it goes back to."
  }
}

variable "force_delete" {
  description = "Whether deleting a repository deletes the images in it."
  type        = bool
  default     = false
}
