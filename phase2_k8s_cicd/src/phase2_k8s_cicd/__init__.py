"""Phase 2: phase 1's service where a cluster can watch it, and rollouts that lose nothing."""
