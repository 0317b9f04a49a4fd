"""Make a table of clean sales out of raw ones, and give each refused row its reason."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from phase1_docker_api.errors import NoCleanSalesError
from phase1_docker_api.schemas import House, Sale
from phase1_docker_api.training.history_rules import changed_months, in_order, refuse_repeats
from phase1_docker_api.training.reading import REQUIRED_COLUMNS, UNREADABLE, ignored_columns, read_sales
from phase1_docker_api.training.row_rules import Fault, check_rows

# No clock is right that shows a day before these lines were written. Believing one, such as that of a board
# without a battery, would refuse every sale as not yet happened.
WRITTEN = dt.date(2026, 1, 1)


@dataclass(frozen=True)
class CleanedSales:
    """Clean rows in their order, and refused ones with `row` (from 1, the header not counted) and `reason`.

    `counts` has a number a field, `rules` one a field and rule, the most frequent first. `ignored` names the
    columns that are no field of a sale.
    """

    clean: pd.DataFrame
    refused: pd.DataFrame
    counts: dict[str, int]
    rules: dict[str, int]
    ignored: list[str]


@dataclass(frozen=True)
class Arrival:
    """What a file changes when it joins the sales received before it, in whatever order files come.

    `valid` are all valid rows so far, the next file's history; their `reason` is None where a row is kept, and
    says of the others what they repeat. `refused` are this file's rows that a rule on one row refuses, for good.
    Kept rows of earlier months can differ from before in `changed_months` alone.
    """

    valid: pd.DataFrame
    refused: pd.DataFrame
    changed_months: list[str]

    @property
    def clean(self) -> pd.DataFrame:
        """All rows that are kept, as `clean_sales` gives them of all files at once."""
        return _typed(in_order(self.valid[self.valid["reason"].isna()]))


def today() -> dt.date:
    """The day by the clock in UTC, or that on which this was written if the clock is behind it."""
    return max(dt.datetime.now(dt.UTC).date(), WRITTEN)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def clean_sales(raw: pd.DataFrame, as_of: dt.date) -> CleanedSales:
    """Refuse what breaks a rule, keep every other row; the order of the rows makes no difference.

    First the rules on one row: types, units and ranges as `Sale` states them, and days after `as_of`. Then, of the
    valid rows, those that `refuse_repeats` calls repeats.

    Raises:
        NoCleanSalesError: no row is left.

    """
    valid, faults = check_rows(raw, as_of)
    repeats = refuse_repeats(valid)
    faults += [Fault(int(row), rule, rule) for row, rule in zip(repeats.index, repeats, strict=True) if rule]
    refused, rules = _refused(raw, faults), _by_rule(faults)
    good = valid[repeats.isna()]
    if good.empty:
        most, times = next(iter(rules.items()))
        message = f"all {len(raw):,} rows were refused, most often for: {most} ({times:,})"
        raise NoCleanSalesError(message, refused)
    counts = _counts(len(raw), len(good), refused["reason"])
    return CleanedSales(_typed(in_order(good)), refused, counts, rules, ignored_columns(map(str, raw.columns)))


def clean_with_history(raw: pd.DataFrame, history: pd.DataFrame | None, as_of: dt.date) -> Arrival:
    """Add a file's rows to those received before it; after the last file the table is that of all files at once.

    `history` is `Arrival.valid` of the file before, or None. A file that is received again must not be part of it.
    """
    new, faults = check_rows(raw, as_of)
    earlier = new.iloc[:0] if history is None else history[new.columns]
    valid = new if earlier.empty else pd.concat([earlier, new], ignore_index=True)
    return Arrival(
        valid=valid.assign(reason=refuse_repeats(valid)).reset_index(drop=True),
        refused=_refused(raw, faults),
        changed_months=changed_months(new, earlier),
    )


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


def _refused(raw: pd.DataFrame, faults: list[Fault]) -> pd.DataFrame:
    """Give the refused rows as they were read, with their place in the file and all their reasons."""
    reasons: dict[int, str] = {}
    for fault in faults:
        reasons[fault.row] = f"{reasons[fault.row]}; {fault.reason}" if fault.row in reasons else fault.reason
    rows = sorted(reasons)
    refused = raw.iloc[rows].drop(columns=UNREADABLE, errors="ignore")
    return refused.assign(row=[row + 1 for row in rows], reason=pd.Series(reasons, dtype=object)[rows].to_numpy())


def _by_rule(faults: list[Fault]) -> dict[str, int]:
    return dict(Counter(fault.rule for fault in sorted(faults, key=lambda fault: fault.rule)).most_common())


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns in `Sale`'s order, optional ones that are empty throughout left out; true and false if no gap."""
    columns = [name for name in Sale.model_fields if name in REQUIRED_COLUMNS or frame[name].notna().any()]
    frame = frame[columns].reset_index(drop=True)
    whole = "waterfront" in frame and frame["waterfront"].notna().all()
    return frame.astype({"waterfront": bool}) if whole else frame


def _counts(read: int, clean: int, reasons: pd.Series) -> dict[str, int]:
    by_field = reasons.str.split(":").str[0].value_counts().sort_index()
    return {"read": read, "clean": clean, "refused": read - clean} | {
        f"refused_{field}": int(count) for field, count in by_field.items()
    }
