"""The one place that says where the pipeline's sales come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
from phase1_docker_api.training.sales import load_clean_sales

from phase3_mlops_core.errors import PreparationError, QuarantinedError
from phase3_mlops_core.sales_table.content import SCHEMA, content_digest
from phase3_mlops_core.sales_table.manifest import read_manifest, table_folder
from phase3_mlops_core.sales_table.reading import read_table


@dataclass(frozen=True)
class KnownSales:
    """Clean sales up to a month, the digest of exactly these, and where they came from."""

    frame: pd.DataFrame
    sha256: str
    source: str


def known_sales(home: Path, month: pd.Period, file: Path | None = None) -> KnownSales:
    """Read the sales up to the end of `month` from the sales table, or from a raw file, which is cleaned first.

    Raises:
        QuarantinedError: the month was quarantined whole.
        PreparationError: there is no table yet, or it does not hold the month, with the reason.
        SalesFileError: the file cannot be used.

    """
    until = month.end_time.date()
    if file:
        clean = load_clean_sales(file, until).clean
        rows = pa.Table.from_pandas(clean.reindex(columns=SCHEMA.names), schema=SCHEMA, preserve_index=False)
        return KnownSales(clean, content_digest([rows]), str(file))
    table = read_table(home, until)
    if not (table.frame["sale_date"] >= month.start_time).any():
        raise _missing(home, str(month))
    return KnownSales(table.frame, table.digest, str(table_folder(home)))


def _missing(home: Path, month: str) -> PreparationError:
    manifest = read_manifest(home)
    deliveries = manifest.deliveries.items() if manifest else ()
    for name, record in deliveries:
        if name.startswith(month) and record.held:
            return QuarantinedError(f"{month} is quarantined, so nothing is trained on it: {record.held}")
    return PreparationError(f"the sales table has no sales of {month}: make land MONTH={month}, then phase3 prepare")
