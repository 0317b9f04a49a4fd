"""Phase 1's service, with what a cluster needs to watch it: metrics, and the version in each answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

from fastapi import FastAPI
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.service.app import create_app as create_phase1_app
from phase1_docker_api.service.pricing import ContextOptions, Pricing, make_pricing
from phase1_docker_api.service.routes import PlainRoute
from phase1_docker_api.service.watchers import Watcher
from phase1_docker_api.settings import load_settings
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from phase2_k8s_cicd.service.metrics import ServiceMetrics
from phase2_k8s_cicd.settings import Settings


def create_app(
    settings: Settings | None = None,
    model: HouseModel | None = None,
    *,
    watchers: Sequence[Watcher] = (),
    headers: Mapping[str, str] | None = None,
    pricing: Pricing | None = None,
    **context: Unpack[ContextOptions],
) -> FastAPI:
    """Build phase 1's app, count what it does, and add `GET /metrics`; the arguments are those of phase 1.

    Raises:
        SettingsError: the environment has a wrong setting.
        ArtifactError: there is no whole model to serve.

    """
    settings = settings or load_settings(Settings)
    pricing = pricing or make_pricing(settings, model, **context)
    metrics = ServiceMetrics(pricing.card, settings.service_version)
    headers = {"x-service-version": settings.service_version, **(headers or {})}
    app = create_phase1_app(settings, pricing=pricing, watchers=[metrics, *watchers], headers=headers)
    app.state.metrics = metrics.registry

    async def show_metrics(request: Request) -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    app.router.routes.append(PlainRoute("/metrics", show_metrics, methods=["GET"], include_in_schema=False))
    return app
