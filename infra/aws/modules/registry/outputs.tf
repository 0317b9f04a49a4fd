output "arns" {
  description = "The repositories, for policies."
  value       = [for repository in aws_ecr_repository.this : repository.arn]
}

output "address" {
  description = "Host and path that images are named after: ADDRESS/IMAGE:VERSION."
  value       = trimsuffix(values(aws_ecr_repository.this)[0].repository_url, "/${keys(aws_ecr_repository.this)[0]}")
}
