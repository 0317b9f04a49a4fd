"""Price one house or many, for any number of fronts: HTTP is one, and all share the model and its queue."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypedDict, TypeVar, Unpack

from phase1_docker_api.errors import RefusalError
from phase1_docker_api.model.artifact import load_model
from phase1_docker_api.model.house_model import Card, HouseModel, PlainEstimate, PreparedHouse
from phase1_docker_api.schemas import FULL_EXAMPLE, MINIMAL_EXAMPLE, Fields, House
from phase1_docker_api.service.batching import LargeBatches, MicroBatcher
from phase1_docker_api.service.checking import checked_each, checked_house
from phase1_docker_api.service.context import ContextFeatures, Enrich, Filled, WhenMissing, context_names
from phase1_docker_api.service.watchers import Priced, Watcher, WatcherGroup
from phase1_docker_api.settings import Settings

# A large batch takes turns with single requests, this many houses at a time: some 20 ms. Fewer would take longer
# a house, because each turn brings all trees into the processor's cache again.
TURN = 2000
# So many single requests take the event loop less than a millisecond.
QUICK = 16

Result = TypeVar("Result")


class ContextOptions(TypedDict, total=False):
    """Where a model's context features come from, and what is done about one that is missing."""

    enrich: Enrich
    when_context_missing: WhenMissing
    enrich_seconds: float
    today: Callable[[], dt.date]


