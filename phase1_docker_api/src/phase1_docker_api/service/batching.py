"""Answer requests that wait at the same time with one call of the model, and large batches one at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Generic, TypeVar

from phase1_docker_api.errors import RefusalError, refuse, stopping

Item = TypeVar("Item")
Output = TypeVar("Output")
Result = TypeVar("Result")
Batch = list[tuple[Item, asyncio.Future[Output]]]


class MicroBatcher(Generic[Item, Output]):
    """Gather what arrives while the one worker thread is busy, and hand it over together.

    There is no timer: a request that finds the worker idle goes straight in, so an idle service loses nothing
    and a busy one shares the fixed cost of a prediction among up to `cap` requests. Up to `quick` requests that
    find the worker idle are answered by the event loop itself: handing them over would take longer.

    `prepare` completes the items of one batch before they are answered, on the event loop; an exception in the
    place of an item fails that item alone.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Item]], list[Output]],
        *,
        prepare: Callable[[Sequence[Item]], Awaitable[Sequence[Item | Exception]]] | None = None,
        cap: int = 64,
        quick: int = 0,
        max_waiting: int = 1024,
    ) -> None:
        self._compute, self._cap, self._quick, self._max_waiting = compute, cap, quick, max_waiting
        self._prepare = prepare
        self._preparing: asyncio.Task[None] | None = None  # the event loop itself holds no task
        self._waiting: deque[tuple[Item, asyncio.Future[Output]]] = deque()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="predict")
        self._busy = self._closed = False
        self._others = 0

    def submit(self, item: Item) -> asyncio.Future[Output]:
        """Queue one item; the future has its answer.

        Raises:
            RefusalError: 503, when `max_waiting` items wait already, or after `close`.

        """
        if self._closed:
            raise stopping()
        if len(self._waiting) >= self._max_waiting:
            raise refuse(503, "service", "too many requests wait", "try again in a second", {"Retry-After": "1"})
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Output] = loop.create_future()
        self._waiting.append((item, future))
        if not self._busy:
            self._busy = True
            # Not at once: what the loop has read in this same round joins the batch.
            loop.call_soon(self._start)
        return future

    async def run(self, work: Callable[[], Result]) -> Result:
        """Run other work of the model on the same thread, in turn with the batches.

        Raises:
            RefusalError: 503, after `close`.

        """
        if self._closed:
            raise stopping()
        self._others += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, work)
        finally:
            self._others -= 1

    def close(self) -> None:
        """Take nothing more, and let the thread end after what it is doing; what waits still gets its answer."""
        self._closed = True
        self._worker.shutdown(wait=False)

    def _start(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(self._cap, len(self._waiting)))]
        if self._prepare is None:
            self._answer(batch)
        else:
            self._preparing = asyncio.get_running_loop().create_task(self._answer_prepared(self._prepare, batch))

    async def _answer_prepared(
        self, prepare: Callable[[Sequence[Item]], Awaitable[Sequence[Item | Exception]]], batch: Batch[Item, Output]
    ) -> None:
        prepared: Sequence[Item | Exception]
        try:
            prepared = await prepare([item for item, _ in batch])
        except Exception as error:
            prepared = [error] * len(batch)
        ready: Batch[Item, Output] = []
        for (_, future), item in zip(batch, prepared, strict=True):
            if not isinstance(item, Exception):
                ready.append((item, future))
            elif not future.done():
                future.set_exception(item)
        self._answer(ready)

    def _answer(self, batch: Batch[Item, Output]) -> None:
        items = [item for item, _ in batch]
        if self._closed or (len(items) <= self._quick and not self._others):
            self._finish(batch, self._outcomes(items))
            return
        work = asyncio.get_running_loop().run_in_executor(self._worker, self._outcomes, items)
        work.add_done_callback(lambda done: self._finish(batch, done.result()))

    def _finish(self, batch: Batch[Item, Output], outcomes: Sequence[Output | Exception]) -> None:
        if self._waiting:
            self._start()
        else:
            self._busy = False
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if future.done():  # the caller has gone
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    def _outcomes(self, items: list[Item]) -> list[Output | Exception]:
        """Answer all; when that fails, each alone, so that one item cannot fail its neighbours."""
        if not items:
            return []
        try:
            return list(self._compute(items))
        except Exception as error:
            if len(items) == 1:
                return [error]
            return [outcome for item in items for outcome in self._outcomes([item])]


class LargeBatches:
    """Let large batches through one at a time: an answer in the making takes ten times the memory of its request.

    Few may wait for their turn. All bodies together, those that are still on their way too, are bounded in
    bytes and not in number: so slow clients, who have sent little, take nobody's place.
    """

    def __init__(self, *, max_waiting: int, max_bytes: int) -> None:
        self._room, self._bytes_left = max_waiting, max_bytes
        self._turn = asyncio.Lock()

    @contextmanager
    def held_bytes(self) -> Iterator[Callable[[int], None]]:
        """Give a function to call with the size of each piece that is kept until the end of the context.

        It raises RefusalError, 503, when there is no memory left for the piece.
        """
        held = 0

        def keep(size: int) -> None:
            nonlocal held
            if size > self._bytes_left:
                raise _too_many_batches({"Connection": "close"})
            self._bytes_left -= size
            held += size

        try:
            yield keep
        finally:
            self._bytes_left += held

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for one's turn, and have it.

        Raises:
            RefusalError: 503, when too many wait already.

        """
        if not self._room:
            raise _too_many_batches()
        self._room -= 1
        try:
            async with self._turn:
                yield
        finally:
            self._room += 1


def _too_many_batches(headers: Mapping[str, str] | None = None) -> RefusalError:
    hint = "try again in some seconds, or send fewer houses at a time"
    return refuse(503, "service", "too many batches wait", hint, {"Retry-After": "5", **(headers or {})})
