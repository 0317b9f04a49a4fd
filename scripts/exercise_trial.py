"""Try the solution of an exercise in a copy of the checkout: for the tests of every phase's exercises."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import exercise_patch
import pytest


def shown_once_solved(copy: Path, solution: Path, shown: Callable[[], str]) -> str:
    """Apply a solution between two runs of its check, and give what the second one shows.

    The check must be ✗ before. What a learner's own work, or a missing tool (–), makes impossible is skipped; in CI,
    where neither is, all but a missing tool fails.
    """
    before = shown()
    if before.startswith("–"):
        pytest.skip(before)
    if before.startswith("✓"):
        _cannot_try("you have solved it here")
    if not before.startswith("✗") or "your code raised" in before:
        pytest.fail(before)
    if problem := exercise_patch.apply(copy, solution):
        _cannot_try(f"the solution does not apply to your code: {problem}")
    exercise_patch.commit(copy, "solved")
    return shown()


def _cannot_try(reason: str) -> NoReturn:
    if "CI" in os.environ:
        pytest.fail(reason)
    pytest.skip(reason)
