"""Read the sales table as the frame that a training takes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from phase1_docker_api.schemas import Sale

from phase3_mlops_core.errors import PreparationError
from phase3_mlops_core.sales_table.content import SCHEMA, content_digest
from phase3_mlops_core.sales_table.manifest import Manifest, Part, read_manifest, table_folder

PREPARE = "land a month and prepare it: make land MONTH=2012-01, then phase3 prepare"


@dataclass(frozen=True)
class SalesTable:
    """Clean sales as `phase1_docker_api.training.sales.clean_sales` gives them, and the digest of their content."""

    frame: pd.DataFrame
    digest: str
    build: str
    as_of: dt.date


def read_table(home: Path, until: dt.date | None = None) -> SalesTable:
    """Read the clean sales up to the day `until`, that day included, sorted as cleaning sorts them.

    The digest depends on the rows alone: not on the files they lie in, nor on the order in which months came.

    Raises:
        PreparationError: nothing was prepared, no sale is as old as that, or a file of the table is gone.

    """
    manifest = read_manifest(home)
    if manifest is None:
        raise PreparationError(f"{home} has no sales table yet; {PREPARE}")
    tables = [table for _, table in read_months(home, manifest, until)]
    if not sum(table.num_rows for table in tables):
        raise PreparationError(f"the sales table in {home} has no sale up to {until}; {PREPARE}")
    frame = _typed(pa.concat_tables(tables).to_pandas(date_as_object=False))
    return SalesTable(frame, content_digest(tables), manifest.build, manifest.as_of)


def read_months(home: Path, manifest: Manifest, until: dt.date | None = None) -> Iterator[tuple[str, pa.Table]]:
    """Give the clean rows of one month after the other."""
    for month, parts in sorted(manifest.months.items()):
        if parts.clean and (until is None or month <= f"{until:%Y-%m}"):
            table = read_part(home, parts.clean)
            yield month, table if until is None else table.filter(pc.field("sale_date") <= until)


def read_part(home: Path, part: Part, columns: pa.Schema = SCHEMA) -> pa.Table:
    """Read one file of the table.

    Raises:
        PreparationError: it is gone, or does not hold what the manifest says.

    """
    path = table_folder(home) / part.path
    try:
        table = pq.read_table(path, columns=columns.names, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        raise PreparationError(f"{path} cannot be read ({error}): prepare again with --afresh") from error
    if table.num_rows != part.rows:
        raise PreparationError(
            f"{path} has {table.num_rows} rows, not {part.rows} as the manifest says: prepare again with --afresh"
        )
    return table.cast(columns)


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Leave out optional columns that are empty throughout, and give days and truths the types of `clean_sales`."""
    required = [name for name, field in Sale.model_fields.items() if field.is_required()]
    frame = frame[[name for name in Sale.model_fields if name in required or frame[name].notna().any()]]
    frame = frame.astype({"sale_date": "datetime64[ns]"})
    whole = "waterfront" in frame and frame["waterfront"].notna().all()
    return frame.astype({"waterfront": bool}) if whole else frame
