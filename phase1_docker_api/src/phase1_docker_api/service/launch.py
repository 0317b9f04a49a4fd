"""Run the service as a process of its own on loopback, for a replay or a test, and stop it cleanly."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import httpx

from phase1_docker_api.errors import ServiceError

Process = subprocess.Popen[bytes]
LOOPBACK = "127.0.0.1"  # asked without the proxy that the environment may name


@contextlib.contextmanager
def running_service(
    artifact: Path, *, log: IO[bytes] | int = subprocess.DEVNULL, **settings: str
) -> Iterator[tuple[str, Process]]:
    """Serve `artifact` on a free port; give the address and the process, and stop it at the end.

    `settings` are environment variables, `log` takes what the service prints.

    Raises:
        ServiceError: it ended, or was not ready within a minute.

    """
    port = free_port()
    environment = os.environ | {"HOUSE_HOST": LOOPBACK, "HOUSE_PORT": str(port), "HOUSE_MODEL_PATH": str(artifact)}
    command = [sys.executable, "-m", "phase1_docker_api", "serve"]
    with subprocess.Popen(command, env=environment | settings, stdout=log) as process:  # noqa: S603 - our own command
        try:
            url = f"http://{LOOPBACK}:{port}"
            wait_until_ready(url, process)
            yield url, process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def free_port() -> int:
    """A port of loopback that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def free_ports(number: int) -> list[int]:
    """So many ports of loopback, each another one."""
    ports: set[int] = set()
    while len(ports) < number:
        ports.add(free_port())
    return list(ports)


def wait_until_ready(url: str, process: Process, timeout_s: float = 60) -> None:
    """Return once `/readyz` answers 200.

    Raises:
        ServiceError: the process ended, or the time is over.

    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServiceError(f"the service ended with code {process.returncode} before it was ready")
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz", trust_env=False).status_code == httpx.codes.OK:
                return
        time.sleep(0.05)
    raise ServiceError(f"the service at {url} was not ready within {timeout_s:.0f} s")
