"""Airflow's processes, by the names that its own program gives them."""

from __future__ import annotations

from collections.abc import Mapping

COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("--workers", "1"),
    "scheduler": ("--skip-serve-logs",),
    "dag-processor": (),
    "triggerer": ("--skip-serve-logs",),
}
