output "name" {
  description = "Name of the cluster; known once its nodes and add-ons are there."
  value       = aws_eks_cluster.this.name
  depends_on  = [aws_eks_node_group.this, aws_eks_addon.this]
}

output "arn" {
  description = "The cluster, for policies."
  value       = aws_eks_cluster.this.arn
}

output "api_cidrs" {
  description = "Addresses that reach the API from outside."
  value       = aws_eks_cluster.this.vpc_config[0].endpoint_public_access ? sort(aws_eks_cluster.this.vpc_config[0].public_access_cidrs) : []
}
