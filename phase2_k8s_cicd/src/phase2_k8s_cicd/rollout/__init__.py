"""How one version takes the place of another."""
