"""Compare the challenger with the champion on the newest sales, which neither has seen."""
