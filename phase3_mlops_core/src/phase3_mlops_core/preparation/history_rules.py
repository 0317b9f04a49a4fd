"""Phase 1's rules that need the other sales, as Spark windows: what `refuse_repeats` is there."""

from __future__ import annotations

from phase1_docker_api.training.history_rules import ORDER, REPEAT_DAYS, SAME_DAY, SAME_ID, SAME_PRICE
from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F


def in_order() -> list[Column]:
    """Sort by day, `sale_id` and content; by their place only rows that are equal in all of this."""
    return [F.col(name).asc_nulls_last() for name in (*ORDER, "delivery", "row")]


def mark_repeats(valid: DataFrame) -> DataFrame:
    """Say in `repeats` why a row repeats another one; null of a row that is kept.

    Each rule looks at the rows that the rules before it kept, so its windows part these from the others.
    """
    marked = valid.withColumn("repeats", F.when(_place("sale_id") > 1, SAME_ID))
    marked = _mark(marked, _place("property_id", "sale_date", _kept()) > 1, SAME_DAY)
    before = F.lag("sale_date").over(_window("property_id", "price", _kept()).orderBy("sale_date"))
    return _mark(marked, F.date_diff("sale_date", before) <= REPEAT_DAYS, SAME_PRICE)


def _window(key: str, *keys: str | Column) -> WindowSpec:
    """Bring rows together that agree in all keys; a row without the first one is alone."""
    alone = F.when(F.col(key).isNull(), F.concat_ws("/", "delivery", "row"))
    return Window.partitionBy(key, *keys, alone)


def _place(key: str, *keys: str | Column) -> Column:
    return F.row_number().over(_window(key, *keys).orderBy(*in_order()))


def _kept() -> Column:
    return F.col("repeats").isNull()


def _mark(marked: DataFrame, is_repeat: Column, reason: str) -> DataFrame:
    return marked.withColumn("repeats", F.when(_kept() & is_repeat, reason).otherwise(F.col("repeats")))
