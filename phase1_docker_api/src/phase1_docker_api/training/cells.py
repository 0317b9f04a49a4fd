"""Give each cell of a sales file the type of its column; a cell that cannot have it stays as it was, to be refused."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import pandas as pd

from phase1_docker_api.schemas import CATEGORIES, Sale

TEXT_COLUMNS = (*CATEGORIES, "sale_id", "property_id")
NUMBER_COLUMNS = tuple(n for n in Sale.model_fields if n not in (*TEXT_COLUMNS, "sale_date", "waterfront"))
NO, YES = ("0", "0.0", "false", "f", "no", "n"), ("1", "1.0", "true", "t", "yes", "y")
TRUTH = dict.fromkeys(NO, False) | dict.fromkeys(YES, True)
# What other programs write into an empty cell, in any case of letters.
GAPS = frozenset({"", "-", "#n/a", "<na>", "n/a", "na", "nan", "nat", "none", "null"})
# An area may well be called NA; a sale or a parcel is not.
NAMES_TOO = frozenset({"na"})
WHOLE = re.compile(r"(-?\d+)\.0+")
# The year comes first and the day is there: 2011-12-31, 2011/12/31, 20111231, with or without a time and a zone.
DAY = re.compile(r"(\d{4})(?:([-/.])(\d{1,2})\2(\d{1,2})|(\d{2})(\d{2}))", re.ASCII)
TIME = re.compile(r"[T ]\d{1,2}:?\d{2}(:?\d{2}([.,]\d+)?)? ?(Z|UTC|[-+]\d{2}(:?\d{2})?)?", re.ASCII | re.IGNORECASE)
# Equal values of these types mean the same; 1, 1.0 and True are equal too and do not.
REPEATABLE = frozenset({str, bytes, dt.date, type(None)})

Convert = Callable[[Any], Any]


def typed_cells(column: pd.Series, name: str) -> list[Any]:
    """Convert a column's cells: None is a gap, a value of another type is one that cannot be converted.

    Blanks around a text are stripped and bytes are decoded. A gap is an empty cell or one of `GAPS`; `NA` may be
    the name of a neighborhood or of a kind of house. A whole number as a name has no decimals, because a program
    that meets a gap in such a column writes 12730 as 12730.0. The day of a moment is the day that is written, in
    its own zone.
    """
    if name in NUMBER_COLUMNS and column.dtype.kind in "iuf":
        return _without_nan(column)
    convert = _converter(name)
    values = column.astype(object).tolist()
    if set(map(type, values)) <= REPEATABLE:
        known = {value: convert(value) for value in set(values)}
        return [known[value] for value in values]
    return [convert(value) for value in values]


def _without_nan(column: pd.Series) -> list[Any]:
    numbers: list[Any] = column.astype(float).tolist()
    return [None if math.isnan(number) else number for number in numbers] if column.hasnans else numbers


def _converter(name: str) -> Convert:
    gaps = GAPS - NAMES_TOO if name in CATEGORIES else GAPS
    convert = _number if name in NUMBER_COLUMNS else {"sale_date": _day, "waterfront": _truth}.get(name, _name)

    def convert_cell(value: Any) -> Any:
        value = _plain(value)
        is_gap = value is None or (isinstance(value, str) and value.lower() in gaps)
        return None if is_gap else convert(value)

    return convert_cell


def _plain(value: Any) -> Any:
    """Strip a text, decode bytes, and give None for whatever a library puts where there is no value."""
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            return value
    if isinstance(value, str):
        return value.strip()
    if value is pd.NA or value is pd.NaT or (isinstance(value, float | Decimal) and math.isnan(value)):
        return None
    return value


def _number(value: Any) -> Any:
    # Python reads 1_000 and digits of other scripts as numbers; a file that holds them means something else.
    if isinstance(value, str) and value.isascii() and "_" not in value:
        try:
            return float(value)
        except ValueError:
            return value
    is_number = isinstance(value, Real | Decimal) and not isinstance(value, bool)
    return float(value) if is_number else value


def _name(value: Any) -> Any:
    if isinstance(value, str):
        whole = WHOLE.fullmatch(value)
        return whole[1] if whole else value
    if isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, float | Decimal) and math.isfinite(value):
        return str(int(value)) if value == int(value) else str(value)
    return value


def _day(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.date()
    text = _name(value)  # 20111231 may be a number
    day = DAY.match(text) if isinstance(text, str) else None
    if not day or not (day.end() == len(text) or TIME.fullmatch(text, day.end())):
        return value
    year, month, of_month = day[1], day[3] or day[5], day[4] or day[6]
    try:
        return dt.date(int(year), int(month), int(of_month))
    except ValueError:
        return value


def _truth(value: Any) -> Any:
    return TRUTH.get(str(value).lower(), value)
