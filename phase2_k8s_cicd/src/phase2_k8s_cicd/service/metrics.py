"""What Prometheus is told of the service, by its conventions: base units, `_total`, few and bounded labels.

A counter of prometheus_client's takes 2 µs to count, a histogram 4, and a request needs five of them, while all else
takes 150. So events are only put aside when they happen, which takes less than one, and counted many at a time.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from datetime import time as day_time
from itertools import chain
from typing import TypeVar

import numpy as np
from phase1_docker_api.model.house_model import Card
from phase1_docker_api.schemas import House
from phase1_docker_api.service.context import context_names
from phase1_docker_api.service.watchers import Priced, Watcher
from prometheus_client import CollectorRegistry, Gauge, GCCollector, Info, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from starlette.types import Scope

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
# Callers can invent names of fields; a label they fill at will would fill the memory of Prometheus.
FIELDS = {*House.model_fields, "body", "houses", "columns", "path", "method", "service"}
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
HOUSES = (1, 2, 4, 8, 16, 32, 64, 2000)
PRICES_USD = (100e3, 200e3, 300e3, 400e3, 500e3, 600e3, 800e3, 1e6, 1.5e6, 2e6, 5e6)
# So many events wait at most until they are counted; it then takes less than a millisecond.
WAITING = 250
Event = TypeVar("Event")


class Distribution:
    """Counts values between bounds, many at a time."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds, self._counts, self._sum = bounds, np.zeros(len(bounds) + 1, np.int64), 0.0

    def add(self, values: Sequence[float]) -> None:
        """Count values; one that equals a bound is below it, as Prometheus has it."""
        self._counts += np.bincount(np.searchsorted(self._bounds, values), minlength=len(self._counts))
        self._sum += float(np.sum(values))

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str] = ()) -> None:
        """Write what was counted so far."""
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        family.add_metric(labels, list(zip(names, np.cumsum(self._counts).tolist(), strict=True)), self._sum)


class ServiceMetrics(Collector, Watcher):
    """The metrics of one service, in a registry of their own; phase 1's app shows it what happens."""

    def __init__(self, card: Card, service_version: str) -> None:
        self.registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        Info("house_service", "The version of the service.", registry=registry).info({"version": service_version})
        model = {"version": card.model_version, "estimator": card.estimator}
        Info("house_model", "The model that it serves.", registry=registry).info(model)
        Gauge(
            "house_model_newest_sale_timestamp_seconds",
            "Day of the newest sale that the model has learned from; time() minus this is its age.",
            registry=registry,
        ).set(datetime.combine(card.trained_until, day_time(), UTC).timestamp())
        self._fields = FIELDS.union(context_names(card))
        self._in_flight = 0
        self._ended: deque[tuple[str, str, int, float]] = deque()
        # From the event loop and from the model's thread: prices made in one go, and what was warned of.
        self._answered: deque[tuple[list[float], list[tuple[str, ...]]]] = deque()
        self._counting = threading.Lock()
        self._requests: Counter[tuple[str, ...]] = Counter()
        self._refusals: Counter[tuple[str, ...]] = Counter()
        self._warnings: Counter[tuple[str, ...]] = Counter()
        self._seconds: dict[str, Distribution] = {}
        self._batch, self._prices = Distribution(HOUSES), Distribution(PRICES_USD)
        registry.register(self)

    def request_began(self) -> None:
        """Count a request in."""
        self._in_flight += 1

    def request_ended(self, scope: Scope, status: int, seconds: float) -> None:
        """Put aside how a request went."""
        self._in_flight -= 1
        route = scope.get("route")
        self._ended.append((scope["method"], route.path if route else "unknown", status, seconds))
        if fields := scope["log"].get("fields"):  # of a refusal, which are few
            names = (place.rpartition(".")[2] for place in fields)
            self._refusals.update((name if name in self._fields else "other",) for name in names)
        if len(self._ended) >= WAITING:
            self._count()

    def prices_made(self, priced: Sequence[Priced]) -> None:
        """Put aside prices that were made in one go."""
        prices = [house.answer["price_usd"] for house in priced]
        warned: list[tuple[str, ...]] = [(w["field"], w["code"]) for house in priced for w in house.answer["warnings"]]
        self._answered.append((prices, warned))
        if len(self._answered) >= WAITING:
            self._count()

    @property
    def waiting(self) -> int:
        """How many events are put aside, and not counted yet."""
        return len(self._ended) + len(self._answered)

    def _count(self) -> None:
        with self._counting:
            ended = list(_taken(self._ended))
            self._requests.update(
                (method if method in METHODS else "other", path, str(status)) for method, path, status, _ in ended
            )
            for path in {path for _, path, _, _ in ended}:
                found = self._seconds.setdefault(path, Distribution(SECONDS))
                found.add([seconds for _, its_path, _, seconds in ended if its_path == path])
            answered = list(_taken(self._answered))
            self._batch.add([len(prices) for prices, _ in answered])
            self._prices.add([price for prices, _ in answered for price in prices])
            self._warnings.update(chain.from_iterable(warned for _, warned in answered))

    def collect(self) -> Iterator[Metric]:
        """Give what was counted, as prometheus_client asks for it when somebody reads the metrics."""
        self._count()
        with self._counting:
            yield from self._families()

    def _families(self) -> list[Metric]:
        seconds = HistogramMetricFamily(
            "house_http_request_duration_seconds", "From a request's head to the end of its answer.", labels=["path"]
        )
        for path, found in self._seconds.items():
            found.add_to(seconds, [path])
        batch = HistogramMetricFamily("house_predict_batch_houses", "Houses priced in one go.", labels=[])
        self._batch.add_to(batch)
        prices = HistogramMetricFamily("house_predicted_price_usd", "Prices answered.", labels=[])
        self._prices.add_to(prices)
        return [
            GaugeMetricFamily("house_http_requests_in_flight", "Requests being answered.", self._in_flight),
            _counter("house_http_requests", "Answers sent.", ("method", "path", "status"), self._requests),
            _counter("house_refusals", "Problems named in refused requests, by field.", ("field",), self._refusals),
            _counter("house_warnings", "Warnings given with prices.", ("field", "code"), self._warnings),
            seconds,
            batch,
            prices,
        ]


def _taken(waiting: deque[Event]) -> Iterator[Event]:
    """Take what waits, and what others add meanwhile."""
    while True:
        try:
            yield waiting.popleft()
        except IndexError:
            return


def _counter(
    name: str, text: str, labels: Sequence[str], counted: Mapping[tuple[str, ...], int]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, number in counted.items():
        family.add_metric(values, number)
    return family
