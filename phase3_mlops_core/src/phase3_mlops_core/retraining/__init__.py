"""Go from a month of sales to a version that serves, step by step."""
