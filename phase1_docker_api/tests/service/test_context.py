"""Room: contract. Context features come from `enrich`, once a batch; a missing one is refused, or stated."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from phase1_docker_api.model.context import ContextFeature
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.service.app import create_app
from phase1_docker_api.service.pricing import make_pricing
from phase1_docker_api.settings import Settings
from phase1_docker_api.testing import MIDNIGHT
from phase1_docker_api.training.train import TrainingPlan, train

SETTINGS = Settings(model_path=Path("unused"))
TODAY = dt.date(2016, 5, 4)
A, B = ({"land_area_sqft": 5000, "bedrooms": 3, "neighborhood": area} for area in "AB")
LEVELS = {"A": 0.5, "B": 0.25}


class ToyCard:
    """As much of a card as pricing looks at."""

    def __init__(self) -> None:
        self.model_version = "toy"
        self.categories = {"neighborhood": ["A", "B"]}
        self.context = [ContextFeature(name="price_level", role="offset")]


class ToyModel:
    """A model whose log price is its context feature, so that an answer shows what it was given."""

    card = ToyCard()

    def prepare(self, fields: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any]]:
        return {name: value for name, value in fields.items() if value is not None}, []

    def prepare_many(self, houses: Sequence[Mapping[str, Any]]) -> list[tuple[dict[str, Any], list[Any]]]:
        return [self.prepare(house) for house in houses]

    def uncalibrated_patterns(self, prepared: Any) -> list[Any]:
        return []

    def price_many(self, prepared: Sequence[tuple[dict[str, Any], list[Any]]]) -> list[dict[str, Any]]:
        return [self._answer(known, warned) for known, warned in prepared]

    def _answer(self, known: dict[str, Any], warned: list[Any]) -> dict[str, Any]:
        price = math.exp(known["price_level"])
        return {"price_usd": price, "model_version": "toy", "assumed": {}, "warnings": warned}


TOY = cast(HouseModel, ToyModel())


class Levels:
    """Knows the price level of each area, as long as it works; it remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, dt.date]] = []
        self.fault = ""

    async def __call__(self, houses: Sequence[Mapping[str, Any]], as_of: dt.date) -> Sequence[Mapping[str, float]]:
        self.asked.append((len(houses), as_of))
        if self.fault == "raises":
            raise ConnectionError("no store")
        if self.fault == "hangs":
            await asyncio.Event().wait()
        if self.fault == "short":
            return []
        known = {} if self.fault == "empty" else LEVELS | ({"B": math.nan} if self.fault == "half" else {})
        return [{"price_level": known[h["neighborhood"]]} if known else {} for h in houses]


@contextmanager
def serving(levels: Levels | None, **options: Any) -> Iterator[TestClient]:
    enrich = {"enrich": levels} if levels else {}
    app = create_app(SETTINGS, TOY, enrich_seconds=0.2, today=lambda: TODAY, **enrich, **options)
    with TestClient(app) as client:
        yield client


def test_one_call_fills_a_whole_batch_as_of_the_day_that_was_given() -> None:
    levels = Levels()
    with serving(levels) as client:
        answer = client.post("/predict/batch", json={"houses": [A, B, A]}).json()

    assert [e["price_usd"] for e in answer["estimates"]] == [math.exp(LEVELS[area]) for area in "ABA"]
    assert levels.asked == [(3, TODAY)]


def test_requests_that_wait_together_are_filled_by_one_call() -> None:
    levels = Levels()

    async def together() -> list[float]:
        pricing = make_pricing(SETTINGS, TOY, enrich=levels, today=lambda: TODAY)
        answers = await asyncio.gather(*(pricing.price(house) for house in (A, B, A)))
        pricing.close()
        return [answer["price_usd"] for answer in answers]

    assert asyncio.run(together()) == [math.exp(LEVELS[area]) for area in "ABA"]
    assert levels.asked == [(3, TODAY)]


@pytest.mark.parametrize("fault", ["raises", "hangs", "short", "empty", "no enrich"])
@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
def test_a_missing_feature_is_refused_by_name(path: str, fault: str) -> None:
    levels = Levels()
    levels.fault = fault
    with serving(None if fault == "no enrich" else levels) as client:
        answer = client.post(path, json=A if path == "/predict" else {"houses": [A, B]})

    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert [p["field"] for p in answer.json()["problems"]] == ["price_level"]


