# Laid over modules/cluster by `make test-infra` only: moto, AWS's stand-in there, does not keep these arguments, so that each
# plan would want to set them again. That they are set is what tests/cluster.tftest.hcl looks at.
resource "aws_eks_cluster" "this" {
  lifecycle {
    ignore_changes = [access_config, upgrade_policy]
  }
}

resource "aws_eks_node_group" "this" {
  lifecycle {
    ignore_changes = [remote_access, update_config, tags, tags_all]
  }
}

resource "aws_launch_template" "node" {
  lifecycle {
    ignore_changes = [tag_specifications, tags, tags_all]
  }
}
