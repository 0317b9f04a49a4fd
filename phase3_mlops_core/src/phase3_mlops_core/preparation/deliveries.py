"""Choose the raw file that stands for each month: the newest one that is not quarantined whole."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from phase3_mlops_core.landing.zone import Delivery
from phase3_mlops_core.preparation import tables
from phase3_mlops_core.preparation.ranges import Ranges, why_held
from phase3_mlops_core.preparation.session import plan_for
from phase3_mlops_core.sales_table.files import part_of
from phase3_mlops_core.sales_table.manifest import DeliveryRecord, Manifest, Part


class Deliveries:
    """What is known of the raw files: from the table's manifest, and from what is checked now."""

    def __init__(self, home: Path, folder: Path, as_of: dt.date, ranges: Ranges, old: Manifest | None) -> None:
        self.home, self.folder, self.as_of, self.ranges, self.old = home, folder, as_of, ranges, old
        self.records: dict[str, DeliveryRecord] = dict(old.deliveries) if old else {}
        self.refused: dict[str, Part] = dict(old.refused) if old else {}
        self.checked: dict[str, Path] = {}

    def choose(
        self, spark: SparkSession, landed: dict[str, list[Delivery]], say: Callable[[str], None]
    ) -> dict[str, str]:
        """Name each month's file, after checking those whose rows are not known; a month may have none."""
        while True:
            best = {month: delivery for month, found in landed.items() for delivery in self._newest(found)}
            unknown = [delivery for delivery in best.values() if self._must_check(delivery)]
            if not unknown:
                return {month: delivery.name for month, delivery in best.items()}
            say(f"checking {len(unknown)} raw file{'s' * (len(unknown) > 1)} row by row …")
            self._check(spark, unknown)

    def valid_files(self, names: Iterable[str]) -> list[Path]:
        """List the files of valid rows of deliveries that were checked now."""
        folders = (tables.checked_files(self.checked[name], name, "valid") for name in sorted(names))
        return [file for folder in folders for file in sorted(folder.glob("*.parquet"))]

    def _newest(self, found: list[Delivery]) -> Iterator[Delivery]:
        usable = (each for each in reversed(found) if self._must_check(each) or not self.records[each.name].held)
        yield from list(usable)[:1]

    def _must_check(self, delivery: Delivery) -> bool:
        """Say whether its rows are not in the table, nor checked now; or may be decided otherwise on this day."""
        name, record = delivery.name, self.records.get(delivery.name)
        if name in self.checked:
            return False
        if record is None or self.old is None:
            return True
        newly_due = record.after_as_of > 0 and self.as_of > self.old.as_of
        not_yet_due = record.last_day is not None and record.last_day > self.as_of
        return newly_due or not_yet_due or (not record.held and name not in self.old.in_use.values())

    def _check(self, spark: SparkSession, unknown: list[Delivery]) -> None:
        folder = self.folder / f"checked-{len(self.checked)}"
        paths = [delivery.path(self.home) for delivery in unknown]
        plan_for(spark, sum(path.stat().st_size for path in paths))
        for found in tables.write_checked(spark, paths, self.as_of, self.ranges, folder):
            self.checked[found.delivery] = folder
            self.records[found.delivery] = self._record(found)
            self.refused.pop(found.delivery, None)
            if found.rows > found.valid:
                self.refused[found.delivery] = part_of(
                    self.home, tables.checked_files(folder, found.delivery, "refused")
                )

    def _record(self, found: Any) -> DeliveryRecord:
        outside = {name: found[f"outside_{name}"] for name in tables.FIELDS}
        return DeliveryRecord(
            rows=found.rows,
            valid=found.valid,
            refused=found.rows - found.valid,
            after_as_of=found.after_as_of,
            last_day=found.last_day,
            held=why_held(self.ranges, found.rows, outside),
        )
