"""What is there for the learner alone: the check of a running pipeline, the exercises, the replay of five years."""
