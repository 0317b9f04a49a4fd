"""Decide whether a delivered month can be used at all: a wrong unit concerns the whole month, not single rows."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, RootModel
from pyspark.sql import Column
from pyspark.sql import functions as F

FILE = Path(__file__).with_name("ranges.toml")


class Range(BaseModel):
    """What most rows of a month have in this field, and what to look at if they have not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float | None = None
    high: float | None = None
    advice: str = ""


class Ranges(BaseModel):
    """The ranges by field, and the share of a month's rows that may break one."""

    model_config = ConfigDict(frozen=True)

    share: float = Field(ge=0, lt=1)
    fields: dict[str, Range]


def read_ranges(path: Path = FILE) -> Ranges:
    """Read the ranges of a city."""
    stored: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    share = stored.pop("share")
    return Ranges(share=share, fields=RootModel[dict[str, Range]].model_validate(stored).root)


def counts_outside(ranges: Ranges, fields: list[str]) -> list[Column]:
    """Count, of checked rows, those that break a field's range or were refused for that field."""
    return [F.count_if(_breaks(name, ranges.fields.get(name, Range()))).alias(f"outside_{name}") for name in fields]


def _breaks(name: str, wanted: Range) -> Column:
    broken = F.coalesce(F.col("reason").rlike(rf"(^|; ){name}: "), F.lit(False))
    value = F.col(name)
    if wanted.low is not None:
        broken = broken | F.coalesce(value < wanted.low, F.lit(False))
    if wanted.high is not None:
        broken = broken | F.coalesce(value > wanted.high, F.lit(False))
    return broken


def why_held(ranges: Ranges, rows: int, outside: Mapping[str, int]) -> str | None:
    """Say why a month is quarantined whole, and what to do; None if it is not."""
    broken = {name: count for name, count in outside.items() if count > ranges.share * rows}
    if not broken:
        return None
    worst = max(broken, key=lambda name: broken[name])
    wanted = ranges.fields.get(worst, Range())
    span = f" ({wanted.low:,g} to {wanted.high:,g})" if wanted.low is not None and wanted.high is not None else ""
    others = f"; also {', '.join(name for name in broken if name != worst)}" if len(broken) > 1 else ""
    advice = f" ({wanted.advice})" if wanted.advice else ""
    return (
        f"{worst}: {broken[worst]:,} of {rows:,} rows break its range{span}, and {ranges.share:.0%} may{others}. "
        f"Mend the file{advice} and land the month again"
    )
