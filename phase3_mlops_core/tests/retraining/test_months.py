"""Room: retraining. Which landed month is next, by what the registry and the sales table say."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from phase1_docker_api.testing import TODAY
from phase3_mlops_core.landing.zone import land_month, list_deliveries
from phase3_mlops_core.registry.versions import Version
from phase3_mlops_core.retraining.months import waiting_months
from phase3_mlops_core.sales_table.manifest import DeliveryRecord, read_manifest, write_manifest
from phase3_mlops_core.testing import write_sales_table

REFUSED = {"gate": "refused"}
PROMOTED = {"gate": "passed", "promoted_as_of": "2012-02"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for month in ("2012-01", "2012-02", "2012-03", "2012-04"):
        land(tmp_path, month)
    return tmp_path


def land(home: Path, month: str, price: str = "300000") -> str:
    return land_month(home, month, pd.DataFrame({"sale_date": [f"{month}-03"], "price": [price]})).delivery.name


def version(month: str, **tags: str) -> Version:
    return Version(1, "run", {"month": month, "model_version": f"trees-{month}", **tags})


def quarantine(home: Path, sales: pd.DataFrame, month: str) -> None:
    held = DeliveryRecord(rows=1, valid=0, refused=1, held="1 of 1 rows breaks a range")
    name = list_deliveries(home)[month][-1].name
    manifest = read_manifest(home) or write_sales_table(home, sales, TODAY)
    write_manifest(home, manifest.model_copy(update={"deliveries": {**manifest.deliveries, name: held}}))


def test_before_the_first_decision_only_the_newest_month_waits(home: Path) -> None:
    assert waiting_months(home, []) == ["2012-04"]
    assert waiting_months(home, [version("2012-03"), version("2012-02", gate="passed")]) == ["2012-04"]


@pytest.mark.parametrize("decision", [REFUSED, PROMOTED])
def test_the_months_after_the_newest_decision_wait_in_order(home: Path, decision: dict[str, str]) -> None:
    assert waiting_months(home, [version("2012-02", **decision)]) == ["2012-03", "2012-04"]


def test_no_month_waits_where_the_newest_one_is_decided_or_nothing_landed(home: Path, tmp_path: Path) -> None:
    assert waiting_months(home, [version("2012-04", **REFUSED)]) == []
    assert waiting_months(tmp_path / "empty", []) == []


def test_a_month_that_lands_late_does_not_go_back_behind_a_decision(home: Path) -> None:
    land(home, "2011-12")

    assert waiting_months(home, [version("2012-04", **PROMOTED)]) == []


def test_a_quarantined_month_waits_only_for_a_better_delivery(home: Path, seattle_sales: pd.DataFrame) -> None:
    first = [version("2012-02", **REFUSED)]
    quarantine(home, seattle_sales.head(50), "2012-03")
    held = waiting_months(home, first)

    land(home, "2012-03", price="310000")

    assert held == ["2012-04"]
    assert waiting_months(home, first) == ["2012-03", "2012-04"]
