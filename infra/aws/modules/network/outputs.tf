output "vpc_id" {
  description = "The network."
  value       = aws_vpc.this.id
}

output "private_subnet_ids" {
  description = "Private subnets, one a zone: where the control plane reaches into the network."
  value       = [for subnet in aws_subnet.private : subnet.id]
}

output "node_subnet_ids" {
  description = "Where nodes belong: private subnets when something leads out of them, else public ones."
  value       = [for subnet in(var.nat == "none" ? aws_subnet.public : aws_subnet.private) : subnet.id]
}
