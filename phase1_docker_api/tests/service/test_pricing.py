"""Room: contract. One pricing serves several fronts; a checked house or parsed data goes in, plain data comes out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from phase1_docker_api.errors import RefusalError
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.schemas import FULL_EXAMPLE, MINIMAL_EXAMPLE, House
from phase1_docker_api.service.app import create_app
from phase1_docker_api.service.pricing import Pricing, make_pricing
from phase1_docker_api.settings import Settings

SETTINGS = Settings(model_path=Path("unused"))
DOUBTFUL = MINIMAL_EXAMPLE | {"neighborhood": "Atlantis", "bathrooms": 20}


@asynccontextmanager
async def open_pricing(model: HouseModel) -> AsyncIterator[Pricing]:
    pricing = make_pricing(SETTINGS, model)
    try:
        yield pricing
    finally:
        pricing.close()


def play(model: HouseModel, scenario: Callable[[Pricing], Awaitable[Any]]) -> Any:
    """What a scenario returns that has a pricing of its own."""

    async def scene() -> Any:
        async with open_pricing(model) as pricing:
            return await scenario(pricing)

    return asyncio.run(scene())


def offline(model: HouseModel, *houses: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(e.model_dump_json()) for e in model.estimate([House(**house) for house in houses])]


@pytest.mark.parametrize("given", [DOUBTFUL, House(**DOUBTFUL)], ids=["parsed", "checked"])
def test_a_price_is_the_model_s_own_as_plain_data(linear_model: HouseModel, given: Any) -> None:
    async def one(pricing: Pricing) -> Any:
        return await pricing.price(given)

    answer = play(linear_model, one)

    assert json.loads(json.dumps(answer)) == offline(linear_model, DOUBTFUL)[0]
    assert {w["code"] for w in answer["warnings"]} == {"unknown_category", "outside_training_range"}


def test_many_prices_are_the_model_s_own_in_their_order(linear_model: HouseModel) -> None:
    async def many(pricing: Pricing) -> Any:
        return await pricing.price_many([FULL_EXAMPLE, House(**MINIMAL_EXAMPLE), DOUBTFUL])

    answers = play(linear_model, many)

    assert json.loads(json.dumps(answers)) == offline(linear_model, FULL_EXAMPLE, MINIMAL_EXAMPLE, DOUBTFUL)


def test_no_houses_have_no_prices(linear_model: HouseModel) -> None:
    async def none(pricing: Pricing) -> Any:
        return await pricing.price_many([])

    assert play(linear_model, none) == []


def test_faulty_data_is_refused_by_field_and_by_row(linear_model: HouseModel) -> None:
    async def faulty(pricing: Pricing) -> list[str]:
        with pytest.raises(RefusalError) as one:
            await pricing.price({"bedrooms": "3"})
        with pytest.raises(RefusalError) as many:
            await pricing.price_many([House(**MINIMAL_EXAMPLE), {"land_area_sqft": 5000, "bedrooms": -1}])
        return [problem.field for refused in (one, many) for problem in refused.value.problems]

    assert play(linear_model, faulty) == ["land_area_sqft", "bedrooms", "houses.1.bedrooms"]


def test_two_fronts_share_one_pricing(linear_model: HouseModel) -> None:
    pricing = make_pricing(SETTINGS, linear_model)
    app, other = (create_app(SETTINGS, pricing=pricing) for _ in range(2))
    with TestClient(app) as client:
        first = client.post("/predict", json=DOUBTFUL)
        second = TestClient(other).post("/predict", json=DOUBTFUL)

    assert app.state.service.pricing is other.state.service.pricing is pricing
    assert first.json() == second.json() == offline(linear_model, DOUBTFUL)[0]
