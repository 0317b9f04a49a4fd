"""Phase 1's service: prices with intervals over HTTP. Later phases build on `create_app`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Unpack

from fastapi import FastAPI, Request, Response
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from phase1_docker_api.errors import RefusalError, refuse
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.schemas import House, HouseColumns, HouseRecords, Refused
from phase1_docker_api.service.middleware import RequestLog
from phase1_docker_api.service.pages import page_routes
from phase1_docker_api.service.pricing import ContextOptions, Pricing, make_pricing
from phase1_docker_api.service.routes import Service, quick_routes, router
from phase1_docker_api.service.watchers import Watcher
from phase1_docker_api.settings import Settings, load_settings


def create_app(
    settings: Settings | None = None,
    model: HouseModel | None = None,
    *,
    watchers: Sequence[Watcher] = (),
    headers: Mapping[str, str] | None = None,
    pricing: Pricing | None = None,
    **context: Unpack[ContextOptions],
) -> FastAPI:
    """Build the service around the model at `settings.model_path`, the one given, or pricing that is there.

    `watchers` are shown each request and all prices; `headers` are added to every answer. `enrich` fills the
    model's context features within `enrich_seconds`; where one is missing, the request is refused with 503, or
    answered with the value that was `last_known` and a warning, as `when_context_missing` says.

    Raises:
        SettingsError: the environment has a wrong setting.
        ArtifactError: there is no whole model to serve.

    """
    settings = settings or load_settings(Settings)
    pricing = pricing or make_pricing(settings, model, **context)
    for watcher in watchers:
        pricing.watch(watcher)
    app = FastAPI(
        title="House prices",
        version=version("phase1-docker-api"),
        description="What a house would have sold for when the model was trained, with an honest interval.",
        lifespan=_lifespan,
        redirect_slashes=False,
        docs_url=None,  # FastAPI's own pages load their code from elsewhere: see pages.py
        redoc_url=None,
    )
    app.state.service = Service(settings, pricing)
    app.router.routes[:0] = quick_routes()
    app.include_router(router)
    app.router.routes.extend(page_routes())
    app.add_middleware(RequestLog, watchers=pricing.watchers, headers=headers or {})
    app.add_exception_handler(RefusalError, _on_refusal)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    _describe_bodies(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.service.pricing.close()


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
