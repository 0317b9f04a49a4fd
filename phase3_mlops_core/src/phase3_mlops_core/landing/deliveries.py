"""Name the files of the landing zone and list them; their rows are read elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

LANDING = "landing"
FILE = re.compile(r"(?P<month>\d{4}-\d{2})-(?P<number>\d{4})-(?P<digest>[0-9a-f]{12})\.parquet")


@dataclass(frozen=True, order=True)
class Delivery:
    """One raw file: the `number`-th that came for its month, named after the digest of its content."""

    month: str
    number: int
    digest: str

    @property
    def name(self) -> str:
        """Its name, by which the manifest knows it."""
        return f"{self.month}-{self.number:04d}-{self.digest}"

    def path(self, home: Path) -> Path:
        """Say where it lies."""
        return home / LANDING / self.month / f"{self.name}.parquet"


def list_deliveries(home: Path) -> dict[str, list[Delivery]]:
    """List what has landed, by month, the oldest delivery first."""
    found: dict[str, list[Delivery]] = {}
    for path in sorted((home / LANDING).glob("*/*.parquet")):
        if match := FILE.fullmatch(path.name):
            delivery = Delivery(match["month"], int(match["number"]), match["digest"])
            found.setdefault(delivery.month, []).append(delivery)
    return {month: sorted(found[month]) for month in sorted(found)}
