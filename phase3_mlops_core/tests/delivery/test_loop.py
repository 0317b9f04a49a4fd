"""Room: delivery. Months land while a real Airflow watches; all of it runs as `make phase3-up` starts it."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import httpx
import pytest
from phase3_mlops_core.registry import promotions
from phase3_mlops_core.registry.listing import list_versions
from phase3_mlops_core.testing_airflow import DAG, FIRST, Stack, wait_for

pytestmark = pytest.mark.loop
REPORT = Path(__file__).parents[3] / "reports/test-loop.txt"
ALL_GREEN = dict.fromkeys(("next-month", "prepare", "train", "evaluate", "promote"), "success") | {"more": "skipped"}


def report(line: str) -> None:
    """Write down what was measured, for `make test-loop` to show at its end."""
    REPORT.parent.mkdir(exist_ok=True)
    with REPORT.open("a") as file:
        file.write(line + "\n")


def started_at(stack: Stack, run: str) -> dt.datetime:
    start = next(each["start_date"] for each in stack.runs() if each["dag_run_id"] == run)
    return dt.datetime.fromisoformat(start)


def champions(stack: Stack) -> list[tuple[str, int]]:
    return [(line.as_of, line.to_version) for line in promotions.read(stack.settings.home)]


def decided_by_hand(stack: Stack, until: str) -> None:
    """Let months pass without Airflow: the newest one is trained and refused, so those before it are history."""
    stack.airflow(DAG, is_paused=True)
    stack.phase3("land", "--until", until)
    stack.phase3("prepare")
    stack.phase3("train", "--month", until)
    assert not json.loads(stack.phase3("evaluate", "--json"))["passed"]
    stack.airflow(DAG, is_paused=False)


def test_what_landed_before_the_start_becomes_the_first_champion(stack: Stack, first_run: str) -> None:
    assert stack.states(first_run) == ALL_GREEN
    assert champions(stack) == [(FIRST, 1)]
    assert stack.result(first_run, "train")["month"] == FIRST


def test_the_login_is_asked_for_and_its_password_is_private(stack: Stack) -> None:
    address = f"http://127.0.0.1:{stack.ports['PHASE3_AIRFLOW_PORT']}{DAG}"
    folder = stack.root / ".run/phase3_mlops_core/airflow"

    assert httpx.get(address, trust_env=False).status_code == 401
    assert {(folder / name).stat().st_mode & 0o777 for name in ("passwords.json", "secrets.json")} == {0o600}


def test_a_month_without_a_better_model_changes_nothing(stack: Stack, first_run: str) -> None:
    before = champions(stack)
    stack.phase3("land", "2012-02")
    landed_at = dt.datetime.now(dt.UTC)
    run = stack.run_of("2012-02")
    seconds = (started_at(stack, run) - landed_at).total_seconds()
    report(f"{seconds:.1f} s from the end of `phase3 land` to the start of the run")

    skipped = dict.fromkeys(("evaluate", "promote", "more"), "skipped")
    assert stack.states(run) == ALL_GREEN | skipped
    assert {each["dag_run_id"]: each["state"] for each in stack.runs()}[run] == "success"
    assert champions(stack) == before
    assert list_versions(stack.settings)[-1].tags["gate"] == "refused"
    assert seconds < 60


def test_two_months_that_land_together_are_taken_in_order_and_the_better_model_serves(
    stack: Stack, first_run: str
) -> None:
    decided_by_hand(stack, "2012-05")
    for month in ("2012-06", "2012-07"):
        stack.phase3("land", month)
    earlier, later = stack.run_of("2012-06"), stack.run_of("2012-07")

    promoted = [run for run in (earlier, later) if stack.states(run)["promote"] == "success"]
    assert started_at(stack, earlier) < started_at(stack, later)
    assert [stack.states(run)["more"] for run in (earlier, later)] == ["success", "skipped"]
    assert len(promoted) == 1, "the month after a promotion has no newer challenger"
    month, number = champions(stack)[-1]
    version = next(version for version in list_versions(stack.settings) if version.number == number)
    assert len(champions(stack)) == 2
    assert month == version.tags["month"] == stack.result(promoted[0], "next-month")["month"]
    assert json.loads(stack.phase3("history", "--json"))["aliases"]["champion"] == number
    assert_the_links_lead_to_the_run(stack, promoted[0], version.run_id)


def assert_the_links_lead_to_the_run(stack: Stack, run: str, run_id: str) -> None:
    links = {
        task: stack.airflow(f"{DAG}/dagRuns/{run}/taskInstances/{task}/links")["extra_links"]
        for task in ("train", "evaluate")
    }

    assert links["train"]["MLflow run"].endswith(f"/runs/{run_id}")
    assert f"/runs/{run_id}/artifacts/gate-" in links["evaluate"]["Gate's report"]


def test_airflow_at_rest_takes_no_more_memory_than_the_page_says(stack: Stack, first_run: str) -> None:
    wait_for(lambda: stack.runs()[-1]["state"] == "success", 300, "no quiet")

    memory = stack.memory_of_airflow()

    report(f"{sum(memory.values()):.0f} MB of memory (PSS) for Airflow at rest: {memory}")
    assert sum(memory.values()) < 1300
