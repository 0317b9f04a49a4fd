"""What brings versions out: the pipeline and the cloud it deploys to."""
