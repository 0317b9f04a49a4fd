"""What the tests of delivery share: one stack with Airflow, in a temporary folder."""

from __future__ import annotations

from phase3_mlops_core.testing_airflow import first_run, stack  # noqa: F401  # fixtures
