"""What is trained, saved, loaded and asked: the model and its files."""
