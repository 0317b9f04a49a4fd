"""The routes of KServe's protocols and of explanations, over the same pricing as /predict.

KServe's own routes for predictions read a body of any size for any time, and its `:explain` sends the request's
headers back. So these three are ours, with phase 1's limits; health and metadata are KServe's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from kserve.errors import ModelNotFound, ModelNotReady
from kserve.model_repository import ModelRepository
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.rest.v1_endpoints import V1Endpoints
from kserve.protocol.rest.v2_endpoints import V2Endpoints
from phase1_docker_api.errors import RefusalError, refuse
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.schemas import Fields
from phase1_docker_api.service.requests import parse_json, read_body
from phase1_docker_api.service.routes import PlainRoute
from pydantic_core import to_json
from starlette.routing import BaseRoute

from phase3_mlops_core.service.explanation import explain
from phase3_mlops_core.service.payloads import houses_of_v1
from phase3_mlops_core.service.predictor import VERSION_HEADER, HousePredictor

# An explanation takes some milliseconds of the model's thread.
MAX_EXPLAINED = 16


def include_kserve(app: FastAPI, name: str) -> None:
    """Add the routes of both protocols for the one model, called `name`."""
    predictor = HousePredictor(name, app.state.service)
    registry = ModelRepository()
    registry.update(predictor, name)
    app.include_router(_metadata(DataPlane(model_registry=registry)))
    app.router.routes[:0] = _routes(predictor)
    for error, status in ((ModelNotFound, 404), (ModelNotReady, 503)):
        app.add_exception_handler(error, _refuser(app, status))


def _metadata(plane: DataPlane) -> APIRouter:
    """Give KServe's own routes for health and metadata; those by which anyone could unload a model are left out."""
    v1, v2, router = V1Endpoints(plane), V2Endpoints(plane), APIRouter(tags=["KServe"])
    routes = {
        "/v1/models": v1.models,
        "/v1/models/{model_name}": v1.model_ready,
        "/v2": v2.metadata,
        "/v2/health/live": v2.live,
        "/v2/health/ready": v2.ready,
        "/v2/models": v2.models,
        "/v2/models/{model_name}": v2.model_metadata,
        "/v2/models/{model_name}/ready": v2.model_ready,
    }
    for path, answer in routes.items():
        router.add_api_route(path, answer, methods=["GET"])
    return router


def _routes(predictor: HousePredictor) -> list[BaseRoute]:
    answers = {
        "/v1/models/{model_name}:predict": _predict,
        "/v2/models/{model_name}/infer": _predict,
        "/v1/models/{model_name}:explain": _explain,
    }
    return [PlainRoute(path, _endpoint(predictor, answer), methods=["POST"]) for path, answer in answers.items()]


def _endpoint(
    predictor: HousePredictor, answer: Callable[[HousePredictor, Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        if (name := request.path_params["model_name"]) != predictor.name:
            raise ModelNotFound(name)
        return await answer(predictor, request)

    return endpoint


async def _predict(predictor: HousePredictor, request: Request) -> Response:
    """Answer `{"instances": …}` with `{"predictions": …}`, and `{"inputs": …}` with `{"outputs": …}`."""
    body = await _parsed(request, predictor.service.settings.max_batch_body_bytes)
    expected = "inputs" if request.url.path.startswith("/v2/") else "instances"
    if not isinstance(body, dict) or expected not in body:
        raise refuse(400, expected if isinstance(body, dict) else "body", "missing", f'send {{"{expected}": […]}}')
    headers: dict[str, str] = {}
    answer = await predictor.predict({**body}, {"x-request-id": request.scope["request_id"]}, headers)
    content = await predictor.service.pricing.run(partial(to_json, answer))
    request.scope["log"] |= {"event": "prediction_made", "model_version": headers[VERSION_HEADER]}
    return Response(content, headers=headers, media_type="application/json")


async def _explain(predictor: HousePredictor, request: Request) -> Response:
    """Answer `{"instances": …}` with `{"explanations": …}`, each a list of contributions in dollars."""
    pricing = predictor.service.pricing
    houses = houses_of_v1(await _parsed(request, predictor.service.settings.max_body_bytes))
    if len(houses) > MAX_EXPLAINED:
        raise refuse(400, "instances", f"{len(houses)} houses, at most {MAX_EXPLAINED}", "ask for fewer at a time")
    found = [await pricing.run(partial(_explained, pricing.model, house)) for house in houses]
    request.scope["log"] |= {"event": "price_explained", "houses": len(houses)}
    headers = {VERSION_HEADER: pricing.card.model_version}
    return Response(to_json({"explanations": found}), headers=headers, media_type="application/json")


def _explained(model: HouseModel, house: Fields) -> dict[str, Any]:
    return explain(model, house).model_dump()


async def _parsed(request: Request, limit: int) -> Any:
    """Read JSON of any content type, or of none: curl sends another one by default, and KServe takes it."""
    settings = request.app.state.service.settings
    try:
        return parse_json(await read_body(request, limit, settings.client_seconds, any_type=True))
    except RefusalError as error:
        raise RefusalError(400 if error.status == 422 else error.status, error.problems, error.headers) from error


def _refuser(app: FastAPI, status: int) -> Callable[[Request, Exception], Any]:
    """Give a handler that tells KServe's errors in the service's own form."""
    on_refusal: Any = app.exception_handlers[RefusalError]

    async def handler(request: Request, error: Exception) -> Response:
        refusal = refuse(status, "model", str(error), "see /v2/models for what there is")
        response: Response = await on_refusal(request, refusal)
        return response

    return handler
