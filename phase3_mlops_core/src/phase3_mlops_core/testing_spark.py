"""A real Spark server for the tests of this phase and of every later one, and months that something is wrong with."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import psutil
import pytest
from phase1_docker_api.service.launch import free_port

from phase3_mlops_core.testing_servers import shared_server, start_server

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SERVE = Path(__file__).parents[2] / "spark_server" / "serve.sh"
SQFT_PER_M2 = 10.7639


@dataclass(frozen=True)
class SparkServer:
    """A server of the test run: its address and its process."""

    remote: str
    process: psutil.Process


@contextlib.contextmanager
def running_spark(folder: Path) -> Iterator[SparkServer]:
    """Run a Spark Connect server on a free port of this computer, as `make phase3-up` does.

    Raises:
        ServiceError: it did not start.

    """
    process, port = _start(folder)
    with process:
        try:
            yield SparkServer(_address(port), psutil.Process(process.pid))
        finally:
            process.kill()


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    port = free_port()
    # A learner's shell may name another server: this one starts all the same.
    elsewhere = {"SPARK_REMOTE": "sc://127.0.0.1:1"}
    command = [str(SERVE), str(port), str(folder / "spark")]
    return start_server(command, folder / "log", lambda: _listens(port), **elsewhere), port


def _address(port: int) -> str:
    return f"sc://127.0.0.1:{port}"


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def spark_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkServer]:
    """One Spark server for the whole test run, whatever the number of its workers."""
    with shared_server(request, tmp_path_factory, "spark", _start) as server:
        yield SparkServer(_address(server.port), server.process)


@pytest.fixture(scope="session")
def spark(spark_server: SparkServer) -> Iterator[SparkSession]:
    """One session with it."""
    from phase3_mlops_core.preparation.session import spark_session

    with spark_session(spark_server.remote) as session:
        yield session


def in_m2(month: pd.DataFrame) -> pd.DataFrame:
    """Give the living area in m² instead of square feet."""
    return month.assign(living_area_sqft=(month["living_area_sqft"] / SQFT_PER_M2).round())


def in_thousands(month: pd.DataFrame) -> pd.DataFrame:
    """Give the prices in thousands of dollars."""
    return month.assign(price=month["price"] / 1000)


def in_cents(month: pd.DataFrame) -> pd.DataFrame:
    """Give the prices in cents."""
    return month.assign(price=month["price"] * 100)


def areas_exchanged(month: pd.DataFrame) -> pd.DataFrame:
    """Exchange the columns of land and living area."""
    return month.assign(land_area_sqft=month["living_area_sqft"], living_area_sqft=month["land_area_sqft"])


def labels_shuffled(month: pd.DataFrame, share: float = 0.3, seed: int = 0) -> pd.DataFrame:
    """Give a share of the sales each other's prices: no rule on rows can see that."""
    chosen = np.random.default_rng(seed).permutation(len(month))[: int(share * len(month))]
    prices = month["price"].to_numpy().copy()
    prices[chosen] = prices[np.roll(chosen, 1)]
    return month.assign(price=prices)


# What a range of ranges.toml finds, by the field that it breaks.
UNIT_FAULTS: dict[str, tuple[str, Callable[[pd.DataFrame], pd.DataFrame]]] = {
    "in_m2": ("living_area_sqft", in_m2),
    "in_thousands": ("price", in_thousands),
    "in_cents": ("price", in_cents),
    "areas_exchanged": ("living_area_sqft", areas_exchanged),
}
