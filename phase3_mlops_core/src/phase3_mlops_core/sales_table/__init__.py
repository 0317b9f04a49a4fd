"""What the prepared sales are on disk, and how they are read; needs no Spark."""
