"""The asking side of test_reliability.py, a process of its own: many connections, or many requests a second.

Reads one JSON object from standard input, the arguments of `ask`, and writes what came back as JSON.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from statistics import quantiles
from typing import Any, cast

import uvloop

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
PATIENCE_S = 60


class Connection(asyncio.Protocol):
    """One connection that can be asked again while the service keeps it open."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        """Send a request; the future has the head of its answer, empty when the connection was lost."""
        self._received, self._head, self._missing = bytearray(), b"", 0
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        if self._head:
            self._missing -= len(data)
        else:
            self._received += data
            end = self._received.find(b"\r\n\r\n") + 4
            if end < 4:
                return
            self._head = bytes(self._received[:end])
            self._missing = end + int(CONTENT_LENGTH.findall(self._head)[0]) - len(self._received)
        if not self._missing and not self._answer.done():
            self._answer.set_result(self._head)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._answer.done():
            self._answer.set_result(b"")

    @property
    def is_open(self) -> bool:
        return not self._transport.is_closing()

    def close(self) -> None:
        self._transport.close()


class Tally:
    """What came back: how often each status, how long a price took, and refusals without a time to come back."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.milliseconds: list[float] = []
        self.without_retry_after = 0

    def count(self, head: bytes, seconds: float) -> None:
        status = head[9:12].decode() or "lost"
        self.statuses[status] += 1
        self.without_retry_after += status == "503" and b"\r\nretry-after: " not in head
        if status == "200":
            self.milliseconds.append(seconds * 1000)


async def ask_in_turn(port: int, requests: Iterator[bytes], tally: Tally) -> None:
    """Ask one after the other, on a new connection whenever the old one was closed."""
    connection: Connection | None = None
    for request in requests:
        started = time.perf_counter()
        if connection is None or not connection.is_open:
            _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
        tally.count(await connection.ask(request), time.perf_counter() - started)
    if connection:
        connection.close()


async def ask(
    port: int, requests: list[str], *, connections: int = 0, seconds: float = 0, count: int = 0, rate_per_s: float = 0
) -> dict[str, Any]:
    """Ask on `connections` for `seconds`, or until `count`; or `rate_per_s`, whatever has been answered by then."""
    tally = Tally()
    rotation: Iterator[bytes] = itertools.cycle([request.encode() for request in requests])
    started = time.perf_counter()
    if count:
        rotation = itertools.islice(rotation, count)
    elif connections:
        rotation = itertools.takewhile(lambda _: time.perf_counter() < started + seconds, rotation)
    asking = [asyncio.ensure_future(ask_in_turn(port, rotation, tally)) for _ in range(connections)]
    for _ in range(round(rate_per_s * seconds)):
        asking.append(asyncio.ensure_future(ask_in_turn(port, iter([next(rotation)]), tally)))
        await asyncio.sleep(1 / rate_per_s)
    async with asyncio.timeout(max(seconds, count / 100) + PATIENCE_S):
        await asyncio.gather(*asking)
    p99_ms = quantiles(tally.milliseconds, n=100)[98] if len(tally.milliseconds) > 1 else float("inf")
    return {
        "statuses": tally.statuses,
        "without_retry_after": tally.without_retry_after,
        "p99_ms": p99_ms,
        "elapsed_s": time.perf_counter() - started,
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(ask(**json.load(sys.stdin)))))
