"""What is there for the learner alone: check and labs."""
