"""The asking side, a process of its own: each connection asks again as soon as it has its answer."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sys
import time
from collections.abc import Iterator
from statistics import quantiles
from typing import cast

import uvloop

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
CLOSE = re.compile(rb"\r\nconnection: *close\r\n", re.IGNORECASE)
PATIENCE_S = 60.0


class Caller(asyncio.Protocol):
    """One caller; it does no more than a measurement needs, to stay light.

    It keeps its connection. Where the server closes it after each answer (gunicorn's sync workers do), it
    connects again, and that takes part of the next answer's time.
    """

    def __init__(self, port: int, requests: Iterator[bytes], until: float) -> None:
        self._port, self._requests, self._until = port, requests, until
        self._answer = bytearray()
        self.seconds: list[float] = []
        self.errors = 0
        self.done = asyncio.get_running_loop().create_future()
        self._leaving = False

    async def start(self) -> None:
        """Connect, and ask for the first time."""
        self._asked = time.perf_counter()
        self._request = next(self._requests)
        await self._connect()

    async def _connect(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Wait until the answer is whole, check it, and ask again."""
        self._answer += data
        head = self._answer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = CONTENT_LENGTH.search(self._answer, 0, head + 2)
        if length and len(self._answer) < head + 4 + int(length[1]):
            return
        now = time.perf_counter()
        self.seconds.append(now - self._asked)
        # Without a length, or with more than it says, nobody knows where the next answer begins.
        framed = length is not None and len(self._answer) == head + 4 + int(length[1])
        self.errors += not (framed and self._answer.startswith(b"HTTP/1.1 200 "))
        closes = CLOSE.search(self._answer, 0, head + 2)
        self._answer.clear()
        following = next(self._requests, None) if framed and now < self._until else None
        if following is None:
            self._end()
            return
        self._asked, self._request = now, following
        if closes:
            self._leaving = True
            self._transport.close()
        else:
            self._transport.write(following)

    def connection_lost(self, exc: Exception | None) -> None:
        """Connect again where the server said it would close; else count a failure."""
        if self._leaving:
            self._leaving = False
            self._reconnecting = asyncio.create_task(self._connect())
        elif not self.done.done():
            self.errors += 1
            self._end()

    def _end(self) -> None:
        self.done.set_result(None)
        self._transport.close()


async def load(port: int, requests: list[str], connections: int, seconds: float | None) -> dict[str, float]:
    """Ask in rotation for `seconds`, or each request once without; give counts, latencies and the CPU share."""
    bodies = [request.encode() for request in requests]
    started, cpu_started = time.perf_counter(), time.process_time()
    in_turn = itertools.cycle(bodies) if seconds else iter(bodies)
    until = started + seconds if seconds else float("inf")
    callers = [Caller(port, in_turn, until) for _ in range(connections)]
    await asyncio.gather(*(caller.start() for caller in callers))
    _, silent = await asyncio.wait([caller.done for caller in callers], timeout=(seconds or 0) + PATIENCE_S)
    elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    milliseconds = [s * 1000 for caller in callers for s in caller.seconds]
    cuts = quantiles(milliseconds * 2 or [0.0, 0.0], n=100)
    return {
        "answers": len(milliseconds),
        "errors": sum(caller.errors for caller in callers) + len(silent),
        "elapsed_s": elapsed,
        "requests_per_s": len(milliseconds) / elapsed,
        "p50_ms": cuts[49],
        "p99_ms": cuts[98],
        "client_cpu_share": cpu / elapsed,
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(load(**json.load(sys.stdin)))))
