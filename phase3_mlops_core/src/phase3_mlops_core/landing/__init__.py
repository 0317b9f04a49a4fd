"""The landing zone: raw files by month, as they were delivered; needs no Spark."""
