"""Fixtures and doubles for the tests of this phase and of every later one."""

from __future__ import annotations

import contextlib
import datetime as dt
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from phase1_docker_api.service.launch import free_port
from pydantic import SecretStr

from phase3_mlops_core.sales_table.content import SCHEMA, content_digest
from phase3_mlops_core.sales_table.manifest import Manifest, Month, Part, table_folder, write_manifest
from phase3_mlops_core.settings import PipelineSettings
from phase3_mlops_core.testing_servers import shared_server, start_server, stop


def write_sales_table(home: Path, clean: pd.DataFrame, as_of: dt.date) -> Manifest:
    """Write the table that `prepare` would make of these clean sales, without Spark and without landing them."""
    whole = clean.reindex(columns=SCHEMA.names)
    months = {}
    for month, sales in whole.groupby(whole["sale_date"].dt.strftime("%Y-%m")):
        path = f"builds/double/month={month}/clean.parquet"
        rows = pa.Table.from_pandas(sales, schema=SCHEMA, preserve_index=False)
        (table_folder(home) / path).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, table_folder(home) / path)
        months[str(month)] = Month(clean=Part(path=path, rows=len(sales)), digest=content_digest([rows]))
    manifest = Manifest(
        build="double", as_of=as_of, rules="double", months=months, deliveries={}, in_use={}, refused={}
    )
    write_manifest(home, manifest)
    return manifest


@dataclass(frozen=True)
class MlflowServer:
    """A server of the test run: its address, its process, the password of its user, and its folder."""

    url: str
    process: psutil.Process
    password: str
    store: Path

    def settings(self, home: Path, **given: Any) -> PipelineSettings:
        """Settings of a pipeline that has this server, an experiment and a model name of its own."""
        name = f"test-{uuid.uuid4().hex[:8]}"
        ours = {"home": home, "mlflow_url": self.url, "mlflow_password": self.password, "mlflow_seconds": 120}
        return PipelineSettings(**{**ours, "experiment": name, "model_name": name, **given})


def environment_of(settings: PipelineSettings) -> dict[str, str]:
    """Give the variables from which another process reads these settings."""
    given = {name: getattr(settings, name) for name in PipelineSettings.model_fields}
    plain = {name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in given.items()}
    return {f"PIPELINE_{name.upper()}": str(value) for name, value in plain.items() if value is not None}


@pytest.fixture(scope="session")
def mlflow_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """One MLflow server for the whole test run, whatever the number of its workers."""
    with shared_server(request, tmp_path_factory, "mlflow", _start) as server:
        yield _described(server.process, server.port, server.folder)


@contextlib.contextmanager
def running_mlflow(folder: Path) -> Iterator[MlflowServer]:
    """Run an MLflow server on a free port of this computer, as `make phase3-up` does.

    Raises:
        ServiceError: it did not start.

    """
    process, port = _start(folder)
    with process:
        server = _described(psutil.Process(process.pid), port, folder)
        try:
            yield server
        finally:
            stop(server.process)


def _described(process: psutil.Process, port: int, folder: Path) -> MlflowServer:
    password = (folder / "mlflow-password").read_text()
    return MlflowServer(f"http://127.0.0.1:{port}", process, password, folder / "store")


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    port = free_port()
    given = {"PIPELINE_MLFLOW_STORE": str(folder / "store"), "PIPELINE_HOME": str(folder)}
    command = [sys.executable, "-m", "phase3_mlops_core", "mlflow-server", "--port", str(port)]
    return start_server(command, folder / "log", lambda: _asks_for_a_login(port), **given), port


def _asks_for_a_login(port: int) -> bool:
    """An answer to /health comes before it can open its database, which is not what tests want to wait for."""
    search = f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/search?max_results=1"
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(search, trust_env=False, timeout=120).status_code == httpx.codes.UNAUTHORIZED
    return False
