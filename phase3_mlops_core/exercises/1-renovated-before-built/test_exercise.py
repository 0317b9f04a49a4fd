"""Exercise 1: both engines refuse a house that was renovated before it was built, and give the same reason."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd
import pytest
from phase1_docker_api.schemas import Sale
from phase1_docker_api.training.reading import UNREADABLE
from phase1_docker_api.training.row_rules import check_rows
from phase3_mlops_core.preparation import prepare

AS_OF = dt.date(2012, 2, 29)
RULE = "effective_year_built: before year_built"
SOUND = {"land_area_sqft": "5000", "bedrooms": "3", "sale_date": "2012-02-03", "price": "400000"}
ROWS: dict[str, dict[str, str]] = {
    "built and renovated in one year": {"year_built": "1948", "effective_year_built": "1948"},
    "renovated later": {"year_built": "1948", "effective_year_built": "1975"},
    "renovated before it was built": {"year_built": "1975", "effective_year_built": "1948"},
    "the same, with a wrong number of bedrooms": {
        "year_built": "1975", "effective_year_built": "1948", "bedrooms": "99"
    },
    "without a year of construction": {"effective_year_built": "1948"},
    "without a year of renovation": {"year_built": "1975"},
    "with a year of construction that is NaN": {"year_built": "+nan", "effective_year_built": "1948"},
}  # fmt: skip
NAMES = [*Sale.model_fields, UNREADABLE]
RAW = pd.DataFrame([{name: (SOUND | row).get(name) for name in NAMES} for row in ROWS.values()], dtype=object)
ENVIRONMENT = "make .venv-spark/.installed-spark_server"


def reasons_of_phase_1() -> dict[str, str | None]:
    found: dict[int, list[str]] = {}
    for fault in check_rows(RAW, AS_OF)[1]:
        found.setdefault(fault.row, []).append(fault.rule)
    return {name: "; ".join(found.get(row, [])) or None for row, name in enumerate(ROWS)}


def breaks_the_rule(reason: str | None) -> bool:
    return reason is not None and reason.split("; ")[-1] == RULE


def test_phase_1_refuses_the_row_and_no_other() -> None:
    for name, reason in reasons_of_phase_1().items():
        wanted = "before" in name or "the same" in name
        assert breaks_the_rule(reason) == wanted, f"phase 1 says of a house {name}: {reason or 'no reason'}"


def test_tables_of_the_old_rules_are_prepared_afresh() -> None:
    assert prepare.RULES_VERSION > 1, "a table that the old rules made stays as it is: raise RULES_VERSION"


def test_spark_says_the_same(tmp_path: Path) -> None:
    if not Path(".venv-spark").is_dir():
        pytest.skip(f"it starts a server of Spark, which is not installed: {ENVIRONMENT}")
    from phase3_mlops_core.preparation import row_rules, session, tables
    from phase3_mlops_core.testing_spark import running_spark

    with running_spark(tmp_path) as server, session.spark_session(server.remote) as spark:
        frame = spark.createDataFrame([(at, *row) for at, row in enumerate(RAW.itertuples(index=False))], tables.RAW)
        found = {row["row"]: row["reason"] for row in row_rules.check_rows(frame, AS_OF).collect()}

    for row, (name, reason) in enumerate(reasons_of_phase_1().items()):
        assert found[row] == reason, f"Spark says of a house {name}: {found[row]}; phase 1 says: {reason}"
