"""Phase 1's rules on one row alone, as Spark column expressions: the same rows, the same reasons."""

from __future__ import annotations

import datetime as dt
from typing import Any, cast

import annotated_types
from phase1_docker_api.errors import problems_of
from phase1_docker_api.schemas import CATEGORIES, Sale
from phase1_docker_api.training.cells import GAPS, NAMES_TOO, NUMBER_COLUMNS, TEXT_COLUMNS, TRUTH
from phase1_docker_api.training.reading import REQUIRED_COLUMNS, UNREADABLE
from phase1_docker_api.training.row_rules import COLUMN_CHECKS
from pydantic import ValidationError
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

# What Python's str.strip takes away; Java's \s is another set.
BLANK = r"[\x09-\x0d\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+"
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\z"
NO_FINITE_NUMBER = r"(?i)^[+-]?(inf|infinity|nan)\z"
WHOLE = r"^(-?\p{Nd}+)\.0+\z"
DAY = r"^(\d{4})(?:([-/.])(\d{1,2})\2(\d{1,2})|(\d{2})(\d{2}))"
TIME = r"([T ]\d{1,2}:?\d{2}(:?\d{2}([.,]\d+)?)? ?(Z|UTC|[-+]\d{2}(:?\d{2})?)?)?\z"
TOO_LONG = "x" * 65
PROPERTIES = Sale.model_json_schema()["properties"]


def check_rows(raw: DataFrame, as_of: dt.date) -> DataFrame:
    """Give each cell its type, and each row that breaks rules a `reason`: all of them, in the words of phase 1.

    `raw` has text columns as the landing zone does. A cell that cannot have its type is null; what it held stands in
    the raw file. Columns that are no field of a sale pass through.
    """
    others = [name for name in raw.columns if name not in Sale.model_fields and name != UNREADABLE]
    texts = raw.select(*others, UNREADABLE, *(_without_gaps(name).alias(name) for name in Sale.model_fields))
    typed = texts.select(
        *others, UNREADABLE, *(F.col(name).alias(f"_{name}") for name in Sale.model_fields), *_typed_cells()
    )
    broken = [rule for name in Sale.model_fields for rule in _rules_of(name, as_of)]
    reason = F.coalesce(
        F.split_part(F.col(UNREADABLE), F.lit(", got "), F.lit(1)), F.nullif(F.concat_ws("; ", *broken), F.lit(""))
    )
    return typed.select(*others, *Sale.model_fields, reason.alias("reason"))


def _without_gaps(name: str) -> Column:
    gaps = GAPS - NAMES_TOO if name in CATEGORIES else GAPS
    text = F.regexp_replace(name, f"^{BLANK}|{BLANK}\\z", "")
    return F.when(~F.lower(text).isin(*sorted(gaps)), text)


def _typed_cells() -> list[Column]:
    return [_typed_cell(name).alias(name) for name in Sale.model_fields]


def _typed_cell(name: str) -> Column:
    text = F.col(name)
    if name in NUMBER_COLUMNS:
        special = F.when(text.rlike(NO_FINITE_NUMBER), F.lit(float("nan")))
        return F.coalesce(special, F.when(text.rlike(NUMBER), text.try_cast("double")))
    if name in TEXT_COLUMNS:
        return _name(text)
    return _day(_name(text)) if name == "sale_date" else _truth(text)


def _name(text: Column) -> Column:
    """A program that meets a gap in a column of whole numbers writes 12730 as 12730.0."""
    return F.regexp_replace(text, WHOLE, "$1")


def _day(text: Column) -> Column:
    parts = [F.regexp_extract(text, f"(?i){DAY}{TIME}", group) for group in (1, 3, 5, 4, 6)]
    year, month, of_month = parts[0], F.concat(parts[1], parts[2]), F.concat(parts[3], parts[4])
    day = F.concat_ws("-", year, F.lpad(month, 2, "0"), F.lpad(of_month, 2, "0"))
    return F.when((year != "") & (year != "0000"), day.try_cast("date"))  # Python has no year 0


def _truth(text: Column) -> Column:
    lower = F.lower(text)
    yes, no = ([word for word, truth in TRUTH.items() if truth is wanted] for wanted in (True, False))
    return F.when(lower.isin(*yes), True).when(lower.isin(*no), False)


def _rules_of(name: str, as_of: dt.date) -> list[Column]:
    """Give the text of each rule of a column that is broken, else null; at most one of a column's limits is."""
    text, value = F.col(f"_{name}"), F.col(name)
    rules = [(text.isNotNull() & value.isNull(), _rule(name, object()))]
    if name in REQUIRED_COLUMNS:
        rules.append((text.isNull(), _rule(name, None)))
    if name in NUMBER_COLUMNS:
        rules += _rules_of_number(name, value)
    elif name in TEXT_COLUMNS:
        rules.append((F.length(value) > _limits(name)["maxLength"], _rule(name, TOO_LONG)))
    elif name == "sale_date":
        first, last = _days()
        rules.append((value < F.lit(first), _rule(name, first - dt.timedelta(days=1))))
        rules.append((value > F.lit(last), _rule(name, last + dt.timedelta(days=1))))
        rules.append((value > F.lit(as_of), f"{name}: after {as_of}"))
    return [F.when(broken, F.lit(rule)) for broken, rule in rules]


def _rules_of_number(name: str, value: Column) -> list[tuple[Column, str]]:
    limits = _limits(name)
    endless = F.isnan(value) | (F.abs(value) == float("inf"))
    if limits["type"] == "integer":
        no_number = endless | (F.when(~endless, value % 1) != 0)
        found = [(no_number, _rule(name, 0.5))]
    else:
        no_number = endless
        found = [(no_number, _rule(name, float("inf")))]
    below, above = value < limits["minimum"], value > limits["maximum"]
    found.append((~no_number & below, _rule(name, limits["minimum"] - 1)))
    found.append((~no_number & above, _rule(name, limits["maximum"] + 1)))
    return found


def _rule(name: str, wrong: Any) -> str:
    """Ask phase 1's own check what it says of a wrong value, so that both engines use the same words."""
    try:
        COLUMN_CHECKS[name].validate_python([wrong])
    except ValidationError as error:
        return f"{name}: {problems_of(error)[0].problem.partition(', got ')[0]}"
    raise AssertionError(f"{wrong!r} breaks no rule of {name}")


def _limits(name: str) -> dict[str, Any]:
    spec = PROPERTIES[name]
    kinds = [kind for kind in spec.get("anyOf", [spec]) if kind.get("type") != "null"]
    return dict(kinds[0])


def _days() -> tuple[dt.date, dt.date]:
    found = Sale.model_fields["sale_date"].metadata
    first = next(mark.ge for mark in found if isinstance(mark, annotated_types.Ge))
    last = next(mark.le for mark in found if isinstance(mark, annotated_types.Le))
    return cast(dt.date, first), cast(dt.date, last)
