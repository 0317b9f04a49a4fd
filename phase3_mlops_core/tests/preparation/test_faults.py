"""A preparation that is killed, or whose Spark is, leaves the table as it was; a repeat finishes the work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from phase1_docker_api.testing import SEATTLE
from phase1_docker_api.training.reading import read_sales
from phase3_mlops_core.errors import TRY_AGAIN
from phase3_mlops_core.landing.zone import cut_months, land_month
from phase3_mlops_core.sales_table.manifest import read_manifest
from phase3_mlops_core.sales_table.reading import read_table
from phase3_mlops_core.testing_spark import SparkServer, running_spark

pytestmark = pytest.mark.pipeline
PREPARE = [sys.executable, "-m", "phase3_mlops_core", "prepare"]


@pytest.fixture(scope="module")
def months() -> dict[str, pd.DataFrame]:
    return cut_months(read_sales(SEATTLE), "2010-04")


def started(home: Path, server: SparkServer) -> subprocess.Popen[str]:
    environment = os.environ | {"PIPELINE_HOME": str(home), "SPARK_REMOTE": server.remote}
    return subprocess.Popen(PREPARE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def prepared(home: Path, server: SparkServer) -> int:
    with started(home, server) as process:
        process.communicate(timeout=300)
    return process.returncode


def until(process: subprocess.Popen[str], words: str) -> None:
    """Read what it says until it says these words; it is then in the middle of that step."""
    assert process.stderr
    for line in process.stderr:
        if line.startswith(words):
            return
    raise AssertionError(f"it never said {words!r}")


@pytest.mark.parametrize("step", ["checking", "writing"])
def test_a_preparation_killed_in_a_step_changes_nothing_and_a_repeat_finishes(
    step: str, months: dict[str, pd.DataFrame], spark_server: SparkServer, tmp_path: Path
) -> None:
    land_month(tmp_path, "2010-01", months["2010-01"])
    assert prepared(tmp_path, spark_server) == 0
    before = read_manifest(tmp_path), read_table(tmp_path).digest
    land_month(tmp_path, "2010-02", months["2010-02"])

    killed = started(tmp_path, spark_server)
    until(killed, step)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    after = read_manifest(tmp_path), read_table(tmp_path).digest
    repeated = prepared(tmp_path, spark_server)

    assert after == before
    assert repeated == 0
    table = read_manifest(tmp_path)
    assert table and sorted(table.months) == ["2010-01", "2010-02"]


def test_a_spark_killed_in_the_middle_is_told_within_ten_seconds_and_a_repeat_finishes(
    months: dict[str, pd.DataFrame], spark_server: SparkServer, tmp_path: Path
) -> None:
    for name, rows in months.items():
        land_month(tmp_path, name, rows)
    with running_spark(tmp_path) as doomed:
        process = started(tmp_path, doomed)
        until(process, "checking")
        doomed.process.kill()
        lost = time.monotonic()
        _, said = process.communicate(timeout=120)
    seconds = time.monotonic() - lost

    assert process.returncode == TRY_AGAIN
    assert "was lost in the middle" in said and "make phase3-up" in said
    assert seconds < 10
    assert read_manifest(tmp_path) is None
    assert prepared(tmp_path, spark_server) == 0
    assert read_table(tmp_path).frame["sale_date"].max() >= pd.Timestamp("2010-04-29")
