"""Room: course. The check believes a sound pipeline, and each fault has its line and what helps."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from phase1_docker_api.model.artifact import load_model, write_artifact
from phase1_docker_api.service.launch import free_port
from phase3_mlops_core.course.check import rows_add_up, table_is_whole
from phase3_mlops_core.course.check_registry import log_agrees, runs_our_code, stock_tools_agree, strangers_are_refused
from phase3_mlops_core.landing.zone import land_month
from phase3_mlops_core.registry import promotions
from phase3_mlops_core.registry.package import CODE
from phase3_mlops_core.registry.runs import open_run
from phase3_mlops_core.registry.versions import CHAMPION, Registry
from phase3_mlops_core.retraining.recording import version_tags
from phase3_mlops_core.retraining.sales import KnownSales
from phase3_mlops_core.sales_table.manifest import Manifest, table_folder, write_manifest
from phase3_mlops_core.settings import PipelineSettings
from phase3_mlops_core.testing import environment_of, write_sales_table
from phase3_mlops_core.testing_spark import SparkServer
from phase3_mlops_core.training.monthly import Trained

MONTH = "2012-02"


def with_table(home: Path, sales: pd.DataFrame) -> Manifest:
    """Land a month of clean sales, and write the table that comes of it."""
    month = sales[sales["sale_date"].dt.strftime("%Y-%m") == MONTH]
    landed = land_month(home, MONTH, month)
    made = write_sales_table(home, month, dt.date(2012, 2, 29))
    manifest = made.model_copy(update={"in_use": {MONTH: landed.delivery.name}})
    write_manifest(home, manifest)
    return manifest


@pytest.fixture
def champion(registry: Registry, february: Trained, seattle_sales: pd.DataFrame, tmp_path: Path) -> Registry:
    """A registry with a champion, and the log that says so."""
    tags = version_tags(february, KnownSales(seattle_sales, "0" * 64, "a test"))
    write_artifact(february.refit, tmp_path / "model")
    write_artifact(february.scored, tmp_path / "scored")
    with open_run(registry, MONTH, {}) as run_id:
        version = registry.register(tmp_path / "model", tmp_path / "scored", tags, "a test", run_id)
    registry.name_as(CHAMPION, version)
    line = {
        "as_of": MONTH,
        "decided_at": dt.datetime.now(dt.UTC),
        "who": "a test",
        "why": "a test",
        "from_version": None,
    }
    line |= {"to_version": version.number, "model_version": version.model_version, "figures": {}, "data_sha256": ""}
    promotions.append(registry.settings.home, promotions.Promotion(**line, run_id=run_id))
    return registry


@pytest.mark.slow
def test_a_sound_pipeline_holds_in_each_line(
    champion: Registry, seattle_sales: pd.DataFrame, spark_server: SparkServer
) -> None:
    settings = champion.settings
    with_table(settings.home, seattle_sales)
    given = environment_of(settings)
    before = sorted(settings.home.rglob("*"))

    code, findings = checked(given, spark_server.remote)

    assert [each for each in findings if not each["holds"]] == []
    assert len(findings) == 8
    assert code == 0
    assert sorted(settings.home.rglob("*")) == before, "it changes nothing"


def checked(given: dict[str, str], remote: str) -> tuple[int, list[dict[str, Any]]]:
    """Run the verb in a process of its own: it sets its process up as a client of MLflow and of Spark."""
    command = [sys.executable, "-m", "phase3_mlops_core", "check", "--json", "--spark", remote]
    done = subprocess.run(command, env=os.environ | given, capture_output=True, text=True)
    *findings, exercises = json.loads(done.stdout)
    assert exercises["name"] == "exercises"
    return done.returncode, findings


def test_without_servers_each_line_says_what_to_run(tmp_path: Path) -> None:
    given = {"PIPELINE_HOME": str(tmp_path), "PIPELINE_MLFLOW_URL": f"http://127.0.0.1:{free_port()}"}

    code, findings = checked(given, f"sc://127.0.0.1:{free_port()}")

    wrong = {each["name"]: each["hint"] for each in findings if each["holds"] is False}
    assert wrong == {
        "Spark": "make phase3-up",
        "landing zone": "make land MONTH=2012-01",
        "strangers": "make phase3-up",
        "MLflow": "make phase3-up",
    }
    assert all(each["holds"] is None for each in findings if each["name"] not in wrong)
    assert code == 1


def test_a_row_that_is_neither_in_the_table_nor_in_quarantine_is_missed(
    seattle_sales: pd.DataFrame, tmp_path: Path
) -> None:
    manifest = with_table(tmp_path, seattle_sales)
    assert rows_add_up(tmp_path, manifest).holds is True
    assert rows_add_up(tmp_path, None).holds is None
    file = table_folder(tmp_path) / "builds/double/month=2012-02/clean.parquet"
    pq.write_table(pq.read_table(file).slice(1), file)

    finding = rows_add_up(tmp_path, manifest)

    assert finding.holds is False
    assert "≠" in finding.seen
    file.unlink()
    assert rows_add_up(tmp_path, manifest).holds is False


def test_a_month_that_is_not_prepared_yet_is_named(seattle_sales: pd.DataFrame, tmp_path: Path) -> None:
    manifest = with_table(tmp_path, seattle_sales)
    land_month(tmp_path, "2012-03", seattle_sales.head(3))

    finding = rows_add_up(tmp_path, manifest)

    assert finding.holds is None
    assert "2012-03 is not prepared yet" in finding.seen


def test_a_price_that_was_changed_in_the_table_is_noticed(seattle_sales: pd.DataFrame, tmp_path: Path) -> None:
    manifest = with_table(tmp_path, seattle_sales)
    assert table_is_whole(tmp_path, manifest).holds is True
    file = table_folder(tmp_path) / "builds/double/month=2012-02/clean.parquet"
    rows = pq.read_table(file)
    at = rows.schema.get_field_index("price")
    pq.write_table(rows.set_column(at, rows.schema.field(at), pc.add(rows["price"], pa.scalar(1.0))), file)

    finding = table_is_whole(tmp_path, manifest)

    assert finding.holds is False
    assert "2012-02" in finding.seen


@pytest.fixture
def open_server() -> Iterator[str]:
    """Whatever is asked, it answers 200."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_server_that_lets_strangers_in_does_not_hold(open_server: str, tmp_path: Path) -> None:
    finding = strangers_are_refused(PipelineSettings(home=tmp_path, mlflow_url=open_server))

    assert finding.holds is False
    assert "answers 200" in finding.seen


def test_a_champion_that_the_log_does_not_know_is_named(champion: Registry) -> None:
    assert log_agrees(champion).holds is True
    promotions.log_file(champion.settings.home).unlink()

    finding = log_agrees(champion)

    assert finding.holds is False
    assert "the log holds no promotion" in finding.seen


def test_code_in_the_store_that_is_not_ours_is_not_run(champion: Registry, mlflow_store: Path, tmp_path: Path) -> None:
    version = champion.numbered(1)
    with champion.fetched(version) as folder:
        model = load_model(folder)
    assert stock_tools_agree(champion, version, model).holds is True
    source = champion.client.get_model_version(champion.name, "1").source
    (file,) = mlflow_store.glob(f"**/{str(source).rsplit('/', 1)[1]}/artifacts/{CODE.name}")
    sprung = tmp_path / "sprung"
    file.write_text(f"from pathlib import Path\nPath({str(sprung)!r}).touch()\n" + CODE.read_text())

    finding = stock_tools_agree(champion, version, model)

    assert finding.holds is None
    assert not sprung.exists()
    assert not runs_our_code(file.parent)
