# The cheapest EKS that the whole course runs on: two small amd64 machines on spare capacity, and no NAT gateway.
name   = "house-learner"
region = "eu-west-1"
zones  = ["a", "b"]
nat    = "none"

# Two types, because spare capacity of one runs out: AWS takes what it has most of.
nodes = {
  instance_types = ["t3.medium", "t3a.medium"]
  capacity_type  = "SPOT"
  min            = 1
  desired        = 2
  max            = 3
  disk_gib       = 20
}

log_retention_days = 7
delete_images      = true
