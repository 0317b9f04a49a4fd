"""One server for all workers of a test run: the first worker that needs it starts it, the last one stops it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from phase1_docker_api.errors import ServiceError
from pydantic import BaseModel

START_SECONDS, STOP_SECONDS = 300, 30
# Held to the end of the process: a server outlives the worker that started it if another one still needs it.
_STARTED: list[subprocess.Popen[bytes]] = []


class _State(BaseModel):
    pid: int
    port: int
    users: list[int]


@dataclass(frozen=True)
class SharedServer:
    """The process of a server, which may be a child of another worker, its port, and its folder."""

    process: psutil.Process
    port: int
    folder: Path


@contextlib.contextmanager
def shared_server(
    request: pytest.FixtureRequest,
    factory: pytest.TempPathFactory,
    name: str,
    start: Callable[[Path], tuple[subprocess.Popen[bytes], int]],
) -> Iterator[SharedServer]:
    """Take part in the server `name` of this test run; `start` runs it in a folder and waits until it is ready."""
    folder = _run_folder(request, factory) / name
    folder.mkdir(exist_ok=True)
    with _state(folder) as states:
        if not states or not psutil.pid_exists(states[0].pid):
            process, port = start(folder)
            _STARTED.append(process)
            states[:] = [_State(pid=process.pid, port=port, users=[])]
        state = states[0]
        state.users.append(os.getpid())
    try:
        yield SharedServer(psutil.Process(state.pid), state.port, folder)
    finally:
        with _state(folder) as states:
            states[0].users.remove(os.getpid())
            if not states[0].users:
                stop(psutil.Process(states[0].pid))
                states.clear()
        for process in _STARTED:
            process.poll()  # of one that has ended Python would say at its own end that it still runs


def start_server(
    command: Sequence[str], log: Path, is_ready: Callable[[], bool], **environment: str
) -> subprocess.Popen[bytes]:
    """Start a server that writes into `log`, and return once it is ready.

    Raises:
        ServiceError: it ended before, or was not ready in time; its log is in the message.

    """
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=os.environ | environment, stdout=output, stderr=output)  # noqa: S603
    deadline = time.monotonic() + START_SECONDS
    try:
        while not is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServiceError(f"{command[0]} did not start:\n{log.read_text()}")
            time.sleep(0.2)
    except BaseException:  # Ctrl-C too: no server stays behind
        process.kill()
        process.wait()
        raise
    return process


def stop(process: psutil.Process) -> None:
    """End a server and its workers, also one that was stopped by a signal."""
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [process, *process.children(recursive=True)]
        for one in family:
            one.resume()
        process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while (alive := [one for one in family if _lives(one)]) and time.monotonic() < deadline:
            time.sleep(0.05)
        for one in alive:
            one.kill()


def _lives(process: psutil.Process) -> bool:
    """Whether it runs; one that has ended stays a zombie while its parent, another worker, has not asked for it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def _run_folder(request: pytest.FixtureRequest, factory: pytest.TempPathFactory) -> Path:
    """A worker of pytest-xdist has a folder of its own in that of the run."""
    own = factory.getbasetemp()
    return own.parent if hasattr(request.config, "workerinput") else own


@contextlib.contextmanager
def _state(folder: Path) -> Iterator[list[_State]]:
    """Read the state, none or one, change it in the block, and write it again; one worker at a time."""
    with (folder / "state.json").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        states = [_State.model_validate_json(line) for line in file]
        yield states
        file.truncate(0)
        file.write("".join(f"{state.model_dump_json()}\n" for state in states))
