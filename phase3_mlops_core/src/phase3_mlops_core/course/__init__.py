"""What is there for the learner alone: the replay of five years."""
