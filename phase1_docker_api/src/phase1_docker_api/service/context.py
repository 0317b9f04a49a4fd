"""Fill the features that a model needs and no request carries, such as the level of prices on this day."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal

from phase1_docker_api.errors import RefusalError, refuse
from phase1_docker_api.model.house_model import Card
from phase1_docker_api.schemas import Fields, Given, Warned
from phase1_docker_api.service.logs import get_logger

House = Mapping[str, Given]
Values = Mapping[str, float]
# Houses with the fields that were given, and the day: the model's context features of each house, by name.
Enrich = Callable[[Sequence[House], dt.date], Awaitable[Sequence[Values]]]
WhenMissing = Literal["refuse", "last_known"]
Filled = tuple[Values, list[Warned]]


def context_names(card: Card) -> tuple[str, ...]:
    """Name the context features of a model, none for one that needs only what requests carry."""
    return tuple(feature.name for feature in card.context)


class ContextFeatures:
    """Asks `enrich` for a whole batch at once, and settles what to do about what it does not know."""

    def __init__(
        self,
        card: Card,
        enrich: Enrich | None,
        *,
        when_missing: WhenMissing,
        deadline_s: float,
        today: Callable[[], dt.date],
    ) -> None:
        self._names, self._enrich = context_names(card), enrich
        self._when_missing, self._deadline_s, self._today = when_missing, deadline_s, today
        self._areas = frozenset(card.categories.get("neighborhood", ()))
        # By feature and area, because many features differ by area; `None` is a house without a known area.
        self._last: dict[tuple[str, Given | None], tuple[float, dt.date]] = {}

    async def filled(self, houses: Sequence[Fields]) -> list[Filled | RefusalError]:
        """Give each house's context features and warnings, or the 503 that it is refused with."""
        as_of = self._today()
        found = await self._found([{n: v for n, v in house.items() if v is not None} for house in houses], as_of)
        return [self._settled(house, values, as_of) for house, values in zip(houses, found, strict=True)]

    async def _found(self, houses: Sequence[House], as_of: dt.date) -> Sequence[Values]:
        """What `enrich` knows; nothing when it fails or takes too long."""
        nothing: list[Values] = [{}] * len(houses)
        if self._enrich is None:
            return nothing
        try:
            found = await _within(self._deadline_s, self._enrich(houses, as_of))
            if len(found) == len(houses):
                return [_finite(values) for values in found]
            reason = f"{len(found)} answers for {len(houses)} houses"
        except TimeoutError:
            reason = f"no answer within {self._deadline_s:g} s"
        except Exception as error:  # of any kind: when_context_missing says what follows
            reason = f"{type(error).__name__}: {error}"
        get_logger().warning("enrich_failed", reason=reason, houses=len(houses))
        return nothing

    def _settled(self, house: Fields, values: Values, as_of: dt.date) -> Filled | RefusalError:
        settled: dict[str, float] = {}
        warned: list[Warned] = []
        area = house.get("neighborhood")
        area = area if area in self._areas else None
        for name in self._names:
            if name in values:
                self._last[name, area] = values[name], as_of
                settled[name] = values[name]
            elif self._when_missing == "last_known" and (name, area) in self._last:
                settled[name], day = self._last[name, area]
                warned.append(_last_known(name, settled[name], day))
            else:
                return _unknown(name)
        return settled, warned


async def _within(seconds: float, asked: Awaitable[Sequence[Values]]) -> Sequence[Values]:
    """Wait so long, and no longer for one that ignores its cancellation, as `asyncio.wait_for` would."""
    task = asyncio.ensure_future(asked)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        task.cancel()


def _finite(values: Values) -> Values:
    return {n: float(v) for n, v in values.items() if isinstance(v, int | float) and math.isfinite(v)}


def _unknown(name: str) -> RefusalError:
    hint = "it comes from elsewhere than the request: try again in some seconds"
    return refuse(503, name, "the model needs it, and it is not known now", hint, {"Retry-After": "5"})


def _last_known(name: str, value: float, day: dt.date) -> Warned:
    message = f"{name}: not known now; {value:g}, known on {day}, stood in for it"
    return Warned(field=name, code="context_last_known", message=message)
