"""The predictor: phase 2's service with KServe's protocols and explanations, around a version from the registry."""
