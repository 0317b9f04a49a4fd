"""Room: delivery. A program that is killed is started again, without the children that it left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

KEEP = """
import os, sys
from phase3_mlops_core.delivery.keeping import keep_running
keep_running([sys.executable, "-c", sys.argv[1], sys.argv[2]], os.environ)
"""
# It leaves a child that sleeps, and writes both numbers down.
PROGRAM = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with pathlib.Path(sys.argv[1]).open("a") as file:
    file.write(f"{os.getpid()} {child.pid}\\n")
time.sleep(600)
"""


def started(file: Path, count: int) -> list[tuple[int, int]]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) >= count:
            return [(int(line.split()[0]), int(line.split()[1])) for line in lines]
        time.sleep(0.05)
    raise AssertionError(f"it was not started {count} times")


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 30
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_killed_program_is_started_again_without_its_orphans_and_ends_when_told(tmp_path: Path) -> None:
    file = tmp_path / "started"
    with subprocess.Popen([sys.executable, "-c", KEEP, PROGRAM, str(file)]) as keeper:
        [(first, orphan)] = started(file, 1)
        os.kill(first, signal.SIGKILL)
        second, child = started(file, 2)[1]
        keeper.terminate()
        code = keeper.wait(timeout=60)

    assert code == 0
    assert all(gone(pid) for pid in (first, orphan, second, child))
