"""Notice that a month of sales has landed, and start the DAG by an event of its asset."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent


class MonthLanded(BaseEventTrigger):
    """One event whenever files are new in the landing zone since the last look; the first look finds all of them.

    After a restart of the triggerer the files that are there come once more. The DAG then finds no month without
    a decision and does nothing, so no record of what was announced is needed, and none can be lost.
    """

    def __init__(self, folder: str, seconds: float = 1.0) -> None:
        super().__init__()
        self.folder, self.seconds = folder, seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Say how the triggerer makes it again."""
        return "landing_trigger.MonthLanded", {"folder": self.folder, "seconds": self.seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look every second; files in hidden folders and hidden files are still being written."""
        seen: set[str] = set()
        while True:
            found = await asyncio.to_thread(landed_files, Path(self.folder))
            if new := sorted(found - seen):
                yield TriggerEvent({"files": new})
            seen = found
            await asyncio.sleep(self.seconds)


def landed_files(folder: Path) -> set[str]:
    """Name the whole files of the landing zone, relative to it."""
    paths = (path.relative_to(folder) for path in folder.glob("*/*.parquet"))
    return {str(path) for path in paths if not any(part.startswith(".") for part in path.parts)}
