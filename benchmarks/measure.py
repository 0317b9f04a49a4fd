"""Start a peer, load it, and read from the operating system what that cost."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psutil

from benchmarks.peers import ROOT, Peer

START_TIMEOUT_S = 120.0
WARM_UP_S = 1.0
JSON = {"Content-Type": "application/json"}

# The figures of a process or of one load, by their names in figures.json.
Figures = dict[str, float]


class BenchmarkError(Exception):
    """A peer did not start or did not answer as it should: its figures would mean nothing."""


def free_cores() -> list[int]:
    """Give the server's core and the client's, or none where one cannot choose (macOS, a single core)."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return cores[:2] if len(cores) > 1 else []


def measure(peer: Peer, folder: Path, connections: list[int], seconds: float) -> list[Figures]:
    """Start a peer alone, warm it up and load it; the figures of the process, then those of each load."""
    houses = json.loads((folder / "houses.json").read_text())
    port = _free_port()
    with tempfile.TemporaryFile() as log, _running(peer, port, folder, log) as (server, started):
        try:
            start_s = _first_answer(peer, port, houses[0], server, started)
            process = {"start_s": start_s, "start_cpu_s": _cpu_s(server)}
            requests = [_request(peer, port, house) for house in houses]
            _load(server, port, requests, max(connections), WARM_UP_S)
            loads = [_load(server, port, requests, number, seconds) for number in connections]
            return [process | {"memory_mb": sum(map(_memory, _family(server))) / 1e6}, *loads]
        except BenchmarkError as error:
            log.seek(0)
            words = log.read()[-2000:].decode()
            raise BenchmarkError(f"{peer.name} {error}; its last words:\n{words}") from error


@contextlib.contextmanager
def _running(peer: Peer, port: int, folder: Path, log: IO[bytes]) -> Iterator[tuple[psutil.Popen, float]]:
    settings = {"HOUSE_PORT": str(port), "HOUSE_MODEL_PATH": str(folder / "current"), "PYTHONPATH": str(ROOT)}
    command = [part.format(port=port) for part in peer.command]
    started = time.perf_counter()
    with _pinned(0):
        # A session of its own: Ctrl-C reaches only us, and we stop it.
        server = psutil.Popen(
            command, env=os.environ | settings, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield server, started
    finally:
        family = _family(server)
        with contextlib.suppress(psutil.NoSuchProcess):
            server.terminate()
        for survivor in psutil.wait_procs(family, timeout=10)[1]:
            survivor.kill()


@contextlib.contextmanager
def _pinned(place: int) -> Iterator[None]:
    """What is started inside runs on one core, threads and children too: they inherit it."""
    if not free_cores():
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {free_cores()[place]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _first_answer(peer: Peer, port: int, house: dict[str, object], server: psutil.Popen, started: float) -> float:
    """Ask until there is an answer, and say how long after its start that was."""
    while (now := time.perf_counter() - started) < START_TIMEOUT_S and server.poll() is None:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            try:
                connection.request("POST", peer.path, peer.body(house), JSON)
            except ConnectionRefusedError:
                time.sleep(0.01)
                continue
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                raise BenchmarkError(f"answered {answer.status}: {answer.read(500)!r}")
            return time.perf_counter() - started
    raise BenchmarkError(f"gave no answer in {now:.0f} s")


def _request(peer: Peer, port: int, house: dict[str, object]) -> str:
    body = peer.body(house).decode()
    head = f"POST {peer.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {JSON['Content-Type']}\r\n"
    return f"{head}Content-Length: {len(body.encode())}\r\n\r\n{body}"


def _load(server: psutil.Process, port: int, requests: list[str], connections: int, seconds: float) -> Figures:
    """Let the client, in its own process, load the server; add what the server spent meanwhile."""
    asked = {"port": port, "requests": requests, "connections": connections, "seconds": seconds}
    command = [sys.executable, "-m", "benchmarks.load"]
    before = _cpu_s(server)
    with _pinned(1):
        client = subprocess.run(  # noqa: S603 - our own
            command, cwd=ROOT, input=json.dumps(asked).encode(), stdout=subprocess.PIPE, check=True
        )
    spent = _cpu_s(server) - before
    figures: Figures = json.loads(client.stdout)
    if figures["errors"]:
        raise BenchmarkError(f"failed {figures['errors']} times in {figures['answers']} answers")
    return figures | {
        "cpu_us_per_request": spent / figures["answers"] * 1e6,
        "server_cpu_share": spent / figures["elapsed_s"],
    }


def _cpu_s(server: psutil.Process) -> float:
    return float(sum(sum(process.cpu_times()[:2]) for process in _family(server)))


def _memory(process: psutil.Process) -> float:
    """Proportional set size in bytes where the system tells it (Linux), else the resident size."""
    full = process.memory_full_info()
    return float(getattr(full, "pss", full.rss))


def _family(server: psutil.Process) -> list[psutil.Process]:
    return [server, *server.children(recursive=True)] if server.is_running() else [server]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
