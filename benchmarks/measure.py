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

from benchmarks.environments import activated
from benchmarks.peers import ROOT, Batches, House, Peer

START_TIMEOUT_S = 120.0
WARM_UP_S = 1.0
SINGLES = 500
ROWS = (10_000, 100_000)
BATCH_TIMES = 3
# The parts of a peer's figures, beside one for each number of connections.
PROCESS, BATCHES = "process", "batches"
JSON = {"Content-Type": "application/json"}

# The figures of a process or of one load, by their names in figures.json.
Figures = dict[str, float]


class BenchmarkError(Exception):
    """A peer did not start or did not answer as it should: its figures would mean nothing."""


def free_cores() -> list[int]:
    """Give the server's core and the client's, or none where one cannot choose (macOS, a single core)."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return cores[:2] if len(cores) > 1 else []


def measure(peer: Peer, folder: Path, connections: tuple[int, ...], seconds: float) -> dict[str, Figures]:
    """Start a peer alone and load it; give the figures of its process, of each load, and of its batches."""
    houses: list[House] = json.loads((folder / "houses.json").read_text())
    port = _free_port()
    with tempfile.TemporaryFile() as log, _running(peer, port, folder, log) as (server, started):
        try:
            start_s = _first_answer(peer, port, houses[0], server, started)
            figures = {PROCESS: {"start_s": start_s, "start_cpu_s": _cpu_s(server)}}
            requests = [_request(peer.path, port, peer.body(house)) for house in houses[:SINGLES]]
            _load(server, port, requests, max(connections), WARM_UP_S)
            for number in connections:
                figures[str(number)] = _load(server, port, requests, number, seconds)
            figures[PROCESS]["memory_mb"] = sum(map(_memory, _family(server))) / 1e6
            if peer.batches:
                batches = [_batch(peer.batches, server, port, houses, rows) for rows in ROWS]
                figures[BATCHES] = {name: value for batch in batches for name, value in batch.items()}
            return figures
        except BenchmarkError as error:
            log.seek(0)
            words = log.read()[-2000:].decode()
            raise BenchmarkError(f"{peer.name} {error}; its last words:\n{words}") from error


@contextlib.contextmanager
def _running(peer: Peer, port: int, folder: Path, log: IO[bytes]) -> Iterator[tuple[psutil.Popen, float]]:
    settings = activated(peer) | {"HOUSE_PORT": str(port), "HOUSE_MODEL_PATH": str(folder / "current")}
    command = peer.command.format(port=port).split()
    started = time.perf_counter()
    with _pinned(0):
        # A session of its own: Ctrl-C reaches only us, and we stop it.
        server = psutil.Popen(command, env=settings, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        yield server, started
    finally:
        _stop(_family(server))


def _stop(family: list[psutil.Process]) -> None:
    """End a server and what it started; not every one ends its children."""
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
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


def _first_answer(peer: Peer, port: int, house: House, server: psutil.Popen, started: float) -> float:
    """Ask until there is an answer, and say how long after its start that was."""
    body = json.dumps(peer.body(house))
    while (now := time.perf_counter() - started) < START_TIMEOUT_S and server.poll() is None:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=START_TIMEOUT_S)) as connection:
            try:
                connection.request("POST", peer.path, body, JSON)
                answer = connection.getresponse()
            except ConnectionError:
                time.sleep(0.01)
                continue
            if answer.status != http.client.OK:
                raise BenchmarkError(f"answered {answer.status}: {answer.read(500)!r}")
            return time.perf_counter() - started
    raise BenchmarkError(f"gave no answer in {now:.0f} s")


def _batch(batches: Batches, server: psutil.Process, port: int, houses: list[House], rows: int) -> Figures:
    """Send so many houses three times over one connection, in as few requests as the peer takes them."""
    at_once = min(rows, batches.most)
    many = (houses * (at_once // len(houses) + 1))[:at_once]
    request = _request(batches.path, port, batches.body(many))
    answered = _load(server, port, [request] * (BATCH_TIMES * rows // at_once), 1, None)
    return {
        f"rows_per_s_of_{rows}": BATCH_TIMES * rows / answered["elapsed_s"],
        f"cpu_us_per_row_of_{rows}": answered["cpu_us_per_request"] / at_once,
    }


def _request(path: str, port: int, body: object) -> str:
    text = json.dumps(body)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {JSON['Content-Type']}\r\n"
    return f"{head}Content-Length: {len(text.encode())}\r\n\r\n{text}"


def _load(server: psutil.Process, port: int, requests: list[str], connections: int, seconds: float | None) -> Figures:
    """Let the client, in its own process, load the server; add what the server spent meanwhile."""
    asked = {"port": port, "requests": requests, "connections": connections, "seconds": seconds}
    command = [sys.executable, "-m", "benchmarks.load"]
    before = _cpu_s(server)
    with _pinned(1):
        client = subprocess.run(  # noqa: S603 - our own
            command,
            cwd=ROOT,
            input=json.dumps(asked).encode(),
            stdout=subprocess.PIPE,
            check=True,
            start_new_session=True,
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
    """What the server and its children have used, those that have ended too."""
    return float(sum(sum(process.cpu_times()[:4]) for process in _family(server)))


def _memory(process: psutil.Process) -> float:
    """Proportional set size in bytes where the system tells it (Linux), else the resident size."""
    full = process.memory_full_info()
    return float(full.pss if hasattr(full, "pss") else full.rss)


def _family(server: psutil.Process) -> list[psutil.Process]:
    return [server, *server.children(recursive=True)] if server.is_running() else [server]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
