"""Runs in the order of their pushes, one at a time: this computer is a runner, and it is the only one."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import IO

from phase2_k8s_cicd.tools import Say


@dataclass(frozen=True)
class Run:
    """A run's number and its folder; `held` stays locked as long as the run, or a program that it started, lives."""

    number: int
    title: str
    folder: Path
    held: IO[str]

    @property
    def log(self) -> Path:
        """All that was printed."""
        return self.folder / "log.txt"

    def desk(self) -> Path:
        """Make the folder in which jobs work: elsewhere, because act loses its way where a path has a space."""
        desk = Path(mkdtemp(prefix="rehearsal-"))
        (self.folder / "desk").write_text(str(desk))
        return desk


@contextmanager
def pushing(home: Path) -> Iterator[None]:
    """Let nobody push in between: the order of the pushes is the order of the runs."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "pushing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def join(home: Path, title: str) -> Run:
    """Take the next number; call it while pushing."""
    number = max(_numbers(home), default=0) + 1
    folder = home / "runs" / str(number)
    folder.mkdir(parents=True)
    held = (folder / "held").open("w")
    fcntl.flock(held, fcntl.LOCK_EX)
    (folder / "title").write_text(f"{title}\n")
    return Run(number, title, folder, held)


def wait_for_turn(home: Path, run: Run, say: Say) -> None:
    """Return once no run with a smaller number lives; one whose terminal was closed lives on until its work is done."""
    told = None
    while ahead := [number for number in _numbers(home) if number < run.number and lives(home, number)]:
        if ahead[0] != told:
            told = ahead[0]
            say(f"run {run.number} waits for run {told}: {(home / 'runs' / str(told) / 'title').read_text().strip()}")
        time.sleep(0.3)


def _numbers(home: Path) -> list[int]:
    return sorted(int(path.name) for path in (home / "runs").glob("[0-9]*"))


def tidy(folder: Path) -> None:
    """Delete what a run worked with; one that was killed could not."""
    shutil.rmtree(folder / "work", ignore_errors=True)
    (folder / "events.jsonl").unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        shutil.rmtree((folder / "desk").read_text(), ignore_errors=True)
        (folder / "desk").unlink()


def lives(home: Path, number: int) -> bool:
    """Say whether a run waits or goes on."""
    try:
        with (home / "runs" / str(number) / "held").open() as held:
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
