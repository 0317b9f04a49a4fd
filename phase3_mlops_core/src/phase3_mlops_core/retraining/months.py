"""Which landed month is next: the story so far is read from the registry and the sales table, nothing is recorded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from phase3_mlops_core.landing.deliveries import list_deliveries
from phase3_mlops_core.registry.version import Version
from phase3_mlops_core.sales_table.manifest import read_manifest


def waiting_months(home: Path, versions: Iterable[Version]) -> list[str]:
    """List the landed months after the newest decision, the oldest first; quarantined months do not wait.

    Before the first decision only the newest landed month waits: the months before it are the history that the first
    version learns from. Sales that land for a month before the newest decision are learned from with the next month.
    """
    newest = max((version.tags["month"] for version in versions if is_decided(version)), default="")
    held = quarantined_months(home)
    waiting = [month for month in list_deliveries(home) if month > newest and month not in held]
    return waiting if newest else waiting[-1:]


def is_decided(version: Version) -> bool:
    """Say whether the gate refused the version, or a promotion of it was finished."""
    return version.tags.get("gate") == "refused" or "promoted_as_of" in version.tags


def quarantined_months(home: Path) -> set[str]:
    """Name the months without any usable file, of which the newest one was prepared and quarantined whole."""
    manifest = read_manifest(home)
    if manifest is None:
        return set()
    newest = {month: found[-1].name for month, found in list_deliveries(home).items() if month not in manifest.in_use}
    records = manifest.deliveries
    return {month for month, name in newest.items() if name in records and records[name].held}
