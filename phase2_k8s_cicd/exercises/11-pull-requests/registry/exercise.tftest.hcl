# What exercise 11 asks for. A message is what the learner reads.
mock_provider "aws" {}

variables {
  name = "house-exercise"
}

run "by_default" {
  command = plan

  assert {
    condition     = try(length(output.exercise_about.tagged), 0) == 1
    error_message = "there must be one rule about images with certain tags"
  }

  assert {
    condition = anytrue([
      try(join(",", output.exercise_about.tagged[0].selection.tagPrefixList), "") == "pr-",
      try(join(",", output.exercise_about.tagged[0].selection.tagPatternList), "") == "pr-*",
    ])
    error_message = "the new rule is not about the images whose tag begins with pr-, and no others"
  }

  assert {
    condition = try(
      output.exercise_about.tagged[0].selection.countType == "sinceImagePushed"
      && output.exercise_about.tagged[0].selection.countUnit == "days"
      && output.exercise_about.tagged[0].selection.countNumber == 7
    && output.exercise_about.tagged[0].action.type == "expire", false)
    error_message = "the new rule does not expire what was pushed more than 7 days ago"
  }

  assert {
    condition = try(
      output.exercise_about.untagged[0].selection.countNumber == 1
      && output.exercise_about.any[0].selection.countType == "imageCountMoreThan"
    && output.exercise_about.any[0].selection.countNumber == 100, false)
    error_message = "the two rules that were there do not say the same any more"
  }

  assert {
    condition     = length(distinct(output.exercise_priorities)) == length(output.exercise_priorities)
    error_message = "AWS would refuse this: two rules have the same priority"
  }

  assert {
    condition     = try(output.exercise_about.any[0].rulePriority == max(output.exercise_priorities...), false)
    error_message = "AWS would refuse this: the rule about any image must have the highest priority"
  }
}

run "chosen" {
  command = plan

  variables {
    pull_request_days = 3
  }

  assert {
    condition     = try(output.exercise_about.tagged[0].selection.countNumber, 0) == 3
    error_message = "pull_request_days = 3 changes nothing"
  }
}

run "refused" {
  command = plan

  variables {
    pull_request_days = 0
  }

  expect_failures = [var.pull_request_days]
}
