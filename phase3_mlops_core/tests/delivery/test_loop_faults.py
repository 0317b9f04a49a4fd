"""Room: delivery. A task or the scheduler is killed while it works on a month: the month ends right, and once."""

from __future__ import annotations

import pytest
from phase3_mlops_core.registry.listing import list_versions
from phase3_mlops_core.testing_airflow import Stack, month_after

pytestmark = pytest.mark.loop


def assert_ended_right_and_once(stack: Stack, month: str, run: str) -> None:
    states = stack.states(run)
    versions = [version for version in list_versions(stack.settings) if version.tags["month"] == month]

    assert {states[task] for task in ("next-month", "prepare", "train")} == {"success"}
    assert states["evaluate"] in ("success", "skipped")
    assert len(versions) == 1
    assert versions[0].tags["gate"] == ("passed" if states["promote"] == "success" else "refused")
    assert stack.phase3("janitor") == "Nothing was left open.\n"


def test_a_killed_task_is_tried_again_and_its_month_ends_once(stack: Stack, first_run: str) -> None:
    month = month_after(stack)
    stack.phase3("land", month)
    stack.process("train").kill()

    run = stack.run_of(month)

    assert stack.tasks(run)["train"]["try_number"] == 2
    assert_ended_right_and_once(stack, month, run)


def test_a_killed_scheduler_is_started_again_and_its_month_ends_once(stack: Stack, first_run: str) -> None:
    month = month_after(stack)
    stack.phase3("land", month)
    stack.process("train")
    stack.scheduler().kill()

    run = stack.run_of(month)

    assert "scheduler ended with code -9: it is started again" in stack.log()
    assert_ended_right_and_once(stack, month, run)
