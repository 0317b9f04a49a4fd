"""The routes of HTTP: one front over pricing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.routing import Match, Route
from starlette.types import Scope

from phase1_docker_api.errors import stopping
from phase1_docker_api.model.house_model import Card
from phase1_docker_api.schemas import (
    FULL_EXAMPLE,
    MINIMAL_EXAMPLE,
    Estimate,
    Estimates,
    House,
    HouseColumns,
    HouseRecords,
    Refused,
)
from phase1_docker_api.service.pricing import Pricing
from phase1_docker_api.service.requests import parse_house, parse_houses, read_body
from phase1_docker_api.settings import Settings

EXAMPLES = {
    "minimal": {"summary": "Only what is required", "value": MINIMAL_EXAMPLE},
    "complete": {"summary": "Every field", "value": FULL_EXAMPLE},
}
BATCH_EXAMPLES = {
    "records": {"summary": "One object a house", "value": {"houses": [MINIMAL_EXAMPLE, FULL_EXAMPLE]}},
    "columns": {
        "summary": "One list a field",
        "value": {"columns": {"land_area_sqft": [5000, 4000], "bedrooms": [3, 2]}},
    },
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    408: {"model": Refused, "description": "The body did not come in time."},
    413: {"model": Refused, "description": "The body is too large."},
    415: {"model": Refused, "description": "The body is not JSON in UTF-8."},
    422: {"model": Refused, "description": "The body has faulty fields; each is named, with a hint."},
    503: {"model": Refused, "description": "Too many requests wait; try again."},
}
NOT_READY: dict[int | str, dict[str, Any]] = {503: {"model": Refused, "description": "The service is stopping."}}


@dataclass
class Service:
    """What the routes share; `ready` turns false at the stop signal."""

    settings: Settings
    pricing: Pricing
    ready: bool = True


class PlainRoute(Route):
    """A route of Starlette's that names itself to metrics and logs, as FastAPI's do."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Say whether it is the one, and add itself to the scope."""
        match, child = super().matches(scope)
        return match, {**child, "route": self}


class Status(BaseModel):
    """Whether the service lives or is ready, and what it serves."""

    status: str
    model_version: str


router = APIRouter()


def _body(name: Sequence[type[BaseModel]], examples: dict[str, Any]) -> dict[str, Any]:
    """Describe a body that the route reads by itself, which is faster than FastAPI's own reading."""
    schemas = [{"$ref": f"#/components/schemas/{model.__name__}"} for model in name]
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "examples": examples}},
        }
    }


@router.post(
    "/predict",
    response_model=Estimate,
    responses=REFUSALS,
    openapi_extra=_body([House], EXAMPLES),
    tags=["prices"],
)
async def predict(request: Request) -> Response:
    """Estimate the price of one house. Only the land area and the number of bedrooms are required."""
    service: Service = request.app.state.service
    settings = service.settings
    house = parse_house(await read_body(request, settings.max_body_bytes, settings.client_seconds))
    answer = await service.pricing.price(house, request.scope["request_id"])
    request.scope["log"] |= {
        "event": "prediction_made",
        "price_usd": answer["price_usd"],
        "model_version": answer["model_version"],
        "assumed": len(answer["assumed"]),
        "warnings": len(answer["warnings"]),
    }
    return _json(to_json(answer))


@router.post(
    "/predict/batch",
    response_model=Estimates,
    responses=REFUSALS,
    openapi_extra=_body([HouseRecords, HouseColumns], BATCH_EXAMPLES),
    tags=["prices"],
)
async def predict_batch(request: Request) -> Response:
    """Estimate up to 10,000 houses, as records or as columns, in their order; all of them or none."""
    service: Service = request.app.state.service
    settings, pricing = service.settings, service.pricing
    with pricing.batches.held_bytes() as keep:
        body = await read_body(request, settings.max_batch_body_bytes, settings.client_seconds, keep)
        async with pricing.batches.turn():
            houses = await pricing.run(partial(parse_houses, body))
            answers = await pricing.price_checked(houses, request.scope["request_id"])
            estimates = {"model_version": pricing.card.model_version, "estimates": answers}
            content = await pricing.run(partial(to_json, estimates))
    request.scope["log"] |= {
        "event": "batch_predicted",
        "houses": len(answers),
        "model_version": pricing.card.model_version,
    }
    return _json(content)


@router.get("/model", tags=["model"])
async def model_card(request: Request) -> Card:
    """Tell what the served model was made of, where it holds, and how far it was off on later sales."""
    card: Card = request.app.state.service.pricing.card
    return card


@router.get("/healthz", tags=["operations"])
async def healthz(request: Request) -> Status:
    """Answer as long as the process lives."""
    return Status(status="alive", model_version=request.app.state.service.pricing.card.model_version)


@router.get("/readyz", responses=NOT_READY, tags=["operations"])
async def readyz(request: Request) -> Status:
    """Answer 200 while new requests are welcome, 503 once the process was told to stop."""
    service: Service = request.app.state.service
    if not service.ready:
        raise stopping()
    return Status(status="ready", model_version=service.pricing.card.model_version)


def quick_routes() -> list[PlainRoute]:
    """Give routes to put before FastAPI's own of the same paths, which document them.

    /predict then skips the search through all routes and the machinery of dependencies, which cost more than the
    prediction and are of no use here. HEAD is answered as GET is, which FastAPI's routes do not do.
    """
    return [
        PlainRoute("/predict", predict, methods=["POST"], include_in_schema=False),
        PlainRoute("/healthz", _plain(healthz), methods=["GET"], include_in_schema=False),
        PlainRoute("/readyz", _plain(readyz), methods=["GET"], include_in_schema=False),
    ]


def _plain(status: Callable[[Request], Awaitable[Status]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return _json(to_json(await status(request)))

    return answer


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")
