"""From a file of sales to a fitted, scored model."""
