"""Room: code. Requests that wait at the same time share one call of the model, and nothing else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from phase1_docker_api.errors import RefusalError
from phase1_docker_api.service.batching import MicroBatcher


class Model:
    """Answers 10 for 1, fails on what is negative, waits until it may go, and remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.started = threading.Semaphore(0)
        self.may_go = threading.Event()

    def answer_all(self, items: Sequence[int]) -> list[int]:
        self.calls.append(list(items))
        self.started.release()
        assert self.may_go.wait(10)
        if min(items) < 0:
            raise ValueError(f"cannot answer {min(items)}")
        return [item * 10 for item in items]


Scenario = Callable[[Model, MicroBatcher[int, int]], Awaitable[Any]]


def play(scenario: Scenario, **limits: int) -> tuple[Any, list[list[int]]]:
    """Play a scenario; give what it returns, and what the model was asked in each call."""
    model = Model()
    with batching(model, **limits) as batcher:

        async def within_ten_seconds() -> Any:
            return await asyncio.wait_for(scenario(model, batcher), 10)

        return asyncio.run(within_ten_seconds()), model.calls


@contextmanager
def batching(model: Model, **limits: int) -> Iterator[MicroBatcher[int, int]]:
    batcher: MicroBatcher[int, int] = MicroBatcher(model.answer_all, **limits)
    try:
        yield batcher
    finally:
        model.may_go.set()
        batcher.close()


async def until_busy(model: Model) -> None:
    """Return once the model has been called and waits."""
    await asyncio.to_thread(model.started.acquire)


def test_an_idle_model_is_asked_at_once() -> None:
    async def one_caller(model: Model, batcher: MicroBatcher[int, int]) -> int:
        model.may_go.set()
        return await batcher.submit(1)

    answer, calls = play(one_caller)

    assert answer == 10
    assert calls == [[1]]


def test_what_arrives_while_a_prediction_runs_is_answered_by_one_call() -> None:
    async def latecomers(model: Model, batcher: MicroBatcher[int, int]) -> list[int]:
        first = batcher.submit(1)
        await until_busy(model)
        later = [batcher.submit(item) for item in range(2, 12)]
        model.may_go.set()
        return list(await asyncio.gather(first, *later))

    answers, calls = play(latecomers)

    assert answers == [item * 10 for item in range(1, 12)]
    assert calls == [[1], list(range(2, 12))]


def test_what_arrives_in_one_round_of_the_loop_is_answered_by_one_call() -> None:
    async def together(model: Model, batcher: MicroBatcher[int, int]) -> list[int]:
        model.may_go.set()
        return list(await asyncio.gather(*(batcher.submit(item) for item in range(5))))

    _, calls = play(together)

    assert calls == [[0, 1, 2, 3, 4]]


def test_no_call_is_larger_than_the_cap_and_the_first_come_are_the_first_served() -> None:
    async def crowd(model: Model, batcher: MicroBatcher[int, int]) -> list[int]:
        model.may_go.set()
        return list(await asyncio.gather(*(batcher.submit(item) for item in range(10))))

    answers, calls = play(crowd, cap=4)

    assert answers == [item * 10 for item in range(10)]
    assert calls == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_failing_item_fails_its_own_caller_alone() -> None:
    async def one_bad(model: Model, batcher: MicroBatcher[int, int]) -> list[int | BaseException]:
        model.may_go.set()
        return await asyncio.gather(*(batcher.submit(item) for item in (1, -2, 3, -4)), return_exceptions=True)

    answers, _ = play(one_bad)

    assert [str(answer) for answer in answers] == ["10", "cannot answer -2", "30", "cannot answer -4"]


def test_after_a_failure_the_model_is_asked_again() -> None:
    async def bad_then_good(model: Model, batcher: MicroBatcher[int, int]) -> int:
        model.may_go.set()
        with pytest.raises(ValueError, match="cannot answer -1"):
            await batcher.submit(-1)
        return await batcher.submit(2)

    answer, _ = play(bad_then_good)

    assert answer == 20


@pytest.mark.parametrize(("quick", "answered_by"), [(2, "MainThread"), (1, "predict_0")])
def test_a_few_items_are_answered_by_the_loop_and_more_by_the_worker(quick: int, answered_by: str) -> None:
    threads: list[str] = []

    def answer_all(items: Sequence[int]) -> list[int]:
        threads.append(threading.current_thread().name)
        return list(items)

    async def two_callers() -> list[int]:
        return list(await asyncio.gather(batcher.submit(1), batcher.submit(2)))

    batcher = MicroBatcher(answer_all, quick=quick)
    answers = asyncio.run(two_callers())
    batcher.close()

    assert answers == [1, 2]
    assert threads == [answered_by]


