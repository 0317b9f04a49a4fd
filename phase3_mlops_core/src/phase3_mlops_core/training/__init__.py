"""Make a model of the sales up to a month, by a plan that can be repeated."""
