"""What Spark is asked to do in a preparation: check raw files, find the months that change, write these months."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from phase1_docker_api.schemas import Sale
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from phase3_mlops_core.landing.zone import RAW_COLUMNS
from phase3_mlops_core.preparation.history_rules import in_order, mark_repeats
from phase3_mlops_core.preparation.ranges import Ranges, counts_outside
from phase3_mlops_core.preparation.row_rules import check_rows
from phase3_mlops_core.sales_table.content import SCHEMA

FIELDS = list(Sale.model_fields)
_TYPES = {"large_string": "string", "date32[day]": "date", "bool": "boolean"}
_TYPED = [f"{field.name} {_TYPES.get(str(field.type), 'double')}" for field in SCHEMA]
RAW = ", ".join(["row bigint", *(f"{name} string" for name in RAW_COLUMNS)])
CHECKED = ", ".join(["delivery string", "row bigint", "raw string", *_TYPED, "reason string"])
VALID = ", ".join(["delivery string", "row bigint", *_TYPED])


def write_checked(spark: SparkSession, files: Iterable[Path], as_of: dt.date, ranges: Ranges, folder: Path) -> Any:
    """Apply the rules on one row to raw files, write valid and refused rows apart, return each delivery's counts."""
    raw = spark.read.schema(RAW).parquet(*(str(path.resolve()) for path in files))
    name = F.regexp_extract(F.col("_metadata.file_path"), r"([^/]+)\.parquet$", 1)
    named = raw.select(name.alias("delivery"), F.to_json(F.struct(*FIELDS)).alias("raw"), *raw.columns)
    checked = check_rows(named, as_of)
    is_valid = F.col("reason").isNull()
    parted = checked.withColumn("state", F.when(is_valid, "valid").otherwise("refused"))
    parted = parted.withColumn("raw", F.when(~is_valid, F.col("raw")))  # what it held goes with a refused row
    written = parted.withColumn("of", F.col("delivery")).write.partitionBy("of", "state")
    written.option("compression", "zstd").parquet(str(folder.resolve()))
    counts = (
        spark.read.schema(CHECKED)
        .parquet(str(folder.resolve()))
        .groupBy("delivery")
        .agg(
            F.count("*").alias("rows"),
            F.count_if(is_valid).alias("valid"),
            F.count_if(F.coalesce(F.col("reason").contains("sale_date: after "), F.lit(False))).alias("after_as_of"),
            F.max(F.when(is_valid, F.col("sale_date"))).alias("last_day"),
            *counts_outside(ranges, FIELDS),
        )
    )
    return counts.collect()


def checked_files(folder: Path, delivery: str, state: str) -> Path:
    """Say where `write_checked` wrote a delivery's rows, which are `valid` or `refused`."""
    return folder / f"of={delivery}" / f"state={state}"


def read_valid(spark: SparkSession, files: list[Path]) -> DataFrame:
    """Read valid rows from files of the table and from checked ones."""
    if not files:
        return spark.createDataFrame([], VALID)
    return spark.read.schema(VALID).parquet(*(str(path.resolve()) for path in files))


def without(rows: DataFrame, deliveries: Iterable[str]) -> DataFrame:
    """Leave out the rows of these deliveries."""
    return rows.where(~F.col("delivery").isin(*deliveries))


def write_months(valid: DataFrame, months: Iterable[str] | None, folder: Path) -> None:
    """Apply the rules that need history and write these months, or all, a file each of clean rows and of repeats.

    `valid` holds all valid rows of these months, those of the 31 days before them, and all that have the `sale_id` of
    one of these; others make no difference.
    """
    marked = mark_repeats(valid)
    # Never null, so that Spark writes the rows in the order they have here.
    month = F.coalesce(F.date_format("sale_date", "yyyy-MM"), F.lit(""))
    state = F.when(F.col("repeats").isNull(), "clean").otherwise("repeats")
    parted = marked.withColumn("month", month).withColumn("state", state)
    wanted = parted if months is None else parted.where(F.col("month").isin(*months))
    ordered = wanted.repartition("month").sortWithinPartitions("state", "month", *in_order())
    renamed = ordered.withColumnRenamed("repeats", "reason")
    renamed.write.partitionBy("state", "month").option("compression", "zstd").parquet(str(folder.resolve()))