def test_a_few_items_wait_for_the_other_work_of_the_model() -> None:
    order: list[str] = []
    other_may_end = threading.Event()

    async def one_caller_meanwhile() -> None:
        other = asyncio.create_task(batcher.run(lambda: (other_may_end.wait(10), order.append("other"))))
        await asyncio.sleep(0)
        answer = batcher.submit(1)
        await asyncio.sleep(0.05)
        other_may_end.set()
        await asyncio.gather(other, answer)

    batcher: MicroBatcher[int, int] = MicroBatcher(lambda items: order.append("item") or list(items), quick=8)
    asyncio.run(one_caller_meanwhile())
    batcher.close()

    assert order == ["other", "item"]


@pytest.mark.parametrize("when", ["while it waits", "while it is answered"])
def test_a_caller_who_leaves_disturbs_nobody(when: str) -> None:
    async def one_leaves(model: Model, batcher: MicroBatcher[int, int]) -> list[int | BaseException]:
        first = batcher.submit(1)
        await until_busy(model)
        waiting = [batcher.submit(item) for item in (2, 3)]
        (first if when == "while it is answered" else waiting[0]).cancel()
        model.may_go.set()
        return await asyncio.gather(first, *waiting, batcher.submit(4), return_exceptions=True)

    answers, _ = play(one_leaves)

    left = 0 if when == "while it is answered" else 1
    assert isinstance(answers.pop(left), asyncio.CancelledError)
    assert answers == [item * 10 for item in (1, 2, 3, 4) if item != left + 1]


def test_one_too_many_is_refused_and_told_when_to_come_back() -> None:
    async def one_too_many(model: Model, batcher: MicroBatcher[int, int]) -> tuple[RefusalError, list[int]]:
        first = batcher.submit(0)
        await until_busy(model)
        waiting = [batcher.submit(item) for item in (1, 2, 3)]
        with pytest.raises(RefusalError) as refused:
            batcher.submit(4)
        model.may_go.set()
        answers = await asyncio.gather(first, *waiting)
        return refused.value, [*answers, await batcher.submit(5)]

    (refusal, answers), calls = play(one_too_many, max_waiting=3)

    assert (refusal.status, refusal.headers) == (503, {"Retry-After": "1"})
    assert answers == [0, 10, 20, 30, 50]
    assert [4] not in calls


def test_other_work_takes_its_turn_on_the_same_thread() -> None:
    async def between(model: Model, batcher: MicroBatcher[int, int]) -> tuple[int, str]:
        first = batcher.submit(1)
        await until_busy(model)
        other = asyncio.ensure_future(batcher.run(lambda: len(model.calls) * 100))
        await asyncio.sleep(0.05)
        assert not other.done()
        model.may_go.set()
        assert await first == 10
        return await other, await batcher.run(lambda: threading.current_thread().name)

    (other, thread), _ = play(between)

    assert other == 100
    assert thread.startswith("predict")


@pytest.mark.parametrize("late", [lambda batcher: batcher.submit(3), lambda batcher: batcher.run(int)])
def test_what_comes_after_the_end_is_refused_at_once_and_what_waited_is_answered(
    late: Callable[[MicroBatcher[int, int]], Awaitable[int]],
) -> None:
    async def closing(model: Model, batcher: MicroBatcher[int, int]) -> tuple[RefusalError, list[int]]:
        accepted = [batcher.submit(1)]
        await until_busy(model)
        accepted.append(batcher.submit(2))
        batcher.close()
        with pytest.raises(RefusalError, match="stopping") as refused:
            await late(batcher)
        model.may_go.set()
        return refused.value, list(await asyncio.gather(*accepted))

    (refusal, answers), _ = play(closing)

    assert refusal.status == 503
    assert answers == [10, 20]


def test_hundreds_of_callers_each_get_their_own_answer() -> None:
    async def storm(model: Model, batcher: MicroBatcher[int, int]) -> list[tuple[int, int]]:
        model.may_go.set()

        async def caller(item: int) -> tuple[int, int]:
            await asyncio.sleep(item % 7 / 1000)
            return item, await batcher.submit(item)

        return list(await asyncio.gather(*(caller(item) for item in range(500))))

    answers, calls = play(storm)

    assert answers == [(item, item * 10) for item in range(500)]
    assert max(map(len, calls)) <= 64
    assert sorted(item for call in calls for item in call) == list(range(500))
