"""Phase 1's service with metrics."""
