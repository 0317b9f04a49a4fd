# Exercise 11 puts this beside a copy of infra/aws/modules/registry, to see the policy's rules by what they are about.
locals {
  exercise_rules = jsondecode(aws_ecr_lifecycle_policy.this["rollcheck"].policy).rules
}

output "exercise_about" {
  description = "The rules by their tagStatus."
  value       = { for rule in local.exercise_rules : rule.selection.tagStatus => rule... }
}

output "exercise_priorities" {
  description = "The rules' priorities."
  value       = local.exercise_rules[*].rulePriority
}
