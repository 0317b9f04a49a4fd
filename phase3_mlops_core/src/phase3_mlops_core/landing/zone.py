"""Put months of raw sales into the landing zone, and list what is there.

A delivery is one file with all sales of one month as its sender knew them. A newer delivery of the same month stands
in for the older ones, which stay: what was known at any time can be prepared again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from phase1_docker_api.schemas import Sale
from phase1_docker_api.training.reading import UNREADABLE

from phase3_mlops_core.errors import LandingError
from phase3_mlops_core.landing.deliveries import LANDING, Delivery, list_deliveries

__all__ = [
    "RAW_COLUMNS",
    "SCHEMA",
    "Delivery",
    "Landed",
    "cut_month",
    "cut_months",
    "land_month",
    "list_deliveries",
    "months_of",
]

# Raw cells are text: a cell that has not its column's type can then be refused alone, with its reason.
RAW_COLUMNS = (*Sale.model_fields, UNREADABLE)
SCHEMA = pa.schema([("row", pa.int64()), *((name, pa.string()) for name in RAW_COLUMNS)])
MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True)
class Landed:
    """What became of a delivery; `is_new` is false if the newest one of its month holds the same."""

    delivery: Delivery
    rows: int
    is_new: bool


def cut_month(sales: pd.DataFrame, month: str) -> pd.DataFrame:
    """Cut one month, such as 2012-02, out of a file of sales.

    Raises:
        LandingError: that is no month, or the file has no sale of it.

    """
    if not MONTH.fullmatch(month):
        raise LandingError(f"{month!r} is no month: write it as 2012-02")
    months = months_of(sales)
    cut = sales[months == month]
    if cut.empty:
        known = months[months != ""]
        raise LandingError(f"the file has no sale of {month}: its months are {known.min()} to {known.max()}")
    return cut


def cut_months(sales: pd.DataFrame, until: str | None = None) -> dict[str, pd.DataFrame]:
    """Cut all months up to `until`, such as 2012-01, out of a file of sales, the oldest first."""
    parts = {str(month): rows for month, rows in sales.groupby(months_of(sales))}
    return {month: parts[month] for month in sorted(parts) if month and (until is None or month <= until)}


def months_of(sales: pd.DataFrame) -> pd.Series:
    """Say of each row which month it is of; an empty text where its day is none."""
    months = sales["sale_date"].astype(str).str[:7]
    return months.where(months.str.fullmatch(MONTH.pattern), "")


def land_month(home: Path, month: str, raw: pd.DataFrame) -> Landed:
    """Write one delivery, in one step; a repeated one changes nothing.

    Raises:
        LandingError: that is no month, or the delivery is empty.

    """
    if not MONTH.fullmatch(month) or raw.empty:
        raise LandingError(f"{month!r} with {len(raw)} rows is no delivery: it needs a month as 2012-02, and a row")
    rows = _as_text(raw)
    digest = hashlib.sha256(rows.to_csv(index=False).encode()).hexdigest()[:12]
    with _one_at_a_time(home):
        earlier = list_deliveries(home).get(month, [])
        if earlier and earlier[-1].digest == digest:
            return Landed(earlier[-1], len(rows), is_new=False)
        delivery = Delivery(month, earlier[-1].number + 1 if earlier else 1, digest)
        _write(delivery.path(home), rows)
    return Landed(delivery, len(rows), is_new=True)


def _as_text(raw: pd.DataFrame) -> pd.DataFrame:
    """Write each known column's cells as text, as a CSV of them would have it; a column that is not there is empty."""
    rows = pd.DataFrame({"row": range(1, len(raw) + 1)})
    for name in RAW_COLUMNS:
        cells = raw[name].astype(object) if name in raw else pd.Series(None, index=raw.index, dtype=object)
        rows[name] = [None if pd.isna(cell) else str(cell) for cell in cells]
    return rows


def _write(path: Path, rows: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    pq.write_table(pa.Table.from_pandas(rows, schema=SCHEMA, preserve_index=False), new, compression="zstd")
    new.replace(path)


@contextlib.contextmanager
def _one_at_a_time(home: Path) -> Iterator[None]:
    """Let one process number deliveries at a time; the lock ends with its process."""
    (home / LANDING).mkdir(parents=True, exist_ok=True)
    with (home / LANDING / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
