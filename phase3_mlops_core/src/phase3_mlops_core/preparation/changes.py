"""Find what a new raw file can change in the table, by reading three columns of it; the rows are left to Spark."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from phase1_docker_api.training.history_rules import REPEAT_DAYS

_COLUMNS = pa.schema([("delivery", pa.string()), ("sale_id", pa.string()), ("sale_date", pa.date32())])


def changed_days(new: list[Path], history: list[Path], removed: Iterable[str]) -> set[dt.date]:
    """Give the days of the rows that come (`new`) and go (`removed` deliveries), and of rows with the `sale_id` of one.

    A row changes what is kept on its own day and on the 31 days after it. A row that has its `sale_id` does too,
    because one of the two is refused.
    """
    gone = pc.field("delivery").isin(pa.array(sorted(removed), pa.string()))
    moved = pa.concat_tables([_read(new, None), _read(history, gone)])
    renamed = _read(history, _has_id_of(moved))
    return {day for table in (moved, renamed) for day in pc.unique(table["sale_date"]).to_pylist()}


def files_with_ids_of(near: list[Path], far: list[Path]) -> list[Path]:
    """Pick the files of `far` that hold a `sale_id` which a row of `near` has too: most often none."""
    if not far:
        return []
    found = _dataset(far).to_table(columns=["__filename"], filter=_has_id_of(_read(near, None)))
    return sorted(Path(name) for name in pc.unique(found["__filename"]).to_pylist())


def months_after(days: Iterable[dt.date]) -> set[str]:
    """Name the months of these days and of the 31 days after each."""
    steps = [dt.timedelta(days=step) for step in (0, 28, REPEAT_DAYS)]  # no month is shorter than 28 days
    return {f"{day + step:%Y-%m}" for day in days for step in steps}


def months_before(months: Iterable[str]) -> set[str]:
    """Name these months and those of the 31 days before each."""
    firsts = [dt.date.fromisoformat(f"{month}-01") for month in months]
    steps = [dt.timedelta(days=step) for step in (0, 28, REPEAT_DAYS)]
    return {f"{first - step:%Y-%m}" for first in firsts for step in steps}


def _has_id_of(rows: pa.Table) -> pc.Expression:
    return pc.field("sale_id").isin(pc.unique(rows["sale_id"].drop_null()))


def _read(files: list[Path], wanted: pc.Expression | None) -> pa.Table:
    return _dataset(files).to_table(filter=wanted)


def _dataset(files: list[Path]) -> ds.Dataset:
    return ds.dataset([str(file.resolve()) for file in files], schema=_COLUMNS, format="parquet")
