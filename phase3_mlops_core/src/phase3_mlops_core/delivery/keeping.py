"""Keep a program running that leaves children behind when it is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import NoReturn

PAUSE_SECONDS = 1.0


def keep_running(command: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Run a program until SIGTERM or SIGINT; when it dies, end what it left behind, and start it again.

    The workers of a scheduler outlive it and hold its output open, so a supervisor that waits for the end of the
    output would never see that the scheduler has died.
    """
    while True:
        process = subprocess.Popen(command, env=dict(environment), start_new_session=True)  # noqa: S603 - our own program
        told = _wait(process)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        if told:
            sys.exit(0)
        print(f"{command[1]} ended with code {process.returncode}: it is started again", flush=True)
        time.sleep(PAUSE_SECONDS)


def _wait(process: subprocess.Popen[bytes]) -> bool:
    """Wait for its end, and say whether we were told to stop; the signal is passed on."""
    told = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        told.append(number)
        process.send_signal(signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    process.wait()
    return bool(told)
