output "push_role_arn" {
  description = "Role that the workflow on the one branch assumes."
  value       = aws_iam_role.push.arn
}

output "deploy_role_arns" {
  description = "Role that each environment's job assumes."
  value       = { for name, role in aws_iam_role.deploy : name => role.arn }
}

output "plan_role_arn" {
  description = "Role that plans on pull requests, or null without the state's bucket."
  value       = one(aws_iam_role.plan[*].arn)
}
