"""Files of sales as other programs write them: what is read, what is refused, and what the message says to do."""

from __future__ import annotations

import datetime as dt
import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from phase1_docker_api.errors import SalesFileError
from phase1_docker_api.training.reading import ignored_columns, read_sales
from phase1_docker_api.training.sales import CleanedSales, load_clean_sales

TODAY = dt.date(2022, 1, 1)
HEADER = "sale_date,price,land_area_sqft,bedrooms"
ROW = "2020-01-01,373626,3949,5"
GOOD = {"sale_date": "2020-01-01", "price": 373_626, "land_area_sqft": 3949, "bedrooms": 5}


def cleaned_csv(folder: Path, header: str, *rows: str) -> CleanedSales:
    path = folder / "sales.csv"
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return load_clean_sales(path, TODAY)


def cleaned_parquet(folder: Path, **columns: list[Any]) -> CleanedSales:
    """Clean one good row for each value; the row's own cells win."""
    path = folder / "sales.parquet"
    rows = len(next(iter(columns.values())))
    pq.write_table(pa.table({name: [value] * rows for name, value in GOOD.items()} | columns), path)
    return load_clean_sales(path, TODAY)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (f"{HEADER},latitude,longitude", f"{ROW},-6,2,106,8"),
        (f"{HEADER},bathrooms", f"{ROW},1,75"),
        (f"{HEADER},neighborhood", f"{ROW},Ballard, north"),
    ],
)
def test_a_row_with_more_cells_than_the_header_is_refused_alone(tmp_path: Path, header: str, row: str) -> None:
    cleaned = cleaned_csv(tmp_path, header, ROW, row, f"{ROW},,,,,,")

    assert cleaned.refused["row"].tolist() == [2]
    assert cleaned.refused["reason"].item().startswith("row: more cells than the header")
    assert cleaned.refused["reason"].item().endswith(f"got {row}")
    assert cleaned.refused["price"].isna().all()
    assert len(cleaned.clean) == 2


def test_a_decimal_comma_in_quotes_is_no_number(tmp_path: Path) -> None:
    cleaned = cleaned_csv(tmp_path, f"{HEADER},bathrooms", ROW, f'{ROW},"1,75"')

    assert cleaned.refused["reason"].tolist() == ["bathrooms: Input should be a valid number, got '1,75'"]


def test_blanks_around_names_and_cells_and_blank_rows_make_no_difference(tmp_path: Path) -> None:
    cleaned = cleaned_csv(
        tmp_path,
        "\ufeff sale_date , price,land_area_sqft ,bedrooms, neighborhood ,waterfront",
        "",
        " 2020-01-01 , 373626 , 3949, 5 , A 1 , yes ",
        "   ",
    )

    assert cleaned.refused.empty
    assert cleaned.clean[["neighborhood", "waterfront"]].to_numpy().tolist() == [["A 1", True]]


@pytest.mark.parametrize("gap", ["", "  ", "None", "n/a", "#N/A", "<NA>", "-", "NULL", "null", "nan", "NaN"])
def test_the_usual_spellings_of_a_gap_are_gaps_in_every_optional_column(tmp_path: Path, gap: str) -> None:
    optional = ["living_area_sqft", "year_built", "waterfront", "neighborhood", "sale_id", "property_id"]

    cleaned = cleaned_csv(tmp_path, ",".join([HEADER, *optional]), *[",".join([ROW, *[gap] * len(optional)])] * 2)

    assert cleaned.refused.empty
    assert list(cleaned.clean) == ["land_area_sqft", "bedrooms", "sale_date", "price"]


def test_na_may_be_an_area_but_is_no_parcel(tmp_path: Path) -> None:
    cleaned = cleaned_csv(tmp_path, f"{HEADER},neighborhood,property_id", f"{ROW},NA,NA", f"{ROW},NA,NA")

    assert cleaned.clean["neighborhood"].tolist() == ["NA", "NA"]
    assert "property_id" not in cleaned.clean


@pytest.mark.parametrize(
    "day",
    [
        "2021-01-01",
        "2021-01-01T00:00:00+07:00",
        "2021-01-01 23:30:00-08:00",
        "2021-01-01T00:00:00Z",
        "20210101",
        "2021/1/1",
    ],
)
def test_the_day_is_the_one_that_is_written(tmp_path: Path, day: str) -> None:
    cleaned = cleaned_csv(tmp_path, HEADER, f"{day},373626,3949,5")

    assert cleaned.clean["sale_date"].dt.date.tolist() == [dt.date(2021, 1, 1)]


@pytest.mark.parametrize("day", ["2014-10", "2014", "2014.0", "03/01/2014", "2014-02-30", "2014-10-01 noon"])
def test_a_month_or_a_year_is_no_day(tmp_path: Path, day: str) -> None:
    cleaned = cleaned_csv(tmp_path, HEADER, ROW, f"{day},373626,3949,5")

    assert cleaned.refused["row"].tolist() == [2]
    assert cleaned.refused["reason"].item().startswith("sale_date: Input should be a valid date")


def test_a_year_that_is_a_number_is_no_day(tmp_path: Path) -> None:
    with pytest.raises(SalesFileError, match="sale_date: Input should be a valid date"):
        cleaned_parquet(tmp_path, sale_date=[2014, 2015])


