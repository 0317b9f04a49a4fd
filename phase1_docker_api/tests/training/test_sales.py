"""Data: what cleaning refuses, with which reason, and that it loses nothing else."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd
import pytest
from phase1_docker_api.errors import NoCleanSalesError, SalesFileError
from phase1_docker_api.testing import SEATTLE
from phase1_docker_api.training.reading import read_sales
from phase1_docker_api.training.sales import clean_sales, load_clean_sales

TODAY = dt.date(2017, 1, 1)
GOOD = {
    "sale_id": "1",
    "property_id": "P1",
    "sale_date": "2011-05-01",
    "price": "500000",
    "land_area_sqft": "5000",
    "bedrooms": "3",
    "living_area_sqft": "1800",
    "waterfront": "0",
    "neighborhood": "A1",
}


def csv_of(folder: Path, *rows: dict[str, str]) -> Path:
    path = folder / "sales.csv"
    pd.DataFrame([{**GOOD, "sale_id": str(i), "property_id": f"P{i}", **row} for i, row in enumerate(rows)]).to_csv(
        path, index=False
    )
    return path


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"price": "501"}, "price"),
        ({"price": ""}, "price"),
        ({"price": "inf"}, "price"),
        ({"price": "500,000"}, "price"),
        ({"land_area_sqft": "-1"}, "land_area_sqft"),
        ({"living_area_sqft": "167"}, "living_area_sqft"),
        ({"bedrooms": "2.5"}, "bedrooms"),
        ({"bedrooms": "three"}, "bedrooms"),
        ({"waterfront": "maybe"}, "waterfront"),
        ({"sale_date": "2011-02-30"}, "sale_date"),
        ({"sale_date": ""}, "sale_date"),
        ({"sale_date": "2017-01-02"}, "sale_date: after 2017-01-01"),
        ({"sale_id": "0"}, "sale_id: seen before"),
        ({"property_id": "P0"}, "property_id: second record of one day"),
        ({"property_id": "P0", "sale_date": "2011-06-01"}, "property_id: same price within 31 days"),
    ],
)
def test_a_faulty_row_is_refused_with_the_field_and_its_neighbours_stay(
    tmp_path: Path, fault: dict[str, str], reason: str
) -> None:
    path = csv_of(tmp_path, {}, fault, {})

    cleaned = load_clean_sales(path, TODAY)

    assert cleaned.refused["row"].tolist() == [2]
    assert cleaned.refused["reason"].iloc[0].startswith(reason)
    assert cleaned.clean["sale_id"].tolist() == ["0", "2"]


@pytest.mark.parametrize(
    "row",
    [
        {"property_id": "P0", "sale_date": "2011-06-02"},  # the 32nd day
        {"property_id": "P0", "sale_date": "2011-05-20", "price": "510000"},  # another price
        {"property_id": "", "sale_id": ""},
        {"living_area_sqft": "", "waterfront": "", "neighborhood": ""},
        {"waterfront": "True", "bedrooms": "3.0", "sale_date": "2017-01-01"},
        {"bedrooms": "0", "price": "1e6"},
    ],
)
def test_a_row_without_a_fault_is_never_lost(tmp_path: Path, row: dict[str, str]) -> None:
    path = csv_of(tmp_path, {}, row)

    cleaned = load_clean_sales(path, TODAY)

    assert cleaned.refused.empty
    assert len(cleaned.clean) == 2


def test_records_within_31_days_of_each_other_are_one_sale(tmp_path: Path) -> None:
    days = ["2011-01-01", "2011-01-21", "2011-02-10", "2011-03-14"]
    path = csv_of(tmp_path, *({"property_id": "P", "sale_date": day} for day in days))

    cleaned = load_clean_sales(path, TODAY)

    assert cleaned.refused["row"].tolist() == [2, 3]


def test_dates_with_zones_names_like_na_and_a_trailing_comma_are_read(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(
        "\ufeffsale_date,price,land_area_sqft,bedrooms,neighborhood,waterfront\n"
        "2011-01-01T10:00:00+02:00,500000,5000,3,NA,Y,\n"
        "2011-01-02,500000,5000,3, Lake ,no,\n",
        encoding="utf-8",
    )

    clean = load_clean_sales(path, TODAY).clean

    assert clean["neighborhood"].tolist() == ["NA", "Lake"]
    assert clean["waterfront"].tolist() == [True, False]
    assert clean["sale_date"].dt.day.tolist() == [1, 2]


def test_a_file_with_no_good_row_is_refused_with_the_commonest_rule_and_its_rows(tmp_path: Path) -> None:
    path = csv_of(tmp_path, {"sale_date": "03/01/2022"}, {"price": "1"}, {"price": "2"})

    with pytest.raises(NoCleanSalesError) as caught:
        load_clean_sales(path, TODAY)

    most = "price: Input should be greater than or equal to 10000 (2)"
    assert str(caught.value) == f"all 3 rows were refused, most often for: {most}"
    assert caught.value.refused["row"].tolist() == [1, 2, 3]


def test_every_seattle_sale_is_either_clean_or_refused_and_the_counts_add_up() -> None:
    raw = read_sales(SEATTLE)

    cleaned = clean_sales(raw, TODAY)

    assert cleaned.counts["read"] == len(raw) == 43_313
    assert cleaned.counts["refused_property_id"] == cleaned.counts["refused"] == 247
    assert list(cleaned.rules.values()) == [136, 111]
    assert sorted([*cleaned.clean["sale_id"], *cleaned.refused["sale_id"]]) == sorted(raw["sale_id"])


def test_csv_and_parquet_of_the_same_sales_clean_alike(tmp_path: Path) -> None:
    sample = pd.read_parquet(SEATTLE).head(500)
    sample.to_csv(tmp_path / "sales.csv", index=False)
    sample.to_parquet(tmp_path / "sales.parquet")

    cleaned = [load_clean_sales(tmp_path / f"sales.{kind}", TODAY).clean for kind in ("csv", "parquet")]

    pd.testing.assert_frame_equal(*cleaned)


def test_the_four_needed_columns_are_enough(tmp_path: Path) -> None:
    pd.DataFrame([GOOD])[["sale_date", "price", "land_area_sqft", "bedrooms"]].to_csv(tmp_path / "sales.csv")

    cleaned = load_clean_sales(tmp_path / "sales.csv", TODAY)

    assert len(cleaned.clean) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("sales.csv", "price,bedrooms\n1,2\n", "no column land_area_sqft, sale_date"),
        ("sales.csv", "sale_date;price;land_area_sqft;bedrooms\n1;2;3;4\n", "commas, not semicolons"),
        ("sales.csv", "sale_date,price,land_area_sqft,bedrooms\n", "no rows"),
        ("sales.csv", "", "is empty"),
        ("sales.parquet", "not parquet", "neither CSV"),
        (None, None, "no sales file"),
    ],
)
def test_a_file_that_holds_no_sales_is_refused_with_what_it_lacks(
    tmp_path: Path, name: str | None, content: str | None, message: str
) -> None:
    path = tmp_path / (name or "nowhere.csv")
    if content is not None:
        path.write_text(content)

    with pytest.raises(SalesFileError, match=message):
        read_sales(path)
