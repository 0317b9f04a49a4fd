"""Rules that look at one row alone: its cells' types, units and ranges, and that its day is not in the future."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import pandas as pd
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from phase1_docker_api.errors import problems_of
from phase1_docker_api.schemas import Sale
from phase1_docker_api.training.cells import NUMBER_COLUMNS, typed_cells
from phase1_docker_api.training.reading import UNREADABLE

STRICT = ConfigDict(strict=True, allow_inf_nan=False)
# The limits of `Sale`, a column at a time: that is ten times as quick as a row at a time.
COLUMN_CHECKS: dict[str, TypeAdapter[Any]] = {
    name: TypeAdapter(list[Annotated[field.annotation, Field(), *field.metadata]], config=STRICT)  # type: ignore[name-defined]
    for name, field in Sale.model_fields.items()
}


@dataclass(frozen=True)
class Fault:
    """Why a row (its position, from 0) is refused; `rule` is the same for all rows that break the same rule."""

    row: int
    rule: str
    reason: str


def check_rows(raw: pd.DataFrame, as_of: dt.date) -> tuple[pd.DataFrame, list[Fault]]:
    """Part the rows that break no rule, typed as `Sale` says, from the faults of the others.

    What is decided of a row depends on that row and on `as_of` alone. The valid rows have every column of `Sale`
    and keep their position in `raw` as their index: numbers are float, names text, days timestamps.
    """
    unreadable = _unreadable(raw)
    cells = {name: typed_cells(raw[name].reset_index(drop=True), name) for name in Sale.model_fields if name in raw}
    faults = [fault for name in cells for fault in _faults_of(name, cells[name], as_of) if fault.row not in unreadable]
    refused = {fault.row for fault in faults} | unreadable.keys()
    rows = [row for row in range(len(raw)) if row not in refused]
    return pd.DataFrame({name: _valid(name, cells, rows) for name in Sale.model_fields}), [
        *unreadable.values(),
        *faults,
    ]


def _unreadable(raw: pd.DataFrame) -> dict[int, Fault]:
    if UNREADABLE not in raw:
        return {}
    return {
        row: Fault(row, reason.partition(", got ")[0], reason)
        for row, reason in enumerate(raw[UNREADABLE])
        if isinstance(reason, str)
    }


def _faults_of(name: str, cells: list[Any], as_of: dt.date) -> Iterator[Fault]:
    try:
        COLUMN_CHECKS[name].validate_python(cells)
    except ValidationError as error:
        for problem in problems_of(error):
            rule = f"{name}: {problem.problem.partition(', got ')[0]}"
            # In a bare list the place of a problem is its position.
            yield Fault(int(problem.field), rule, f"{name}: {problem.problem}")
    if name == "sale_date":
        rule = f"sale_date: after {as_of}"
        yield from (Fault(row, rule, rule) for row, day in enumerate(cells) if type(day) is dt.date and day > as_of)


def _valid(name: str, cells: dict[str, list[Any]], rows: list[int]) -> pd.Series:
    column = cells.get(name)
    if column is None:
        column = [None] * len(rows)
    values = column if len(column) == len(rows) else [column[row] for row in rows]
    if name == "sale_date":
        return pd.Series(pd.to_datetime(values), index=rows)
    return pd.Series(values, index=rows, dtype=float if name in NUMBER_COLUMNS else object)
