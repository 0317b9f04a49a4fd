"""Room: retraining. What the verbs say to a scheduler, by their codes and their JSON."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from phase3_mlops_core.cli import cli
from phase3_mlops_core.landing.zone import land_month
from phase3_mlops_core.registry.versions import Registry
from phase3_mlops_core.retraining import steps
from phase3_mlops_core.retraining.sales import known_sales
from phase3_mlops_core.sales_table.manifest import DeliveryRecord, read_manifest, write_manifest
from phase3_mlops_core.testing import environment_of, write_sales_table
from phase3_mlops_core.training.plan import MonthlyPlan

SMALL = MonthlyPlan("trees", 6, parameters={"log_price__n_estimators": 15, "log_price__learning_rate": 0.3})
MONTHS = ("2012-01", "2012-02")


@pytest.fixture
def home(registry: Registry, seattle_sales: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    settings = registry.settings
    for month in MONTHS:
        land_month(settings.home, month, pd.DataFrame({"sale_date": [f"{month}-03"]}))
    write_sales_table(settings.home, seattle_sales[seattle_sales["sale_date"] < "2012-03"], dt.date(2012, 2, 29))
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return settings.home


def said(*words: str, code: int = 0) -> Any:
    result: Result = CliRunner().invoke(cli, words)
    assert result.exit_code == code, result.output
    return json.loads(result.stdout) if result.stdout else None


def trained(registry: Registry, month: str) -> int:
    period = pd.Period(month, "M")
    known = known_sales(registry.settings.home, period)
    return steps.train(registry, known, period, SMALL, False, print).version.number


def test_a_month_is_next_until_the_gate_has_decided(registry: Registry, home: Path) -> None:
    assert said("next-month", "--json") == {"month": "2012-02", "waiting": ["2012-02"]}
    first = trained(registry, "2012-01")
    passed = said("evaluate", "--exit-code", "--json", "--version", str(first))
    promoted = said("promote", "--json", "--version", str(first))
    then = said("next-month", "--exit-code", "--json")
    second = trained(registry, "2012-02")
    refused = said("evaluate", "--exit-code", "--json", "--version", str(second), code=99)
    at_last = said("next-month", "--exit-code", "--json", code=99)

    assert passed["passed"]
    assert promoted["run_page"] == registry.run_page(registry.numbered(first))
    assert then == {"month": "2012-02", "waiting": ["2012-02"]}
    assert not refused["passed"]
    assert refused["report_page"].startswith(registry.run_page(registry.numbered(second)) + "/artifacts/gate-")
    assert at_last == {"month": None, "waiting": []}
    assert said("next-month", "--json") == at_last


def test_a_quarantined_month_is_no_failure_for_a_scheduler(registry: Registry, home: Path) -> None:
    name = land_month(home, "2012-03", pd.DataFrame({"sale_date": ["2012-03-03"]})).delivery.name
    manifest = read_manifest(home)
    assert manifest
    held = DeliveryRecord(rows=1, valid=0, refused=1, held="prices are in cents")
    write_manifest(home, manifest.model_copy(update={"deliveries": {name: held}}))

    assert said("train", "--exit-code", "--json", "--month", "2012-03", code=99) is None
    assert said("train", "--json", "--month", "2012-03", code=1) is None
    assert said("next-month", "--json")["month"] == "2012-02"


def test_a_command_that_works_makes_another_one_try_again(registry: Registry, home: Path) -> None:
    from phase3_mlops_core.retraining.lock import pipeline_lock

    with pipeline_lock(home, "a test"):
        assert said("promote", "--json", code=75) is None
