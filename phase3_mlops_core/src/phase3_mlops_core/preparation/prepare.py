"""Prepare the sales table: new raw files in, the months that they change written again, the rest left as it is.

The table depends on the landing zone and on `as_of` alone, not on the order in which files came. New files are written
aside, into a folder of their own; the manifest that names them is renamed into place last. A preparation that is
killed before leaves the table as it was, and the next one deletes what it left.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from phase1_docker_api.schemas import Sale
from pyspark.sql import SparkSession

from phase3_mlops_core.errors import BusyPreparationError, PreparationError
from phase3_mlops_core.landing.zone import Delivery, list_deliveries
from phase3_mlops_core.preparation import tables
from phase3_mlops_core.preparation.changes import changed_days, files_with_ids_of, months_after, months_before
from phase3_mlops_core.preparation.deliveries import Deliveries
from phase3_mlops_core.preparation.ranges import Ranges, read_ranges
from phase3_mlops_core.sales_table.files import BUILDS, forget_all_but, months_in, paths_of
from phase3_mlops_core.sales_table.manifest import Manifest, Month, read_manifest, table_folder, write_manifest

# Raised when a rule changes that neither `Sale` nor ranges.toml states: all months are then prepared afresh.
RULES_VERSION = 1

Say = Callable[[str], None]


@dataclass(frozen=True)
class Preparation:
    """The table after a preparation, and the months that it wrote."""

    manifest: Manifest
    written: list[str]


def prepare(
    home: Path, spark: SparkSession, as_of: dt.date | None = None, *, afresh: bool = False, say: Say = lambda _: None
) -> Preparation:
    """Bring the sales table to what has landed up to the month of `as_of`; by default to the end of the newest month.

    Raises:
        PreparationError: nothing has landed, every month is quarantined, or another preparation runs.

    """
    landed = list_deliveries(home)
    day = as_of or last_day_of(max(landed, default="0001-01"))
    landed = {month: found for month, found in landed.items() if month <= f"{day:%Y-%m}"}
    if not landed:
        until = f" up to {as_of}" if as_of else ""
        raise PreparationError(f"nothing has landed in {home}{until}: make land MONTH=2012-01")
    with _one_at_a_time(home):
        return _prepare(home, spark, day, landed, afresh, say)


def last_day_of(month: str) -> dt.date:
    """Say on which day a month, such as 2012-02, ends."""
    first = dt.date.fromisoformat(f"{month}-01")
    return (first + dt.timedelta(days=31)).replace(day=1) - dt.timedelta(days=1)


def _prepare(
    home: Path, spark: SparkSession, as_of: dt.date, landed: dict[str, list[Delivery]], afresh: bool, say: Say
) -> Preparation:
    current, ranges = read_manifest(home), read_ranges()
    rules = _digest_of_rules(ranges)
    old = current if current and current.rules == rules and not afresh else None
    if current and current.rules != rules:
        say("the rules have changed since the last preparation: all months are prepared afresh")
    forget_all_but(home, [current] if current else [])  # what a killed preparation left
    build = f"{int(current.build) + 1 if current else 1:06d}"
    folder = table_folder(home) / BUILDS / build

    deliveries = Deliveries(home, folder, as_of, ranges, old)
    in_use = deliveries.choose(spark, landed, say)
    for name in deliveries.checked:
        if reason := deliveries.records[name].held:
            say(f"quarantined {name}: {reason}")
    months, written = _months(home, spark, deliveries, set(in_use.values()), folder, say)
    manifest = Manifest(
        build=build if deliveries.checked or written else old.build if old else build,
        as_of=as_of,
        rules=rules,
        months=months,
        deliveries=deliveries.records,
        in_use=in_use,
        refused=dict(sorted(deliveries.refused.items())),
    )
    if manifest != old:
        write_manifest(home, manifest)
    forget_all_but(home, [manifest, *([current] if current else [])])  # a reader may hold the manifest before
    return Preparation(manifest, written)


def _months(
    home: Path, spark: SparkSession, deliveries: Deliveries, in_use: set[str], folder: Path, say: Say
) -> tuple[dict[str, Month], list[str]]:
    """Write each month that rows which come or go can change, and say which that were."""
    old = deliveries.old.months if deliveries.old else {}
    before = set(deliveries.old.in_use.values()) if deliveries.old else set()
    added = in_use & deliveries.checked.keys()
    removed = before - in_use | before & added  # a file that was checked again, for another day, goes and comes
    if not added and not removed:
        return old, []
    new = deliveries.valid_files(added)
    changed = months_after(changed_days(new, paths_of(home, old.values()), removed)) if old else None
    say(f"writing {len(changed) if changed else 'all'} months …")
    history = _history_of(home, old, new, changed or set())
    valid = tables.without(tables.read_valid(spark, history), removed).unionByName(tables.read_valid(spark, new))
    tables.write_months(valid, changed, folder / "months")
    written = months_in(home, folder / "months")
    kept = {month: parts for month, parts in old.items() if changed and month not in changed}
    rewritten = changed & (old.keys() | written.keys()) if changed else written
    return dict(sorted({**kept, **written}.items())), sorted(rewritten)


def _history_of(home: Path, old: dict[str, Month], new: list[Path], changed: set[str]) -> list[Path]:
    """List the files on which changed months depend: their own, those before, and those that share a sale_id."""
    around = months_before(changed)
    near = paths_of(home, (old[month] for month in old if month in around))
    far = paths_of(home, (old[month] for month in old if month not in around))
    return near + files_with_ids_of(near + new, far)


def _digest_of_rules(ranges: Ranges) -> str:
    said = f"{RULES_VERSION} {Sale.model_json_schema()} {ranges.model_dump_json()}"
    return hashlib.sha256(said.encode()).hexdigest()[:12]


@contextlib.contextmanager
def _one_at_a_time(home: Path) -> Iterator[None]:
    """Refuse a second preparation at a time; the lock ends with its process."""
    table_folder(home).mkdir(parents=True, exist_ok=True)
    with (table_folder(home) / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyPreparationError(f"another preparation of {home} runs: wait until it has ended") from error
        yield
