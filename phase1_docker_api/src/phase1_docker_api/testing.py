"""Fixtures for the tests of this phase and of every later one: real sales, real models, a real service."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pandas as pd
import pytest

from phase1_docker_api.artifact import save_model
from phase1_docker_api.model import HouseModel
from phase1_docker_api.sales import file_digest, load_clean_sales
from phase1_docker_api.train import TrainingPlan, train

SEATTLE = Path(__file__).parents[3] / "data" / "seattle_sales_2010_2016.parquet"
FROZEN_UNTIL = dt.date(2011, 12, 31)
TODAY = dt.date(2017, 1, 1)
MIDNIGHT = dt.datetime(2017, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="session")
def seattle_sales() -> pd.DataFrame:
    """All clean sales of 2010 to 2016."""
    return load_clean_sales(SEATTLE, TODAY).clean


def train_frozen(sales: pd.DataFrame, estimator: str) -> HouseModel:
    """Train on the sales of 2010 and 2011."""
    plan = TrainingPlan(estimator=estimator, until=FROZEN_UNTIL)
    return train(sales, plan, trained_at=MIDNIGHT, data_sha256=file_digest(SEATTLE))


@pytest.fixture(scope="session")
def trees_model(seattle_sales: pd.DataFrame) -> HouseModel:
    """The trees of 2010 and 2011."""
    return train_frozen(seattle_sales, "trees")


@pytest.fixture(scope="session")
def linear_model(seattle_sales: pd.DataFrame) -> HouseModel:
    """The linear baseline of 2010 and 2011."""
    return train_frozen(seattle_sales, "linear")


@pytest.fixture(scope="session")
def trees_artifact(trees_model: HouseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder the trees were saved in; treat it as read-only."""
    return save_model(trees_model, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def service_url(trees_artifact: Path) -> Iterator[str]:
    """Address of a service that serves the trees for the whole test run."""
    with running_service(trees_artifact) as (url, _):
        yield url


@contextlib.contextmanager
def running_service(artifact: Path, **settings: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run `phase1 serve` on a free port of loopback; give its address and its process, and stop it at the end."""
    port = free_port()
    environment = os.environ | {"HOUSE_PORT": str(port), "HOUSE_MODEL_PATH": str(artifact)} | settings
    command = [sys.executable, "-c", "from phase1_docker_api.cli import main; main()", "serve"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(url, process)
            yield url, process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def free_port() -> int:
    """A port of loopback that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(url: str, process: subprocess.Popen[bytes], timeout_s: float = 60) -> None:
    """Return once `/readyz` answers 200."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz").status_code == httpx.codes.OK:
                return
        if process.poll() is not None:
            raise RuntimeError(f"the service ended with code {process.returncode} before it was ready")
        time.sleep(0.1)
    raise TimeoutError(f"{url} was not ready within {timeout_s} s")