def test_a_moment_in_a_zone_is_of_the_day_there(tmp_path: Path) -> None:
    moments = pd.Series(pd.to_datetime(["2021-01-01T00:00:00+07:00"])).dt.tz_convert("Asia/Jakarta")

    cleaned = cleaned_parquet(tmp_path, sale_date=pa.array(moments))

    assert cleaned.clean["sale_date"].dt.date.tolist() == [dt.date(2021, 1, 1)]


@pytest.mark.parametrize(
    ("names", "read"),
    [
        ([12730, None], ["12730", None]),
        ([12730.0, None], ["12730", None]),
        ([1234567890123456789, None], ["1234567890123456789", None]),
        ([b"12730", b"A1"], ["12730", "A1"]),
        ([" A1 ", "n/a"], ["A1", None]),
    ],
)
def test_a_name_is_text_whatever_type_its_column_has(tmp_path: Path, names: list[Any], read: list[Any]) -> None:
    cleaned = cleaned_parquet(tmp_path, neighborhood=names)

    assert cleaned.refused.empty
    assert cleaned.clean["neighborhood"].tolist() == read


def test_a_csv_and_a_parquet_file_that_pandas_writes_of_names_with_gaps_are_the_same(tmp_path: Path) -> None:
    frame = pd.DataFrame([{**GOOD, "neighborhood": 12730}, GOOD])
    frame.to_csv(tmp_path / "sales.csv", index=False)
    frame.to_parquet(tmp_path / "sales.parquet")

    clean = [load_clean_sales(tmp_path / f"sales.{kind}", TODAY).clean for kind in ("csv", "parquet")]

    assert clean[0]["neighborhood"].tolist() == ["12730", None]
    pd.testing.assert_frame_equal(*clean)


@pytest.mark.parametrize("cell", [["A1"], b"\xff", True, dt.date(2020, 1, 1)])
def test_what_is_no_text_is_refused_as_a_name(tmp_path: Path, cell: object) -> None:
    cleaned = cleaned_parquet(tmp_path, neighborhood=[cell, None])

    assert cleaned.refused["row"].tolist() == [1]
    assert cleaned.refused["reason"].item().startswith("neighborhood: Input should be a valid string")


def test_a_truth_value_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(SalesFileError, match="bedrooms: Input should be a valid integer"):
        cleaned_parquet(tmp_path, bedrooms=[True])


def test_a_named_index_is_a_column(tmp_path: Path) -> None:
    frame = pd.DataFrame([{**GOOD, "sale_id": name} for name in ("b", "a")])
    frame.set_index("sale_id").to_parquet(tmp_path / "named.parquet")
    frame.rename_axis("property_id").to_parquet(tmp_path / "counted.parquet")

    named, counted = (load_clean_sales(tmp_path / f"{name}.parquet", TODAY).clean for name in ("named", "counted"))

    assert named["sale_id"].tolist() == ["a", "b"]
    assert counted["property_id"].tolist() == ["1", "0"]


def test_a_column_that_comes_twice_is_named(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text(f"{HEADER}, price\n{ROW},1\n")
    pq.write_table(pa.table([[1], [2]], names=["price", "price"]), tmp_path / "sales.parquet")

    for kind in ("csv", "parquet"):
        with pytest.raises(SalesFileError, match="has the column price twice"):
            read_sales(tmp_path / f"sales.{kind}")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("sales.csv", f"{HEADER}\n{ROW}\n".replace(",", "\t"), "by commas, not tabs"),
        ("sales.csv", f"sep=,\n{HEADER}\n{ROW}\n", "delete the first line, sep=: it is for Excel alone"),
        ("sales.csv", f"sep=;\n{HEADER}\n{ROW}\n", "delete the first line, sep=;"),
        (
            "sales.csv",
            "Sale Date,PRICE,Land_Area_Sqft,bedroom\n",
            "rename Land_Area_Sqft to land_area_sqft, bedroom to",
        ),
        ("sales.csv", f"{HEADER}\n{ROW}\n".encode("utf-16"), "is UTF-16, not UTF-8; convert it: iconv -f UTF-16"),
        (
            "sales.csv",
            f"{HEADER},neighborhood\n{ROW},Café\n".encode("latin-1"),
            "line 2 has the byte 0xe9; .*iconv -f LATIN1",
        ),
        ("sales.csv", f'{HEADER},neighborhood\n{ROW},"A1\n{ROW},A2\n', "a quote is opened and never closed"),
        ("sales.tsv", f"{HEADER}\n{ROW}\n".replace(",", "\t"), "by commas, not tabs"),
        ("sales.csv.gz", gzip.compress(f"{HEADER}\n{ROW}\n".encode(), mtime=0), "gunzip --keep .*sales.csv.gz"),
        ("sales.xlsx", b"PK", "save the sheet as CSV UTF-8"),
    ],
)
def test_a_file_of_another_kind_is_refused_with_what_to_do(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(SalesFileError, match=message):
        read_sales(path)


def test_ignored_columns_are_named_with_the_field_they_may_be_meant_for(tmp_path: Path) -> None:
    cleaned = cleaned_csv(tmp_path, f"{HEADER},Living_Area_Sqft,agent,", f"{ROW},1800,Ann,")

    assert cleaned.ignored == ["Living_Area_Sqft (did you mean living_area_sqft?)", "agent"]
    assert ignored_columns([*cleaned.clean]) == []
