"""Show what happens to whoever counts or records it, without letting a faulty watcher cost an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Scope

from phase1_docker_api.model.house_model import PlainEstimate
from phase1_docker_api.model.typical import Record
from phase1_docker_api.schemas import Fields, Warned
from phase1_docker_api.service.logs import get_logger


@dataclass(slots=True)
class Priced:
    """One house with its price: what was given, what the model used of it, and the answer."""

    request_id: str
    given: Fields
    known: Record
    warned: list[Warned]
    answer: PlainEstimate = field(default_factory=dict)

    @property
    def completed(self) -> Record:
        """What the model has seen: the fields that it could use, its context, and what was assumed."""
        return {**self.known, **self.answer["assumed"]}


class Watcher:
    """Sees requests and prices; a watcher overrides what it is interested in, and must be quick."""

    def request_began(self) -> None:
        """See an HTTP request come in."""

    def request_ended(self, scope: Scope, status: int, seconds: float) -> None:
        """See it answered; `scope` has its route, its `request_id` and what is logged about it."""

    def prices_made(self, priced: Sequence[Priced]) -> None:
        """See prices that were made in one go, from any front, on the thread that made them.

        They can be of several requests: each has its request's id.
        """


class WatcherGroup(Watcher):
    """Shows each event to all watchers; one that raises is logged once for each kind of error."""

    def __init__(self, watchers: Sequence[Watcher] = ()) -> None:
        self._watchers = tuple(watchers)
        self._reported: set[tuple[str, ...]] = set()

    def __bool__(self) -> bool:
        """Tell whether there is a watcher."""
        return bool(self._watchers)

    def add(self, watcher: Watcher) -> None:
        """Show this one, too, what happens from now on."""
        self._watchers = (*self._watchers, watcher)

    def request_began(self) -> None:
        """Show that an HTTP request came in."""
        for watcher in self._watchers:
            try:
                watcher.request_began()
            except Exception as error:
                self._report(watcher.request_began, error)

    def request_ended(self, scope: Scope, status: int, seconds: float) -> None:
        """Show that it was answered."""
        for watcher in self._watchers:
            try:
                watcher.request_ended(scope, status, seconds)
            except Exception as error:
                self._report(watcher.request_ended, error)

    def prices_made(self, priced: Sequence[Priced]) -> None:
        """Show prices that were made in one go."""
        for watcher in self._watchers:
            try:
                watcher.prices_made(priced)
            except Exception as error:
                self._report(watcher.prices_made, error)

    def _report(self, method: Callable[..., Any], error: Exception) -> None:
        kind = (method.__qualname__, type(error).__qualname__)
        if kind not in self._reported:
            self._reported.add(kind)
            get_logger().error("watcher_failed", watcher=method.__qualname__, exc_info=error)
