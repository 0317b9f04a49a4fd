"""Kubernetes, images and leases, for any workload."""
