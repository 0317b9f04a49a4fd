"""One pipeline at a time: whoever comes second is told who works, on what, and since when."""

from __future__ import annotations

import datetime as dt
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from phase1_docker_api.errors import CourseError

from phase3_mlops_core.errors import TRY_AGAIN

FILE = "pipeline.lock"


class BusyError(CourseError):
    """Another process holds the pipeline's lock."""

    exit_code: ClassVar[int] = TRY_AGAIN


@contextmanager
def pipeline_lock(home: Path, doing: str) -> Iterator[None]:
    """Hold the lock while the block runs; the system frees it when the process ends, however it ends.

    Raises:
        BusyError: says which process holds it.

    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / FILE).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(f"{_holder(home)}: wait for it, or look at what it says") from error
        file.truncate(0)
        file.write(f"process {os.getpid()} does `{doing}` since {dt.datetime.now(dt.UTC):%H:%M:%S} UTC")
        file.flush()
        yield


def _holder(home: Path) -> str:
    """What the holder wrote; it writes right after it got the lock, so at worst nothing stands there yet."""
    return (home / FILE).read_text() or "another process has just begun"
