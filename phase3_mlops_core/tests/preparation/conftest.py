"""What the tests of preparation share: one Spark server, and its session."""

from __future__ import annotations

from phase3_mlops_core.testing_spark import spark, spark_server  # noqa: F401  # fixtures
