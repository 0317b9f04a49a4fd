"""Room: retraining. Whole commands against a real registry: a stopped server, eight at once, a killed trainer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from phase1_docker_api.testing import TODAY
from phase3_mlops_core.errors import TRY_AGAIN
from phase3_mlops_core.registry import promotions
from phase3_mlops_core.registry.versions import Registry
from phase3_mlops_core.settings import PipelineSettings
from phase3_mlops_core.testing import MlflowServer, environment_of, write_sales_table

pytestmark = pytest.mark.pipeline


@pytest.fixture
def home(registry: Registry, seattle_sales: pd.DataFrame) -> Path:
    write_sales_table(registry.settings.home, seattle_sales, TODAY)
    return registry.settings.home


def started(registry: Registry, *words: str, **given: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "phase3_mlops_core", *words],
        env=os.environ | environment_of(registry.settings) | given,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str], code: int = 0) -> str:
    out, err = process.communicate(timeout=540)
    assert process.returncode == code, out + err
    return out if code == 0 else err


def test_of_eight_at_once_one_works_and_seven_say_who(registry: Registry, home: Path, tmp_path: Path) -> None:
    eight = [
        started(registry, "retrain", "--no-prepare", "--month", "2012-01", "--out", str(tmp_path)) for _ in range(8)
    ]

    said = [process.communicate(timeout=540) for process in eight]

    codes = [process.returncode for process in eight]
    assert sorted(codes) == [0] + [TRY_AGAIN] * 7
    worker = eight[codes.index(0)].pid
    refusals = [err for (_, err), code in zip(said, codes, strict=True) if code]
    assert all(f"process {worker} does `phase3 retrain --month 2012-01` since" in err for err in refusals)
    assert len(promotions.read(registry.settings.home)) == 1


def test_a_stopped_registry_is_named_within_ten_seconds_and_the_repeat_finishes(
    registry: Registry, home: Path, tmp_path: Path, mlflow_server: MlflowServer
) -> None:
    words = ("train", "--month", "2012-01")
    patience = str(PipelineSettings.model_fields["mlflow_seconds"].default)
    process = started(registry, *words, PIPELINE_MLFLOW_SECONDS=patience)
    assert process.stderr
    for line in process.stderr:
        if line.startswith("recording"):
            break
    workers = [mlflow_server.process.pid, *children(mlflow_server.process.pid)]
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        stopped = time.monotonic()
        error = process.stderr.read()
        took = time.monotonic() - stopped
        process.communicate()
        assert process.returncode == TRY_AGAIN, error
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    ended(started(registry, *words))

    assert "did not answer" in error
    assert "Traceback" not in error
    assert took < 10
    assert registry.aliases() == {"challenger": 1}
    assert len(registry.versions()) == 1


# Each request of MLflow is a place to be killed at in test_steps; here it is the whole command, wherever it is.
@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_a_trainer_that_is_killed_leaves_the_champion_and_the_repeat_finishes(
    registry: Registry, home: Path, tmp_path: Path, seconds: float
) -> None:
    ended(started(registry, "retrain", "--no-prepare", "--month", "2012-01", "--out", str(tmp_path)))
    process = started(registry, "retrain", "--no-prepare", "--month", "2012-06", "--out", str(tmp_path))
    assert process.stderr
    for line in process.stderr:
        if line.startswith("recording"):
            break
    time.sleep(seconds)  # wherever that is: every place is a place to be killed at
    process.kill()
    process.communicate()

    champion = registry.named("champion")
    assert champion
    with registry.fetched(champion) as folder:
        assert (folder / "model.npz").exists()
    ended(started(registry, "retrain", "--no-prepare", "--month", "2012-06", "--out", str(tmp_path)))

    months = [version.tags["month"] for version in registry.versions()]
    assert months == ["2012-01", "2012-06"]
    assert ended(started(registry, "janitor")) == "Nothing was left open.\n"


def children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in listed.stdout.split()]
