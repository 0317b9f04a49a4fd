"""What Prometheus is told of the service, by its conventions: base units, `_total`, few and bounded labels."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from datetime import time as day_time
from functools import lru_cache

from phase1_docker_api.model import Answer, Card
from phase1_docker_api.schemas import House
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
# Callers can invent names of fields; a label they could fill at will would fill the memory of Prometheus.
FIELDS = {*House.model_fields, "body", "houses", "columns", "path", "method", "service"}
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
HOUSES = (1, 2, 4, 8, 16, 32, 64, 2000)
PRICES_USD = (100e3, 200e3, 300e3, 400e3, 500e3, 600e3, 800e3, 1e6, 1.5e6, 2e6, 5e6)


class ServiceMetrics:
    """The metrics of one service, in a registry of their own: two services in a process share nothing."""

    def __init__(self, card: Card, service_version: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which no query of ours asks for
        self.registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self.requests = Counter("house_http_requests", "Answers sent.", ["method", "path", "status"], registry=registry)
        self.seconds = Histogram(
            "house_http_request_duration_seconds",
            "From a request's head to the end of its answer.",
            ["path"],
            buckets=SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge("house_http_requests_in_flight", "Requests being answered.", registry=registry)
        self.refusals = Counter(
            "house_refusals", "Problems named in refused requests, by field.", ["field"], registry=registry
        )
        self.warnings = Counter("house_warnings", "Warnings given with prices.", ["field", "code"], registry=registry)
        self.batch = Histogram(
            "house_predict_batch_houses", "Houses priced in one go.", buckets=HOUSES, registry=registry
        )
        self.prices = Histogram("house_predicted_price_usd", "Prices answered.", buckets=PRICES_USD, registry=registry)
        Info("house_service", "The version of the service.", registry=registry).info({"version": service_version})
        Info("house_model", "The model that it serves.", registry=registry).info(
            {"version": card.model_version, "estimator": card.estimator}
        )
        Gauge(
            "house_model_newest_sale_timestamp_seconds",
            "Day of the newest sale that the model has learned from; time() minus this is its age.",
            registry=registry,
        ).set(datetime.combine(card.trained_until, day_time(), UTC).timestamp())

    def count_answers(self, answers: Sequence[Answer]) -> None:
        """Count prices that were made in one go."""
        self.batch.observe(len(answers))
        for answer in answers:
            self.prices.observe(answer["price_usd"])
            for warning in answer["warnings"]:
                self.warnings.labels(warning.field, warning.code).inc()


class RequestMetrics:
    """ASGI middleware around phase 1's: counts each answer, and says in its headers which version gave it."""

    def __init__(self, app: ASGIApp, metrics: ServiceMetrics, service_version: str) -> None:
        self._app, self._metrics = app, metrics
        self._header = (b"x-service-version", service_version.encode())
        # Finding a child by its labels takes a lock and a dictionary; there are few, so they are kept.
        self._requests = lru_cache(1024)(metrics.requests.labels)
        self._seconds = lru_cache(64)(metrics.seconds.labels)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; phase 1 answers its own failures, so there is always a status."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def send_with_version(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append(self._header)
            await send(message)

        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, send_with_version)
        finally:
            self._metrics.in_flight.dec()
            self._count(scope, status, time.perf_counter() - started)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route")
        path = route.path if route else "unknown"
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._requests(method, path, status).inc()
        self._seconds(path).observe(seconds)
        for place in scope.get("log", {}).get("fields", ()):
            name = place.rpartition(".")[2]
            self._metrics.refusals.labels(name if name in FIELDS else "other").inc()
