"""Phase 1's service: prices with intervals over HTTP. Later phases build on `create_app`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Protocol

from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Route
from starlette.types import Scope

from phase1_docker_api.errors import RefusalError, refuse, stopping
from phase1_docker_api.model.artifact import load_model
from phase1_docker_api.model.house_model import Answer, Card, HouseModel, Usable
from phase1_docker_api.schemas import Estimate, Estimates, House, HouseColumns, HouseRecords, Refused
from phase1_docker_api.service.batching import LargeBatches, MicroBatcher
from phase1_docker_api.service.middleware import RequestLog, RequestWatcher
from phase1_docker_api.service.pages import page_routes
from phase1_docker_api.service.requests import parse_house, parse_houses, read_body
from phase1_docker_api.settings import Settings, load_settings

# A large batch takes turns with single requests, this many houses at a time: some 20 ms. Fewer would take longer
# a house, because each turn brings all trees into the processor's cache again.
TURN = 2000
# So many single requests take the event loop less than a millisecond.
QUICK = 16
MINIMAL_EXAMPLE: dict[str, Any] = {"land_area_sqft": 5000, "bedrooms": 3}
FULL_EXAMPLE: dict[str, Any] = {name: field.examples[0] for name, field in House.model_fields.items() if field.examples}
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
AnswerAll = Callable[[Sequence[Usable]], list[Answer]]
NOT_READY: dict[int | str, dict[str, Any]] = {503: {"model": Refused, "description": "The service is stopping."}}


class Watcher(RequestWatcher, Protocol):
    """Who is shown what happens, to count it."""

    def answers_made(self, answers: Sequence[Answer]) -> None:
        """See answers that were made in one go, on the thread that made them."""


@dataclass
class Service:
    """What the routes share; `ready` turns false when the process is told to stop."""

    settings: Settings
    model: HouseModel
    answer_all: AnswerAll
    batcher: MicroBatcher[Usable, Answer]
    batches: LargeBatches
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


def create_app(
    settings: Settings | None = None,
    model: HouseModel | None = None,
    watcher: Watcher | None = None,
    headers: Mapping[str, str] | None = None,
) -> FastAPI:
    """Build the service around the model at `settings.model_path`, or the one given.

    `watcher` is shown each request and all answers; `headers` are added to every answer.

    Raises:
        SettingsError: the environment has a wrong setting.
        ArtifactError: there is no whole model to serve.

    """
    settings = settings or load_settings(Settings)
    model = model or load_model(settings.model_path)
    model.estimate([House(**MINIMAL_EXAMPLE), House(**FULL_EXAMPLE)])  # the first prediction is the slow one
    answer_all = _watched(model.answers, watcher.answers_made) if watcher else model.answers
    batcher = MicroBatcher(answer_all, quick=QUICK, max_waiting=settings.max_waiting)
    app = FastAPI(
        title="House prices",
        version=version("phase1-docker-api"),
        description="What a house would have sold for when the model was trained, with an honest interval.",
        lifespan=_lifespan,
        redirect_slashes=False,
        docs_url=None,  # FastAPI's own pages load their code from elsewhere: see pages.py
        redoc_url=None,
    )
    batches = LargeBatches(
        max_waiting=settings.max_batches, max_bytes=settings.max_batches * settings.max_batch_body_bytes
    )
    app.state.service = Service(settings, model, answer_all, batcher, batches)
    # Before FastAPI's own route of the same path, which documents it: this one skips the search through all
    # routes and the machinery of dependencies, which cost more than the prediction and are of no use here.
    app.router.routes.insert(0, PlainRoute("/predict", predict, methods=["POST"], include_in_schema=False))
    # Starlette's routes answer HEAD as they do GET, which FastAPI's do not, and name both where a method is refused.
    for path, status in (("/healthz", healthz), ("/readyz", readyz)):
        app.router.routes.insert(0, PlainRoute(path, _plain(status), methods=["GET"], include_in_schema=False))
    app.include_router(router)
    app.router.routes.extend(page_routes())
    app.add_middleware(RequestLog, watcher=watcher, headers=headers or {})
    app.add_exception_handler(RefusalError, _on_refusal)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    _describe_bodies(app)
    return app


def _watched(answer_all: AnswerAll, watch: Callable[[Sequence[Answer]], None]) -> AnswerAll:
    def answer_and_show(usable: Sequence[Usable]) -> list[Answer]:
        answers = answer_all(usable)
        watch(answers)
        return answers

    return answer_and_show


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.service.batcher.close()


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
    answer = await service.batcher.submit(service.model.usable(house.__dict__))
    request.scope["log"] |= {
        "event": "prediction_made",
        "price_usd": answer["price_usd"],
        "model_version": answer["model_version"],
        "assumed": len(answer["assumed"]),
        "warnings": len(answer["warnings"]),
    }
    return _json(_encoded(answer))


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
    settings = service.settings
    with service.batches.held_bytes() as keep:
        body = await read_body(request, settings.max_batch_body_bytes, settings.client_seconds, keep)
        async with service.batches.turn():
            answers = await _answers(service, body)
            estimates = {"model_version": service.model.card.model_version, "estimates": answers}
            content = await service.batcher.run(partial(_encoded, estimates))
    request.scope["log"] |= {
        "event": "batch_predicted",
        "houses": len(answers),
        "model_version": service.model.card.model_version,
    }
    return _json(content)


async def _answers(service: Service, body: bytes) -> list[Answer]:
    """Take turns with single requests, on the thread that answers them."""
    in_turn, model = service.batcher.run, service.model
    houses = await in_turn(partial(parse_houses, body))
    usable = await in_turn(partial(model.usable_each, houses))
    for fields in await in_turn(partial(model.new_patterns, usable)):
        await in_turn(partial(model.half_width, fields))
    answers: list[Answer] = []
    for start in range(0, len(usable), TURN):
        answers += await in_turn(partial(service.answer_all, usable[start : start + TURN]))
    return answers


@router.get("/model", tags=["model"])
async def model_card(request: Request) -> Card:
    """Tell what the served model was made of, where it holds, and how far it was off on later sales."""
    card: Card = request.app.state.service.model.card
    return card


@router.get("/healthz", tags=["operations"])
async def healthz(request: Request) -> Status:
    """Answer as long as the process lives."""
    return Status(status="alive", model_version=request.app.state.service.model.card.model_version)


@router.get("/readyz", responses=NOT_READY, tags=["operations"])
async def readyz(request: Request) -> Status:
    """Answer 200 while new requests are welcome, 503 once the process was told to stop."""
    service: Service = request.app.state.service
    if not service.ready:
        raise stopping()
    return Status(status="ready", model_version=service.model.card.model_version)


def _plain(status: Callable[[Request], Awaitable[Status]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return _json(to_json(await status(request)))

    return answer


def _encoded(answer: Answer) -> bytes:
    """Write as Estimate and Estimates would, without making objects of them."""
    return to_json(answer)


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")


async def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusalError)  # noqa: S101 - it is registered for no other
    request.scope["log"] |= {"event": "request_refused", "fields": [p.field for p in error.problems]}
    refused = Refused(problems=error.problems, request_id=request.scope["request_id"])
    return Response(refused.model_dump_json(), error.status, error.headers, "application/json")


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what Starlette itself refuses (404, 405) in the common form."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for no other
    known = {404: ("path", "see /docs for what there is"), 405: ("method", "see /docs for the methods of each path")}
    field, hint = known.get(error.status_code, ("request", "see /docs"))
    if allowed := (error.headers or {}).get("Allow"):
        hint = f"send {allowed}"
    problem = HTTPStatus(error.status_code).phrase.lower()
    return await _on_refusal(request, refuse(error.status_code, field, problem, hint, error.headers))


async def _on_disconnect(request: Request, error: Exception) -> Response:
    """Close quietly: nobody is left to read an answer."""
    request.scope["log"]["event"] = "caller_left"
    return Response(status_code=400)


def _describe_bodies(app: FastAPI) -> None:
    """Add the schemas of the bodies that routes read by themselves to the OpenAPI document."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        document = original()
        models = [(m, "validation") for m in (House, HouseRecords, HouseColumns)]
        _, bodies = models_json_schema(models, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
        document["components"]["schemas"] |= bodies["$defs"]
        return document

    app.openapi = openapi  # type: ignore[method-assign]
