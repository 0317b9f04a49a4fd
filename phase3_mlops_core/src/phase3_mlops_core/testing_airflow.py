"""The stack of `make phase3-up` in a temporary folder, with a real Airflow, and what a test asks it."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import psutil
import pytest
from phase1_docker_api.service.launch import free_port
from phase1_docker_api.testing import SEATTLE
from phase1_docker_api.training.reading import read_sales

from phase3_mlops_core.errors import OrchestrationError
from phase3_mlops_core.landing.zone import cut_months, land_month
from phase3_mlops_core.registry.listing import list_versions
from phase3_mlops_core.retraining.months import is_decided
from phase3_mlops_core.settings import PipelineSettings

REPOSITORY = Path(__file__).parents[3]
PHASE = "phase3_mlops_core"
DAG = "/api/v2/dags/train_house_prices"
FIRST = "2012-01"
SHARED = (".venv", ".venv-airflow", ".venv-spark", "data", PHASE)


@dataclass
class Stack:
    """The processes of phase 3 in a folder of their own, on ports of their own."""

    root: Path
    ports: dict[str, int]
    _token: str = field(default="", repr=False)

    @classmethod
    def made_in(cls, root: Path) -> Stack:
        """Make the folder that looks like the repository."""
        for name in SHARED:
            (root / name).symlink_to(REPOSITORY / name)
        ports = {f"PHASE3_{name}_PORT": free_port() for name in ("MLFLOW", "SPARK", "AIRFLOW")}
        (root / "ports.env").write_text("".join(f"{name}={port}\n" for name, port in ports.items()))
        return cls(root, ports)

    @property
    def settings(self) -> PipelineSettings:
        """The pipeline's settings, as its commands there have them."""
        return PipelineSettings(
            home=self.root / ".run" / PHASE / "data",
            mlflow_url=f"http://127.0.0.1:{self.ports['PHASE3_MLFLOW_PORT']}",
            mlflow_seconds=120,
        )

    def run(self, verb: str) -> None:
        """Start or stop it, as make does."""
        script = REPOSITORY / "scripts/stack.py"
        command = [sys.executable, str(script), verb, PHASE, "--root", str(self.root)]
        self._ended(subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=False))  # noqa: S603

    def phase3(self, *words: str) -> str:
        """Run a verb of the command line there, and give what it printed."""
        command = [sys.executable, "-m", PHASE, *words]
        return self._ended(
            subprocess.run(command, cwd=self.root, env=self._environment(), capture_output=True, text=True, check=False)  # noqa: S603
        )

    def airflow(self, path: str, **body: Any) -> dict[str, Any]:
        """Ask Airflow's API; with a body, change something."""
        url = f"http://127.0.0.1:{self.ports['PHASE3_AIRFLOW_PORT']}"
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
            password = json.loads((self.root / ".run" / PHASE / "airflow/passwords.json").read_text())["admin"]
            login = client.post("/auth/token", json={"username": "admin", "password": password}).raise_for_status()
            client.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
            answer = client.patch(path, json=body) if body else client.get(path)
            found: dict[str, Any] = answer.raise_for_status().json()
            return found

    def runs(self) -> list[dict[str, Any]]:
        """The runs of the DAG, oldest first."""
        try:
            found: list[dict[str, Any]] = self.airflow(f"{DAG}/dagRuns?order_by=run_after&limit=100")["dag_runs"]
        except httpx.HTTPStatusError as error:
            if error.response.status_code != httpx.codes.NOT_FOUND:  # which it says until it has read the DAG
                raise
            return []
        return found

    def tasks(self, run: str) -> dict[str, dict[str, Any]]:
        """The tasks of a run by their names."""
        found = self.airflow(f"{DAG}/dagRuns/{run}/taskInstances")["task_instances"]
        return {task["task_id"]: task for task in found}

    def states(self, run: str) -> dict[str, str]:
        """How the tasks of a run ended."""
        return {name: task["state"] for name, task in self.tasks(run).items()}

    def result(self, run: str, task: str) -> dict[str, Any]:
        """What the verb of a task printed."""
        path = f"{DAG}/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value"
        value = self.airflow(path)["value"]
        found: dict[str, Any] = json.loads(value) if isinstance(value, str) else value
        return found

    def run_of(self, month: str, seconds: float = 900) -> str:
        """Wait until a run that took this month has ended, and name it."""
        run = wait_for(lambda: self._ended_run_of(month), seconds, f"no run of {month} ended")
        return str(run)

    def process(self, word: str, seconds: float = 240) -> psutil.Process:
        """Wait until a process runs there that has this word in its command, and give the oldest one."""
        found: psutil.Process = wait_for(lambda: self._running(word), seconds, f"no process was called {word}")
        return found

    def scheduler(self) -> psutil.Process:
        """Give Airflow's own process, not the one that keeps it running."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.cwd() == str(self.root) and _component(process.cmdline()) == "scheduler":
                    return process
        raise OrchestrationError("no scheduler runs")

    def memory_of_airflow(self) -> dict[str, float]:
        """Proportional set size (PSS) in MB of each of its processes, with those it has forked."""
        found: dict[str, float] = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.cwd() == str(self.root) and (name := _component(process.cmdline())):
                    found[name] = found.get(name, 0.0) + process.memory_full_info().pss / 1e6
        return found

    def _running(self, word: str) -> psutil.Process | None:
        ours = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if word in process.cmdline() and process.cwd() == str(self.root):
                    ours.append(process)
        return min(ours, key=lambda process: process.create_time(), default=None)

    def log(self) -> str:
        """What all of its processes said."""
        return (self.root / ".run" / PHASE / "log").read_text(errors="replace")

    def _ended_run_of(self, month: str) -> str | None:
        for run in reversed(self.runs()):
            if run["state"] not in ("success", "failed"):
                continue
            name = str(run["dag_run_id"])
            if self.states(name)["next-month"] == "success" and self.result(name, "next-month")["month"] == month:
                return name
        return None

    def _environment(self) -> dict[str, str]:
        """Nothing of the learner's own settings; the commands there find the ports in their own table."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PIPELINE_", "PHASE3_", "ORCHESTRATION_"))
        }
        return kept | {name: str(port) for name, port in self.ports.items()} | {"READY_SECONDS": "600"}

    def _ended(self, done: subprocess.CompletedProcess[str]) -> str:
        if done.returncode:
            raise OrchestrationError(f"{done.args} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout


def land_history(home: Path) -> None:
    """Land the months before the tests, as `make phase3-up` does, and no more than a first training takes."""
    for month, rows in cut_months(read_sales(SEATTLE), FIRST).items():
        if month >= "2011-01":
            land_month(home, month, rows)


def _component(command: list[str]) -> str | None:
    """Name the process of Airflow that has this command; it gives some of its processes a title of their own."""
    if command and command[0].startswith("airflow "):
        return command[0].split()[1].replace("_", "-")
    return next((after for word, after in itertools.pairwise(command) if word.endswith("/airflow")), None)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything, started once for the whole test run."""
    made = Stack.made_in(tmp_path_factory.mktemp("stack"))
    land_history(made.settings.home)
    made.run("up")
    try:
        yield made
    finally:
        made.run("down")


@pytest.fixture(scope="session")
def first_run(stack: Stack) -> str:
    """The run that starts by itself for what had landed before, once it has ended."""
    return stack.run_of(FIRST)


def month_after(stack: Stack, number: int = 1) -> str:
    """Name the month that is due after the newest decision."""
    newest = max(version.tags["month"] for version in list_versions(stack.settings) if is_decided(version))
    return str(pd.Period(newest, "M") + number)


def wait_for(what: Callable[[], Any], seconds: float, otherwise: str) -> Any:
    """Ask until the answer is true.

    Raises:
        OrchestrationError: it was not within the time.

    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.5)
    raise OrchestrationError(f"{otherwise} within {seconds:.0f} s")
