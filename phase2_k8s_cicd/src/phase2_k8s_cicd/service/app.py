"""Phase 1's service, with what a cluster needs to watch it: metrics, and the version in each answer."""

from __future__ import annotations

from fastapi import FastAPI
from phase1_docker_api.model.artifact import load_model
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.service.app import PlainRoute
from phase1_docker_api.service.app import create_app as create_phase1_app
from phase1_docker_api.settings import load_settings
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from phase2_k8s_cicd.service.metrics import ServiceMetrics
from phase2_k8s_cicd.settings import Settings


def create_app(settings: Settings | None = None, model: HouseModel | None = None) -> FastAPI:
    """Build phase 1's app and add `GET /metrics`.

    Raises:
        SettingsError: the environment has a wrong setting.
        ArtifactError: there is no whole model to serve.

    """
    settings = settings or load_settings(Settings)
    model = model or load_model(settings.model_path)
    metrics = ServiceMetrics(model.card, settings.service_version)
    headers = {"x-service-version": settings.service_version}
    app = create_phase1_app(settings, model, watcher=metrics, headers=headers)

    async def show_metrics(request: Request) -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    app.router.routes.append(PlainRoute("/metrics", show_metrics, methods=["GET"], include_in_schema=False))
    return app
