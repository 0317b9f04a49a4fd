"""Read a file of sales, and part clean rows from refused ones, each refused row with its reason."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from phase1_docker_api.errors import SalesFileError, problems_of
from phase1_docker_api.schemas import CATEGORIES, House, Sale

REQUIRED_COLUMNS = tuple(name for name, field in Sale.model_fields.items() if field.is_required())
TEXT_COLUMNS = (*CATEGORIES, "sale_id", "property_id")
NUMBER_COLUMNS = tuple(n for n in Sale.model_fields if n not in (*TEXT_COLUMNS, "sale_date", "waterfront"))
REPEAT_DAYS = 31
# No clock is right that shows a day before these lines were written. Believing one, such as that of a board
# without a battery, would refuse every sale as not yet happened.
WRITTEN = dt.date(2026, 1, 1)
REPEATS = {
    "sale_id: seen before": ["sale_id"],
    "property_id: second record of one day": ["property_id", "sale_date"],
}
NO, YES = ("0", "0.0", "false", "f", "no", "n"), ("1", "1.0", "true", "t", "yes", "y")
TRUTH = dict.fromkeys(NO, False) | dict.fromkeys(YES, True)
# What other programs write into an empty cell; but an area may well be called NA, so this is not for texts.
MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL"]


@dataclass(frozen=True)
class CleanedSales:
    """Clean rows sorted by date, and refused ones with `row` (from 1, the header not counted) and `reason`."""

    clean: pd.DataFrame
    refused: pd.DataFrame
    counts: dict[str, int]


def today() -> dt.date:
    """The day by the clock in UTC, or that on which this was written if the clock is behind it."""
    return max(dt.datetime.now(dt.UTC).date(), WRITTEN)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_sales(path: Path) -> pd.DataFrame:
    """Read CSV or Parquet as it is, one row a sale; unknown columns are left out.

    Raises:
        SalesFileError: the file is missing, is neither format, is empty, or lacks a required column.

    """
    if not path.is_file():
        raise SalesFileError(f"no sales file at {path}: give one with --sales FILE")
    try:
        raw = _read_csv(path) if path.suffix.lower() == ".csv" else pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise SalesFileError(f"{path} is neither CSV (named .csv) nor Parquet: {str(error).strip()}") from error
    if missing := [name for name in REQUIRED_COLUMNS if name not in raw.columns]:
        hint = "; separate the columns by commas, not semicolons" if ";" in str(raw.columns[0]) else ""
        needed = ", ".join(REQUIRED_COLUMNS)
        raise SalesFileError(f"{path} has no column {', '.join(missing)}; every row needs {needed}{hint}")
    if raw.empty:
        raise SalesFileError(f"{path} has a header but no rows")
    return raw[[name for name in Sale.model_fields if name in raw.columns]].reset_index(drop=True)


def clean_sales(raw: pd.DataFrame, as_of: dt.date) -> CleanedSales:
    """Refuse what breaks a rule, keep every other row.

    In this order: types, units and ranges as `Sale` states them; days after `as_of`; a sale_id seen before;
    a second record of one parcel on one day; one parcel again at the same price within 31 days.

    Raises:
        SalesFileError: no row is left.

    """
    sales, reasons = _parse(raw)
    frame = pd.DataFrame(sales, columns=list(Sale.model_fields))
    frame["row"] = frame.index + 1
    frame["sale_date"] = pd.to_datetime(frame["sale_date"])
    reasons = reasons.mask(reasons.isna() & (frame["sale_date"] > pd.Timestamp(as_of)), f"sale_date: after {as_of}")
    good = frame[reasons.isna()].sort_values(["sale_date", "row"], kind="stable")
    for reason, keys in REPEATS.items():
        repeated = good[keys].notna().all(axis=1) & good.duplicated(keys, keep="first")
        reasons[good.index[repeated]] = reason
        good = good[~repeated]
    again = _soon_again(good)
    reasons[again] = f"property_id: same price within {REPEAT_DAYS} days"
    good = good.drop(index=again)
    refused = raw.assign(row=raw.index + 1, reason=reasons)[reasons.notna()]
    if good.empty:
        raise SalesFileError(f"all {len(raw):,} rows were refused, most often for: {refused['reason'].mode()[0]}")
    return CleanedSales(_typed(good), refused, _counts(len(raw), len(good), refused["reason"]))


def load_clean_sales(path: Path, as_of: dt.date) -> CleanedSales:
    """Read and clean in one step."""
    return clean_sales(read_sales(path), as_of)


def records_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """One dict a house with the fields that are known, as the model takes them."""
    columns = [name for name in House.model_fields if name in frame.columns]
    return [
        {str(name): value for name, value in record.items() if pd.notna(value)}
        for record in frame[columns].to_dict("records")
    ]


def _read_csv(path: Path) -> pd.DataFrame:
    """Read cells as text, so that one bad cell cannot change the type of its whole column."""
    empty = {name: [""] if name in TEXT_COLUMNS else MISSING for name in Sale.model_fields}
    return pd.read_csv(path, dtype=str, encoding="utf-8-sig", index_col=False, keep_default_na=False, na_values=empty)


def _parse(raw: pd.DataFrame) -> tuple[list[dict[str, Any]], pd.Series]:
    """Check each row against `Sale`; a row with a fault comes back empty and with its reason."""
    sales: list[dict[str, Any]] = []
    reasons: list[str | None] = []
    for row in _cells(raw).to_dict("records"):
        try:
            sales.append(dict(Sale.model_validate(row)))
            reasons.append(None)
        except ValidationError as error:
            sales.append({})
            reasons.append("; ".join(f"{p.field}: {p.problem}" for p in problems_of(error)))
    return sales, pd.Series(reasons, index=raw.index, dtype=object)


def _cells(raw: pd.DataFrame) -> pd.DataFrame:
    """Give each cell the type its column asks for; what cannot have it stays as it was, to be refused."""
    cells = pd.DataFrame(index=raw.index)
    for name in raw.columns:
        typed = _typed_cells(raw[name], name).astype(object)
        cells[name] = typed.where(typed.notna(), raw[name].astype(object))
    # `mask` takes None for "no value given"; an assignment of it is kept.
    cells[cells.isna()] = None
    return cells


def _typed_cells(column: pd.Series, name: str) -> pd.Series:
    if name in NUMBER_COLUMNS:
        return pd.to_numeric(column, errors="coerce").astype(float)
    if name == "sale_date":
        # The day as it is written where there is no zone, and the day in UTC where there is one.
        return pd.to_datetime(column.astype(str), errors="coerce", format="ISO8601", utc=True).dt.date
    if name == "waterfront":
        return column.map(lambda value: TRUTH.get(str(value).strip().lower()))
    return column.map(lambda value: str(value).strip() or None, na_action="ignore")


def _soon_again(good: pd.DataFrame) -> list[Any]:
    """Index of the rows that repeat a kept one of the same parcel and price; a refused row starts no new month."""
    kept: dict[tuple[Any, Any], Any] = {}
    again = []
    named = good[good["property_id"].notna()]
    for index, parcel, price, day in zip(
        named.index, named["property_id"], named["price"], named["sale_date"], strict=True
    ):
        last = kept.get((parcel, price))
        if last is not None and day - last <= pd.Timedelta(days=REPEAT_DAYS):
            again.append(index)
        else:
            kept[parcel, price] = day
    return again


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns in `Sale`'s order, optional ones that are empty throughout left out; numbers as float."""
    columns = [name for name in Sale.model_fields if name in REQUIRED_COLUMNS or frame[name].notna().any()]
    frame = frame[columns].reset_index(drop=True)
    numbers = [name for name in NUMBER_COLUMNS if name in frame.columns]
    return frame.astype(dict.fromkeys(numbers, float))


def _counts(read: int, clean: int, reasons: pd.Series) -> dict[str, int]:
    by_field = reasons.str.split(":").str[0].value_counts().sort_index()
    return {"read": read, "clean": clean, "refused": read - clean} | {
        f"refused_{field}": int(count) for field, count in by_field.items()
    }