def test_what_is_missing_for_one_house_does_not_fail_its_neighbour() -> None:
    levels = Levels()
    levels.fault = "half"

    async def together() -> list[Any]:
        pricing = make_pricing(SETTINGS, TOY, enrich=levels)
        answers = await asyncio.gather(pricing.price(A), pricing.price(B), return_exceptions=True)
        pricing.close()
        return answers

    known, unknown = asyncio.run(together())
    assert known["price_usd"] == math.exp(LEVELS["A"])
    assert (unknown.status, unknown.problems[0].field) == (503, "price_level")


@pytest.mark.parametrize("fault", ["raises", "hangs", "empty"])
@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
def test_the_last_known_value_stands_in_and_is_stated(path: str, fault: str) -> None:
    levels = Levels()
    with serving(levels, when_context_missing="last_known") as client:
        client.post("/predict", json=A)
        levels.fault = fault
        answer = client.post(path, json=A if path == "/predict" else {"houses": [A]})
        other_area = client.post("/predict", json=B)

    estimate = answer.json() if path == "/predict" else answer.json()["estimates"][0]
    [warning] = estimate["warnings"]
    assert estimate["price_usd"] == math.exp(LEVELS["A"])
    assert (warning["field"], warning["code"]) == ("price_level", "context_last_known")
    assert "0.5, known on 2016-05-04" in warning["message"]
    assert other_area.status_code == 503, "the value of one area says nothing about another"


def test_a_slow_enrich_is_given_up_even_when_it_ignores_its_cancellation() -> None:
    given_up: list[bool] = []

    async def deaf(houses: Sequence[Mapping[str, Any]], as_of: dt.date) -> Sequence[Mapping[str, float]]:
        try:
            await answered.wait()
        except asyncio.CancelledError:
            await asyncio.wait({asyncio.ensure_future(answered.wait())}, timeout=10)
            given_up.append(answered.is_set())
        return []

    async def ask() -> str:
        pricing = make_pricing(SETTINGS, TOY, enrich=deaf, enrich_seconds=0.05)
        [refused] = await asyncio.gather(pricing.price(A), return_exceptions=True)
        answered.set()
        pricing.close()
        while not given_up:
            await asyncio.sleep(0.01)
        return str(refused)

    answered = asyncio.Event()
    assert "price_level" in asyncio.run(ask())
    assert given_up == [True], "the refusal came only after enrich had ended"


def test_a_context_feature_cannot_be_sent_with_a_request() -> None:
    with serving(Levels()) as client:
        answer = client.post("/predict", json=A | {"price_level": 9})

    assert answer.status_code == 422


@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
def test_a_trained_model_s_served_prices_are_its_own_offline(seattle_sales: pd.DataFrame, path: str) -> None:
    """One feature of each role: the level is an offset, the rate an input."""
    rate = np.random.default_rng(0).uniform(3, 6, len(seattle_sales))
    sales = seattle_sales.assign(log_level=0.0, mortgage_rate=rate)
    context = (ContextFeature(name="log_level", role="offset"), ContextFeature(name="mortgage_rate", role="input"))
    plan = TrainingPlan("linear", until=dt.date(2011, 12, 31), context=context)
    model = train(sales, plan, trained_at=MIDNIGHT, data_sha256="0")
    values = {"log_level": 0.5, "mortgage_rate": 4.0}
    houses = [{"land_area_sqft": 5000.0, "bedrooms": rooms} for rooms in (2, 3, 4)]

    async def enrich(asked: Sequence[Mapping[str, Any]], as_of: dt.date) -> Sequence[Mapping[str, float]]:
        return [values] * len(asked)

    with TestClient(create_app(SETTINGS, model, enrich=enrich)) as client:
        if path == "/predict":
            answers = [client.post(path, json=house).json() for house in houses]
        else:
            answers = client.post(path, json={"houses": houses}).json()["estimates"]

    assert answers == [e.model_dump() for e in model.estimate([house | values for house in houses])]
    assert not set(values) & set(answers[0]["assumed"])
