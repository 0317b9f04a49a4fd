"""Room: registry. Many processes that register at once, and the server that comes with MLflow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pandas as pd
import pytest
from phase1_docker_api.model.artifact import write_artifact
from phase1_docker_api.schemas import House
from phase1_docker_api.service.launch import free_port
from phase1_docker_api.training.sales import records_of
from phase3_mlops_core.registry.connection import client_environment
from phase3_mlops_core.registry.runs import open_run
from phase3_mlops_core.registry.versions import Registry
from phase3_mlops_core.testing import environment_of
from phase3_mlops_core.training.monthly import Trained

pytestmark = pytest.mark.pipeline

REGISTER = """
import sys
from pathlib import Path
from phase3_mlops_core.registry.runs import open_run
from phase3_mlops_core.registry.versions import Registry
from phase3_mlops_core.settings import PipelineSettings

registry, (served, scored, first, number) = Registry(PipelineSettings()), sys.argv[1:]
for each in range(int(first), int(first) + int(number)):
    with open_run(registry, "many", {}) as run_id:
        tags = {"model_version": f"trees-2012-02-{each:08d}"}
        registry.register(Path(served), Path(scored), tags, "One of many.", run_id)
"""
# Two processes each register the same models: 8 x 50 registrations of 200 models.
PROCESSES, EACH = 8, 50


def test_many_processes_lose_no_version_and_make_none_twice(
    registry: Registry, february: Trained, tmp_path: Path
) -> None:
    for model, name in ((february.refit, "model"), (february.scored, "scored")):
        write_artifact(model, tmp_path / name)
    given = environment_of(registry.settings) | {"PIPELINE_MLFLOW_SECONDS": "300"}
    program = tmp_path / "register.py"  # pyspark's client, which MLflow imports, ends a program that is no file
    program.write_text(REGISTER)
    command = [sys.executable, str(program), str(tmp_path / "model"), str(tmp_path / "scored")]
    processes = [
        subprocess.Popen([*command, str(EACH * (number // 2)), str(EACH)], env=os.environ | given)
        for number in range(PROCESSES)
    ]

    codes = [process.wait() for process in processes]

    assert codes == [0] * PROCESSES
    registered = sorted(version.model_version for version in registry.versions())
    assert registered == [f"trees-2012-02-{each:08d}" for each in range(EACH * PROCESSES // 2)]


def test_the_stock_server_gives_our_prices_to_the_cent(
    registry: Registry, february: Trained, tmp_path: Path, seattle_sales: pd.DataFrame
) -> None:
    for model, name in ((february.refit, "model"), (february.scored, "scored")):
        write_artifact(model, tmp_path / name)
    with open_run(registry, "served", {}) as run_id:
        tags = {"model_version": february.refit.card.model_version}
        version = registry.register(tmp_path / "model", tmp_path / "scored", tags, "A story.", run_id)
    rows, port = seattle_sales.tail(500), free_port()
    houses = rows[[name for name in House.model_fields if name in rows]]
    uri = f"models:/{registry.name}/{version.number}"
    bin = Path(sys.executable).parent
    command = [str(bin / "mlflow"), "models", "serve", "--model-uri", uri, "--port", str(port), "--workers", "1"]
    environment = os.environ | client_environment(registry.settings) | {"PATH": f"{bin}:{os.environ['PATH']}"}
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(
            [*command, "--env-manager", "local"], env=environment, stdout=log, stderr=log, start_new_session=True
        ) as server,
    ):
        try:
            body = json.dumps({"dataframe_split": json.loads(houses.to_json(orient="split", index=False))})
            answer = answered(f"http://127.0.0.1:{port}", body, server)
        except AssertionError as error:
            raise AssertionError((tmp_path / "log").read_text()) from error
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)

    ours = [e.price_usd for e in february.refit.estimate([House(**record) for record in records_of(rows)])]
    assert [price["price_usd"] for price in answer["predictions"]] == ours


def answered(url: str, body: str, server: subprocess.Popen[bytes]) -> dict[str, list[dict[str, float]]]:
    headers = {"Content-Type": "application/json"}
    while server.poll() is None:
        try:
            httpx.get(f"{url}/ping", trust_env=False, timeout=60).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.5)
            continue
        answer = httpx.post(f"{url}/invocations", content=body, headers=headers, trust_env=False, timeout=120)
        answer.raise_for_status()
        return dict(answer.json())
    raise AssertionError("the stock server did not start")
