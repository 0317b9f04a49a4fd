"""Spark decides of each row what phase 1 decides: over dirt of all kinds, and with the same words."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from phase1_docker_api.schemas import Sale
from phase1_docker_api.training.history_rules import refuse_repeats
from phase1_docker_api.training.reading import UNREADABLE
from phase1_docker_api.training.row_rules import check_rows
from phase3_mlops_core.preparation import row_rules
from phase3_mlops_core.preparation.history_rules import mark_repeats
from phase3_mlops_core.preparation.session import LARGE_BYTES, plan_for
from phase3_mlops_core.preparation.tables import RAW, VALID
from pyspark.sql import SparkSession

AS_OF = dt.date(2012, 2, 29)
SOUND = {
    "land_area_sqft": "5000",
    "bedrooms": "3",
    "sale_date": "2012-02-03",
    "price": "400000",
    "living_area_sqft": "1800.0",
    "waterfront": "0",
    "sale_id": "s1",
}
# Each query costs a second: few examples, each of many rows.
FEW = settings(
    max_examples=3, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, *HealthCheck]
)
GAPS = ["", " ", "-", "NA", "na", "N/A", "#N/A", "<NA>", "nan", "NaT", "None", "NULL", "\u00a0", "\x1c", None]
NUMBERS = [
    "0", "-0", "3", "3.0", "3.", ".5", "+7", "-1", "2.5", "1e3", "1E-3", "1e999", "-1e999", "1e300", "inf", "-Infinity",
    "+nan", "1_000", "1,5", "0x10", "1d", "1f", "\u0663", "\u2007300 ", "\t300\n", "300", "299.9", "1e5", "100000.1",
    "2100", "1699.9999999999998", "10000000", "10000000.000000002", "1000000001", "9999.99", "13", "14", "90", "-180.1",
]  # fmt: skip
DAYS = [
    "2012-02-29", "2012-03-01", "2012-2-3", "2012/2/30", "20120203", "20120203.0", "2012.02.03", "2012-02/03",
    "0000-01-01", "1899-12-31", "2100-01-02", "2012-02-03T10:00:00+07:00", "2012-02-03 10:00Z", "2012-02-03t1000",
    "2012-02-03 25", "2012-02", "2012", "2012-02-03T10:00:00.5 UTC", "2012-02-031", "03.02.2012",
    "2012-02-03 10:00:00,123456-08",
]  # fmt: skip
NAMES = ["12730.0", "12730", "-5.00", "\u0661.0", "x" * 64, "x" * 65, "é" * 64, "\U0001f3e0" * 65, "A12 ", "1.50", "NA"]
TRUTHS = ["0", "1", "0.0", "T", "yes", "No", "FALSE", "2", "on", "1.00"]
WORDS = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=6)
CELLS = st.one_of(*map(st.sampled_from, (GAPS, NUMBERS, DAYS, NAMES, TRUTHS)), WORDS)


@st.composite
def dirty_rows(draw: st.DrawFn) -> list[dict[str, str | None]]:
    """Rows that are sound but for one to three cells, each column with each kind of cell."""
    kinds = [*GAPS, *NUMBERS, *DAYS, *NAMES, *TRUTHS]
    each = [SOUND | {name: cell} for name in Sale.model_fields for cell in kinds]
    some = st.dictionaries(st.sampled_from(list(Sale.model_fields)), CELLS, min_size=1, max_size=3)
    unreadable = {UNREADABLE: "row: more cells than the header, got a,b", "price": "x"}
    return [*each, unreadable, *(SOUND | draw(some) for _ in range(50))]


@pytest.mark.parametrize("size", [0, LARGE_BYTES + 1], ids=["interpreted", "compiled"])
@FEW
@given(rows=dirty_rows())
def test_a_row_gets_the_same_cells_and_the_same_reasons_in_both_engines(
    spark: SparkSession, size: int, rows: list[dict[str, str | None]]
) -> None:
    plan_for(spark, size)
    names = [*Sale.model_fields, UNREADABLE]
    raw = pd.DataFrame([{name: row.get(name) for name in names} for row in rows], dtype=object)

    valid, faults = check_rows(raw, AS_OF)
    frame = spark.createDataFrame([(place, *row) for place, row in enumerate(raw.itertuples(index=False))], RAW)
    checked = {row["row"]: row.asDict() for row in row_rules.check_rows(frame, AS_OF).collect()}

    reasons: dict[int, str | None] = dict.fromkeys(range(len(raw)))
    for fault in faults:
        reasons[fault.row] = f"{reasons[fault.row]}; {fault.rule}" if reasons[fault.row] else fault.rule
    assert {place: row["reason"] for place, row in checked.items()} == reasons
    assert {place: _plain(checked[place]) for place in valid.index} == {
        place: _plain(row) for place, row in zip(valid.index, valid.to_dict("records"), strict=True)
    }


SALES = st.fixed_dictionaries(
    {
        "sale_id": st.sampled_from(["a", "b", "c", "d", "B", "é", "\U0001f3e0", None]),
        "property_id": st.sampled_from(["p", "q", None]),
        "sale_date": st.sampled_from([dt.date(2012, 1, 1) + dt.timedelta(days=day) for day in (0, 1, 30, 31, 32, 64)]),
        "price": st.sampled_from([200_000.0, 300_000.0]),
        "land_area_sqft": st.sampled_from([4000.0, 5000.0]),
        "bedrooms": st.sampled_from([2.0, 3.0]),
        "waterfront": st.sampled_from([True, False, None]),
        "neighborhood": st.sampled_from(["A1", "a1", None]),
    }
)


@pytest.mark.parametrize("size", [0, LARGE_BYTES + 1], ids=["interpreted", "compiled"])
@FEW
@given(cases=st.lists(st.lists(SALES, min_size=2, max_size=9), min_size=40, max_size=40))
def test_the_same_rows_are_repeats_in_both_engines(
    spark: SparkSession, size: int, cases: list[list[dict[str, Any]]]
) -> None:
    plan_for(spark, size)
    # A query for 40 small histories: each has parcels and ids of its own.
    rows = [
        sale | {name: sale[name] and f"{sale[name]}{case}" for name in ("sale_id", "property_id")}
        for case, sales in enumerate(cases)
        for sale in sales
    ]
    valid = pd.DataFrame(rows).reindex(columns=list(Sale.model_fields)).astype({"sale_date": "datetime64[ns]"})

    expected = refuse_repeats(valid)
    cells = valid.astype(object).where(valid.notna(), None).assign(sale_date=valid["sale_date"].dt.date)
    frame = spark.createDataFrame(
        [("d", place, *row) for place, row in enumerate(cells.itertuples(index=False))], VALID
    )
    marked = {row["row"]: row["repeats"] for row in mark_repeats(frame).collect()}

    assert marked == {place: reason if isinstance(reason, str) else None for place, reason in expected.items()}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Write cells so that those of both engines compare: a gap as None, a day as a date."""
    cells = {name: row[name] for name in Sale.model_fields}
    cells["sale_date"] = pd.Timestamp(cells["sale_date"]).date()
    return {name: None if cell is None or cell != cell else cell for name, cell in cells.items()}
