# A repository for each of our two images. A tag never changes its meaning: what was tested is what is pulled.
resource "aws_ecr_repository" "this" {
  for_each = var.images

  name                 = "${var.name}/${each.key}"
  image_tag_mutability = "IMMUTABLE"
  force_delete         = var.force_delete

  image_scanning_configuration {
    scan_on_push = true
  }

  # AWS's own key for ECR; a key of ours would cost a dollar a month and protect from nobody else.
  encryption_configuration {
    encryption_type = "KMS"
  }
}

# A rollback needs old versions, a bill does not need all of them. ECR does not know what serves: a mark on it would be one more
# tag, which only a role that may push could set, and who deploys may not.
resource "aws_ecr_lifecycle_policy" "this" {
  for_each = var.images

  repository = aws_ecr_repository.this[each.key].name
  policy = jsonencode({
    rules = [
      {
        rulePriority = 1
        description  = "Layers that no tag names any more go after a day."
        selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 1 }
        action       = { type = "expire" }
      },
      {
        rulePriority = 2
        description  = "The newest versions stay."
        selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = var.keep }
        action       = { type = "expire" }
      },
    ]
  })
}
