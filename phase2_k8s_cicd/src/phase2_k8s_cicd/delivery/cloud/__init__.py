"""AWS for the course: what Terraform would make and what it costs; making it, deleting it, proof that it is gone."""
