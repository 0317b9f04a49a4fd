"""The sales table, read without Spark."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal
from phase1_docker_api.testing import TODAY
from phase3_mlops_core.errors import PreparationError
from phase3_mlops_core.sales_table.content import SCHEMA, content_digest
from phase3_mlops_core.sales_table.manifest import table_folder
from phase3_mlops_core.sales_table.reading import read_table
from phase3_mlops_core.testing import write_sales_table


@pytest.fixture(scope="module")
def home(seattle_sales: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    write_sales_table(home, seattle_sales, TODAY)
    return home


def test_the_frame_is_the_one_that_phase_1_cleans(home: Path, seattle_sales: pd.DataFrame) -> None:
    table = read_table(home)

    assert_frame_equal(table.frame, seattle_sales, check_exact=True)


def test_until_is_the_last_day_that_is_read(home: Path, seattle_sales: pd.DataFrame) -> None:
    table = read_table(home, until=dt.date(2012, 2, 15))

    expected = seattle_sales[seattle_sales["sale_date"] <= "2012-02-15"].reset_index(drop=True)
    assert_frame_equal(table.frame, expected, check_exact=True)
    assert table.digest != read_table(home, until=dt.date(2012, 2, 14)).digest


def test_the_digest_follows_each_cell_and_not_the_files(
    home: Path, seattle_sales: pd.DataFrame, tmp_path: Path
) -> None:
    sales = seattle_sales[seattle_sales["sale_date"] < "2010-03-01"]
    digest = {}
    for name in sales.columns:
        changed = sales.astype({name: object})
        changed.loc[3, name] = None if name not in ("sale_date", "price") else changed.loc[4, name]
        write_sales_table(tmp_path / name, changed.astype({"sale_date": "datetime64[ns]"}), TODAY)
        digest[name] = read_table(tmp_path / name).digest
    del digest["sale_date"]
    write_sales_table(tmp_path, sales, TODAY)

    whole = read_table(home, until=dt.date(2010, 2, 28)).digest
    assert whole == read_table(tmp_path).digest
    assert len({whole, *digest.values()}) == len(digest) + 1


def test_a_table_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match="make land MONTH"):
        read_table(tmp_path)


def test_a_file_of_the_table_that_is_gone_is_named(seattle_sales: pd.DataFrame, tmp_path: Path) -> None:
    write_sales_table(tmp_path, seattle_sales.head(500), TODAY)
    next(table_folder(tmp_path).rglob("*.parquet")).unlink()

    with pytest.raises(PreparationError, match="--afresh"):
        read_table(tmp_path)


def test_the_digest_does_not_depend_on_how_rows_are_parted(seattle_sales: pd.DataFrame) -> None:
    some = seattle_sales.head(300).astype({"waterfront": object})
    some.loc[7, ["waterfront", "living_area_sqft", "neighborhood"]] = None
    rows = pa.Table.from_pandas(some.reindex(columns=SCHEMA.names), schema=SCHEMA, preserve_index=False)

    assert content_digest([rows]) == content_digest([rows.slice(0, 5), rows.slice(5, 0), rows.slice(5)])
