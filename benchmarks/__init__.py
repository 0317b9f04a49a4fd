"""How fast the service is beside others that serve the same model: `python -m benchmarks --help`."""
