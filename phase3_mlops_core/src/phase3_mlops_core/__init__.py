"""Phase 3: a month of sales lands, becomes a registered version, and is compared with the one in production."""