class Pricing:
    """One model with its queue of requests, its large batches and its watchers; `close` it at the end."""

    def __init__(self, model: HouseModel, settings: Settings, **options: Unpack[ContextOptions]) -> None:
        self.model = model
        self.watchers = WatcherGroup()
        self.batches = LargeBatches(
            max_waiting=settings.max_batches, max_bytes=settings.max_batches * settings.max_batch_body_bytes
        )
        self._context = _context(model.card, options)
        self._batcher: MicroBatcher[Priced, PlainEstimate] = MicroBatcher(
            self._answered,
            prepare=self._with_contexts if self._context else None,
            quick=QUICK,
            max_waiting=settings.max_waiting,
        )
        self._warm_up()

    @property
    def card(self) -> Card:
        """The card of the model that gives the prices."""
        return self.model.card

    def watch(self, watcher: Watcher) -> None:
        """Show this one, too, each price from now on."""
        self.watchers.add(watcher)

    def price(self, house: House | Mapping[str, Any], request_id: str = "") -> asyncio.Future[PlainEstimate]:
        """Price one house, checked or parsed; the future has an Estimate as plain data.

        Raises:
            RefusalError: 422 with each faulty field; 503 when too many wait, or a context feature is missing.

        """
        checked = house if isinstance(house, House) else checked_house(house)
        return self.price_one_checked(checked.__dict__, request_id)

    def price_one_checked(self, fields: Fields, request_id: str = "") -> asyncio.Future[PlainEstimate]:
        """Price the fields of a house that was checked; see `price`."""
        known, warned = ({}, []) if self._context else self.model.prepare(fields)
        return self._batcher.submit(Priced(request_id, fields, known, warned))

    async def price_many(
        self, houses: Sequence[House | Mapping[str, Any]], request_id: str = ""
    ) -> list[PlainEstimate]:
        """Price houses, checked or parsed, in their order; all of them or none.

        Raises:
            RefusalError: 422 with faulty fields by row; 503 when a context feature is missing.

        """
        return await self.price_checked(await self.run(partial(checked_each, houses)), request_id)

    async def price_checked(self, houses: Sequence[Fields], request_id: str = "") -> list[PlainEstimate]:
        """Price what `checked_houses` gave, in turns with single requests, on the thread that answers them.

        Raises:
            RefusalError: 503 when a context feature is missing.

        """
        if not houses:
            return []
        prepared = await self._prepared_houses(houses)
        for fields in await self.run(partial(self.model.uncalibrated_patterns, prepared)):
            await self.run(partial(self.model.half_width, fields))
        answers: list[PlainEstimate] = []
        for start in range(0, len(prepared), TURN):
            turn = slice(start, start + TURN)
            answers += await self.run(partial(self._answered_turn, request_id, houses[turn], prepared[turn]))
        return answers

    async def run(self, work: Callable[[], Result]) -> Result:
        """Run other work on the model's thread, in turn with the prices."""
        return await self._batcher.run(work)

    def close(self) -> None:
        """Take nothing more; what waits still gets its answer."""
        self._batcher.close()

    async def _with_contexts(self, items: Sequence[Priced]) -> list[Priced | Exception]:
        filled = await self._filled([item.given for item in items])
        return [self._with_context(item, found) for item, found in zip(items, filled, strict=True)]

    def _with_context(self, item: Priced, found: Filled | RefusalError) -> Priced | Exception:
        if isinstance(found, RefusalError):
            return found
        item.known, item.warned = self.model.prepare({**item.given, **found[0]})
        item.warned += found[1]
        return item

    async def _prepared_houses(self, houses: Sequence[Fields]) -> list[PreparedHouse]:
        if not self._context:
            return await self.run(partial(self.model.prepare_many, houses))
        filled = await self._filled(houses)
        for found in filled:
            if isinstance(found, RefusalError):
                raise found
        contexts = [found for found in filled if not isinstance(found, RefusalError)]
        complete = [{**fields, **values} for fields, (values, _) in zip(houses, contexts, strict=True)]
        prepared = await self.run(partial(self.model.prepare_many, complete))
        return [(known, [*warned, *more]) for (known, warned), (_, more) in zip(prepared, contexts, strict=True)]

    async def _filled(self, houses: Sequence[Fields]) -> list[Filled | RefusalError]:
        assert self._context  # noqa: S101 - asked only where the model has context features
        return await self._context.filled(houses)

    def _answered(self, items: Sequence[Priced]) -> list[PlainEstimate]:
        answers = self._plain_answers([(item.known, item.warned) for item in items])
        if self.watchers:
            for item, answer in zip(items, answers, strict=True):
                item.answer = answer
            self.watchers.prices_made(items)
        return answers

    def _answered_turn(
        self, request_id: str, houses: Sequence[Fields], prepared: Sequence[PreparedHouse]
    ) -> list[PlainEstimate]:
        if not self.watchers:
            return self._plain_answers(prepared)
        return self._answered([
            Priced(request_id, given, known, warned)
            for given, (known, warned) in zip(houses, prepared, strict=True)
        ])  # fmt: skip

    def _plain_answers(self, prepared: Sequence[PreparedHouse]) -> list[PlainEstimate]:
        answers = self.model.price_many(prepared)
        for answer in answers:
            if answer["warnings"]:
                answer["warnings"] = list(map(dict, answer["warnings"]))
        return answers

    def _warm_up(self) -> None:
        """Make a first prediction, which is the slow one."""
        context = dict.fromkeys(context_names(self.card), 0.0)
        houses = (House(**MINIMAL_EXAMPLE), House(**FULL_EXAMPLE))
        self._plain_answers([self.model.prepare({**house.__dict__, **context}) for house in houses])


def make_pricing(settings: Settings, model: HouseModel | None = None, **options: Unpack[ContextOptions]) -> Pricing:
    """Build pricing around the model at `settings.model_path`, or the one given.

    Raises:
        ArtifactError: there is no whole model to serve.

    """
    return Pricing(model or load_model(settings.model_path), settings, **options)


def _context(card: Card, options: ContextOptions) -> ContextFeatures | None:
    if not context_names(card):
        return None
    return ContextFeatures(
        card,
        options.get("enrich"),
        when_missing=options.get("when_context_missing", "refuse"),
        deadline_s=options.get("enrich_seconds", 1.0),
        today=options.get("today", dt.date.today),
    )
