"""Name the files that a preparation wrote, count their rows, and delete those that no manifest names any more."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq

from phase3_mlops_core.sales_table.content import content_digest
from phase3_mlops_core.sales_table.manifest import Manifest, Month, Part, table_folder
from phase3_mlops_core.sales_table.reading import read_part

BUILDS = "builds"


def part_of(home: Path, place: Path) -> Part:
    """Describe a file, or a folder of some, that was just written."""
    files = sorted(place.glob("*.parquet")) if place.is_dir() else [place]
    rows = sum(pq.read_metadata(file).num_rows for file in files)
    return Part(path=str(place.relative_to(table_folder(home))), rows=rows)


def months_in(home: Path, folder: Path) -> dict[str, Month]:
    """Describe the months that `write_months` wrote there, a file each."""
    found: dict[str, dict[str, Part]] = {}
    for file in sorted(folder.glob("state=*/month=*/*.parquet")):
        month, state = (name.partition("=")[2] for name in (file.parent.name, file.parent.parent.name))
        found.setdefault(month, {})[state] = part_of(home, file)
    return {month: _month(home, parts) for month, parts in found.items()}


def _month(home: Path, parts: dict[str, Part]) -> Month:
    clean = parts.get("clean")
    return Month(**parts, digest=content_digest([read_part(home, clean)]) if clean else None)


def paths_of(home: Path, months: Iterable[Month]) -> list[Path]:
    """List the files that hold these months' valid rows."""
    return [table_folder(home) / part.path for month in months for part in (month.clean, month.repeats) if part]


def forget_all_but(home: Path, manifests: Iterable[Manifest]) -> None:
    """Delete what earlier preparations wrote and none of these manifests names."""
    named = {table_folder(home) / part.path for manifest in manifests for part in parts_of(manifest)}
    kept = {*named, *(parent for path in named for parent in path.parents)}
    _prune(table_folder(home) / BUILDS, kept, named)


def parts_of(manifest: Manifest) -> list[Part]:
    """List all that a manifest names."""
    months = [part for month in manifest.months.values() for part in (month.clean, month.repeats) if part]
    return [*months, *manifest.refused.values()]


def _prune(folder: Path, kept: set[Path], whole: set[Path]) -> None:
    for path in folder.iterdir() if folder.is_dir() else ():
        if path in whole:
            continue
        if path in kept:
            _prune(path, kept, whole)
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
