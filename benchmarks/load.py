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
PATIENCE_S = 20.0


class Connection(asyncio.Protocol):
    """One connection that is kept alive; it does no more than a measurement needs, to stay light."""

    def __init__(self, requests: Iterator[bytes], until: float) -> None:
        self._requests, self._until = requests, until
        self._answer = bytearray()
        self.seconds: list[float] = []
        self.errors = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

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
        self._answer.clear()
        if framed and now < self._until:
            self._ask()
        else:
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count a connection that the server closed."""
        if not self.done.done():
            self.errors += 1
            self._end()

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        self._transport.write(next(self._requests))

    def _end(self) -> None:
        self.done.set_result(None)
        self._transport.close()


async def load(port: int, requests: list[str], connections: int, seconds: float) -> dict[str, float]:
    """Ask for `seconds`, then wait for what is under way; give counts, latencies and the CPU share."""
    rotation = itertools.cycle([request.encode() for request in requests])
    loop, started, cpu_started = asyncio.get_running_loop(), time.perf_counter(), time.process_time()
    asking = [
        (await loop.create_connection(lambda: Connection(rotation, started + seconds), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    _, silent = await asyncio.wait([c.done for c in asking], timeout=seconds + PATIENCE_S)
    elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    milliseconds = [s * 1000 for c in asking for s in c.seconds]
    cuts = quantiles(milliseconds or [0.0, 0.0], n=100)
    return {
        "answers": len(milliseconds),
        "errors": sum(c.errors for c in asking) + len(silent),
        "elapsed_s": elapsed,
        "requests_per_s": len(milliseconds) / elapsed,
        "p50_ms": cuts[49],
        "p99_ms": cuts[98],
        "client_cpu_share": cpu / elapsed,
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(load(**json.load(sys.stdin)))))
