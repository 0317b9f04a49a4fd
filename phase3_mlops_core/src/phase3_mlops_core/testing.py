"""Fixtures and doubles for the tests of this phase and of every later one."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from phase3_mlops_core.sales_table.content import SCHEMA, content_digest
from phase3_mlops_core.sales_table.manifest import Manifest, Month, Part, table_folder, write_manifest


def write_sales_table(home: Path, clean: pd.DataFrame, as_of: dt.date) -> Manifest:
    """Write the table that `prepare` would make of these clean sales, without Spark and without landing them."""
    whole = clean.reindex(columns=SCHEMA.names)
    months = {}
    for month, sales in whole.groupby(whole["sale_date"].dt.strftime("%Y-%m")):
        path = f"builds/double/month={month}/clean.parquet"
        rows = pa.Table.from_pandas(sales, schema=SCHEMA, preserve_index=False)
        (table_folder(home) / path).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, table_folder(home) / path)
        months[str(month)] = Month(clean=Part(path=path, rows=len(sales)), digest=content_digest([rows]))
    manifest = Manifest(
        build="double", as_of=as_of, rules="double", months=months, deliveries={}, in_use={}, refused={}
    )
    write_manifest(home, manifest)
    return manifest
