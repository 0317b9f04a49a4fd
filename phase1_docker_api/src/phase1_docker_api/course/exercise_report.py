"""A pytest plugin that writes why an exercise's check failed or was skipped, for the course's own `check`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

# The file to write to.
VARIABLE = "EXERCISE_REPORT"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add one line for a test that failed or was skipped."""
    if report.outcome != "passed":
        _write(report.outcome, report.longrepr)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Add one line for a file that could not be imported."""
    if report.outcome != "passed":
        _write(report.outcome, report.longrepr)


def _write(outcome: str, longrepr: object) -> None:
    with Path(os.environ[VARIABLE]).open("a") as file:
        file.write(json.dumps({"outcome": outcome, "reason": _reason(longrepr)}) + "\n")


def _reason(longrepr: object) -> str:
    """Give the message of a failed assertion or of a skip, else the error's last line."""
    if isinstance(longrepr, tuple):  # a skip: file, line, reason
        return str(longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(longrepr, "reprcrash", None)
    lines = str(crash.message if crash else longrepr).strip().splitlines() or ["it gave no reason"]
    first = lines[0] if crash else lines[-1].removeprefix("E ").strip()
    if first.startswith("AssertionError: "):
        return first.removeprefix("AssertionError: ")
    return f"your code raised {first}"
