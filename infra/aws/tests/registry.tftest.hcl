# The registry alone.
mock_provider "aws" {
  mock_resource "aws_ecr_repository" {
    defaults = {
      repository_url = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/t-1/house-price-service"
    }
  }
}

variables {
  name = "t-1"
}

run "a_tag_never_changes_its_meaning_and_every_push_is_scanned" {
  module {
    source = "./modules/registry"
  }

  assert {
    condition     = toset([for each in aws_ecr_repository.this : each.name]) == toset(["t-1/house-price-service", "t-1/rollcheck"])
    error_message = "make image-push pushes these two, under the path that make rollout is told"
  }

  assert {
    condition     = alltrue([for each in aws_ecr_repository.this : each.image_tag_mutability == "IMMUTABLE"])
    error_message = "what was tested must be what is pulled"
  }

  assert {
    condition     = alltrue([for each in aws_ecr_repository.this : each.image_scanning_configuration[0].scan_on_push])
    error_message = "known holes are looked for at each push"
  }

  assert {
    condition     = alltrue([for each in aws_ecr_repository.this : each.encryption_configuration[0].encryption_type == "KMS"])
    error_message = "encrypted by KMS"
  }

  assert {
    condition     = !anytrue([for each in aws_ecr_repository.this : each.force_delete])
    error_message = "images go with their repository only if that was said"
  }

  assert {
    condition     = output.address == "123456789012.dkr.ecr.eu-west-1.amazonaws.com/t-1"
    error_message = "REGISTRY= wants host and path without the image's name"
  }
}

run "old_images_go_and_the_newest_stay" {
  command = plan

  module {
    source = "./modules/registry"
  }

  assert {
    condition = alltrue([
      for each in aws_ecr_lifecycle_policy.this :
      [for rule in jsondecode(each.policy).rules : [rule.selection.tagStatus, rule.selection.countNumber]] == [["untagged", 1], ["any", 100]]
    ])
    error_message = "untagged after a day; of the rest the newest hundred"
  }
}

run "so_few_images_that_prod_may_lose_its_own_are_refused" {
  command = plan

  variables {
    keep = 30
  }

  module {
    source = "./modules/registry"
  }

  expect_failures = [var.keep]
}
