"""Read a file of sales, CSV or Parquet, as it is; say what to do with a file that is neither."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from phase1_docker_api.errors import SalesFileError
from phase1_docker_api.schemas import Sale

REQUIRED_COLUMNS = tuple(name for name, field in Sale.model_fields.items() if field.is_required())
# The column that holds why a row could not be cut into the header's cells; Spark calls it _corrupt_record.
UNREADABLE = "_unreadable"
TOO_MANY_CELLS = "row: more cells than the header (a decimal comma, or a text with a comma and no quotes?)"
UTF16 = (b"\xff\xfe", b"\xfe\xff")
OTHER_KINDS = {
    ".gz": "unpack it: gunzip --keep {path}",
    ".zip": "unpack it: unzip {path}",
    ".tsv": "separate the columns by commas, not tabs, and name it .csv",
    ".txt": "separate the columns by commas and name it .csv",
    ".xlsx": "save the sheet as CSV UTF-8",
    ".xls": "save the sheet as CSV UTF-8",
}


def read_sales(path: Path) -> pd.DataFrame:
    """Read CSV or Parquet as it is, one row a sale, all columns; cells of a CSV are text.

    A row with more cells than the header is empty but for its reason in the column `_unreadable`.

    Raises:
        SalesFileError: the file is missing, is neither format, is empty, lacks a required column or has one twice.

    """
    if not path.is_file():
        raise SalesFileError(f"no sales file at {path}: give one with --sales FILE")
    raw = _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)
    if missing := [name for name in REQUIRED_COLUMNS if name not in raw.columns]:
        needed, hint = ", ".join(REQUIRED_COLUMNS), _header_hint(missing, [str(name) for name in raw.columns])
        raise SalesFileError(f"{path} has no column {', '.join(missing)}; every row needs {needed}{hint}")
    if raw.empty:
        raise SalesFileError(f"{path} has a header but no rows")
    return raw


def ignored_columns(names: Iterable[str]) -> list[str]:
    """Name the columns that are no field of a sale, each with the field that it may have been meant for."""
    names = list(names)
    absent = [name for name in Sale.model_fields if name not in names]
    unknown = [name for name in names if name not in (*Sale.model_fields, UNREADABLE) and not _is_index(name)]
    near = {name: _near(name, absent) for name in unknown}
    return [f"{name} (did you mean {near[name]}?)" if near[name] else name for name in unknown]


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        _refuse_twice(path, pq.read_schema(path).names)
        # A whole number stays one where its column has gaps; pandas would make 12730.0 of it.
        raw = pq.read_table(path, partitioning=None).to_pandas(integer_object_nulls=True)
    except (ValueError, OSError, pa.ArrowException) as error:
        other = OTHER_KINDS.get(path.suffix.lower())
        hint = other.format(path=path) if other else str(error).strip()
        raise SalesFileError(f"{path} is neither CSV (named .csv) nor Parquet: {hint}") from error
    named = [name for name in raw.index.names if name is not None]
    frame: pd.DataFrame = raw.reset_index(level=named).reset_index(drop=True)
    return frame


def _read_csv(path: Path) -> pd.DataFrame:
    header, *rows = _rows_of(path, _text_of(path))
    header = [name.strip() for name in header]
    _refuse_twice(path, header)
    width = len(header)
    unreadable = {at: _too_many_cells(row, width) for at, row in enumerate(rows) if len(row) > width}
    cells = [row if len(row) == width else _fitted(row, width) for row in rows]
    columns = map(list, zip(*cells, strict=True)) if cells else [[] for _ in header]
    raw = pd.DataFrame({name: cells for name, cells in zip(header, columns, strict=True) if name}, dtype=object)
    if not any(unreadable.values()):
        return raw
    reasons = pd.Series(unreadable, dtype=object).reindex(raw.index)
    raw[reasons.notna()] = None
    return raw.assign(**{UNREADABLE: reasons})


def _text_of(path: Path) -> str:
    data = path.read_bytes()
    convert = f"convert it: iconv -f {{}} -t UTF-8 {path} > utf8.csv"
    if data.startswith(UTF16):
        raise SalesFileError(f"{path} is UTF-16, not UTF-8; {convert.format('UTF-16')}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        hint = f"if it is Latin-1, {convert.format('LATIN1')}"
        raise SalesFileError(f"{path} is not UTF-8: line {line} has the byte {data[error.start]:#x}; {hint}") from error


def _rows_of(path: Path, text: str) -> list[list[str]]:
    """Cut a text into rows of cells, blank rows left out; the header is the first."""
    lines = [*io.StringIO(text, newline="")]
    # A quote that is never closed swallows all rows after it, and this mark too.
    end = "\x00end"
    try:
        rows = list(csv.reader([*lines, end]))
    except csv.Error as error:
        raise SalesFileError(f"{path} is not CSV: {error}; is a quote opened and never closed?") from error
    if rows.pop() != [end]:
        raise SalesFileError(f"{path}: a quote is opened and never closed, after row {len(rows):,}")
    rows = [row for row in rows if len(row) > 1 or (row and row[0].strip())]
    if not rows:
        raise SalesFileError(f"{path} is empty")
    return rows


def _too_many_cells(row: list[str], width: int) -> str | None:
    is_too_long = any(cell.strip() for cell in row[width:])
    return f"{TOO_MANY_CELLS}, got {','.join(row)}" if is_too_long else None


def _fitted(row: list[str], width: int) -> list[str]:
    """Cut a row to the header's width, or fill it: spreadsheets leave out empty cells at the end."""
    return (row + [""] * width)[:width]


def _refuse_twice(path: Path, names: list[str]) -> None:
    twice = [name for name, times in Counter(names).items() if name and times > 1]
    if twice:
        raise SalesFileError(f"{path} has the column {', '.join(twice)} twice: remove or rename one of them")


def _header_hint(missing: list[str], names: list[str]) -> str:
    if names[:1] and re.match("sep=", names[0], re.IGNORECASE):
        return f"; delete the first line, {names[0]}: it is for Excel alone"
    for mark, called in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if names[:1] and mark in names[0]:
            return f"; separate the columns by commas, not {called}"
    near = {_near(name, missing): name for name in names}
    renames = [f"{near[name]} to {name}" for name in missing if name in near]
    return f"; rename {', '.join(renames)}" if renames else ""


def _near(name: str, fields: list[str]) -> str | None:
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return next(iter(get_close_matches(plain, fields, n=1, cutoff=0.8)), None)


def _is_index(name: str) -> bool:
    return re.fullmatch(r"|Unnamed: \d+|__index_level_\d+__|index", name) is not None
