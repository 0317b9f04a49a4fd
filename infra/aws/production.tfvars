# What stays when a zone fails: three zones, each with its own way out, and machines that nobody takes away.
name   = "house-production"
region = "eu-west-1"
zones  = ["a", "b", "c"]
nat    = "per_zone"

nodes = {
  instance_types = ["m6i.large"]
  capacity_type  = "ON_DEMAND"
  min            = 3
  desired        = 3
  max            = 6
  disk_gib       = 40
}

log_retention_days = 365
delete_images      = false
