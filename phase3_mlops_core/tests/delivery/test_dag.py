"""Room: delivery. The DAG as Airflow parses it, in Airflow's own environment, without its database."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv-airflow/bin/python"
# It prints what it was called with and a secret that it should not know, and ends with the code that its verb names.
PHASE3 = """#!/bin/sh
echo working >&2
echo "{\\"said\\": \\"$*\\", \\"secret\\": \\"$AIRFLOW__API_AUTH__JWT_SECRET\\", \\"home\\": \\"$PIPELINE_HOME\\"}"
exit "$1"
"""


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    place = tmp_path_factory.mktemp("dag")
    program = place / "phase3"
    program.write_text(PHASE3)
    program.chmod(0o755)
    given = {
        "AIRFLOW_HOME": str(place),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "false",
        "AIRFLOW__API_AUTH__JWT_SECRET": "a secret",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{place}/none.db",
        "ORCHESTRATION_ROOT": str(place),
        "ORCHESTRATION_PHASE3": str(program),
        "ORCHESTRATION_LANDING": "/landing",
        "ORCHESTRATION_FAILURES": str(place / "failures.jsonl"),
        "PIPELINE_HOME": "/home-of-the-pipeline",
    }
    command = [PYTHON, Path(__file__).with_name("dag_facts.py")]
    done = subprocess.run(command, env=os.environ | given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (place / "none.db").exists()
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_tasks_are_verbs_of_phase_3_one_after_the_other(facts: dict[str, Any]) -> None:
    tasks = facts["tasks"]
    month, version = (
        "{{ ti.xcom_pull(task_ids='next-month')['month'] }}",
        "{{ ti.xcom_pull(task_ids='train')['version'] }}",
    )

    assert {name: task["command"] for name, task in tasks.items()} == {
        "next-month": ["next-month", "--exit-code"],
        "prepare": ["prepare"],
        "train": ["train", "--exit-code", "--month", month],
        "evaluate": ["evaluate", "--exit-code", "--version", version],
        "promote": ["promote", "--version", version],
        "more": ["next-month", "--exit-code"],
    }
    names = list(tasks)
    assert [tasks[name]["after"] for name in names] == [[], *([name] for name in names[:-1])]


def test_a_run_starts_when_a_month_lands_and_once_a_month(facts: dict[str, Any]) -> None:
    assert facts["watched"] == ["/landing"]
    assert facts["cron"] == "0 6 2 * *"
    assert (facts["max_active_runs"], facts["catchup"]) == (1, False)


def test_only_the_last_task_starts_the_next_run_and_only_if_none_failed(facts: dict[str, Any]) -> None:
    starting = {name: task["trigger_rule"] for name, task in facts["tasks"].items() if task["outlets"]}

    assert starting == {"more": "none_failed"}
    assert facts["tasks"]["more"]["outlets"] == [facts["asset"]]


def test_each_task_is_tried_again_with_growing_pauses_and_ends_in_time(facts: dict[str, Any]) -> None:
    for task in facts["tasks"].values():
        assert (task["retries"], task["backoff"], task["minutes"]) == (3, 2.0, 15)


def test_the_code_of_a_verb_decides_between_result_skip_retry_and_failure(facts: dict[str, Any]) -> None:
    ends = facts["ends"]

    assert ends.pop("0") == {"said": "0 --json", "secret": "", "home": "/home-of-the-pipeline"}
    assert ends == {
        "1": "AirflowFailException",
        "2": "AirflowFailException",
        "75": "AirflowException",
        "99": "AirflowSkipException",
    }


def test_a_task_links_to_the_run_in_mlflow_and_the_report_of_the_gate(facts: dict[str, Any]) -> None:
    assert facts["tasks"]["evaluate"]["links"] == ["MLflow run", "Gate's report"]
