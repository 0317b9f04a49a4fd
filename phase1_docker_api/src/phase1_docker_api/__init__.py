"""Phase 1: a house-price model behind a REST API. Importing this package reads and starts nothing."""
