"""What is there for the learner alone: check, replay, report, charts."""
