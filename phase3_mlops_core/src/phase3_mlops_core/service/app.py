"""Phase 2's service with KServe's protocols and explanations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

from fastapi import FastAPI
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.service.pricing import ContextOptions, Pricing
from phase1_docker_api.service.watchers import Watcher
from phase1_docker_api.settings import load_settings
from phase2_k8s_cicd.service.app import create_app as create_phase2_app
from prometheus_client import Info

from phase3_mlops_core.service.routes import include_kserve
from phase3_mlops_core.service.source import FOLDER
from phase3_mlops_core.settings import PredictorSettings


def create_app(
    settings: PredictorSettings | None = None,
    model: HouseModel | None = None,
    *,
    watchers: Sequence[Watcher] = (),
    headers: Mapping[str, str] | None = None,
    pricing: Pricing | None = None,
    source: str = FOLDER,
    **context: Unpack[ContextOptions],
) -> FastAPI:
    """Build phase 2's app and add KServe's routes; the arguments are those of phases 1 and 2.

    `source` says where the model came from; each answer and a metric tell it.

    Raises:
        SettingsError: the environment has a wrong setting.
        ArtifactError: there is no whole model to serve.

    """
    settings = settings or load_settings(PredictorSettings)
    told = {"x-model-source": source, **(headers or {})}
    app = create_phase2_app(settings, model, watchers=watchers, headers=told, pricing=pricing, **context)
    include_kserve(app, settings.model_name)
    wanted = {"source": source, "wanted_number": str(settings.model_number or "")}
    Info("house_model_source", "Where the served model came from.", registry=app.state.metrics).info(wanted)
    return app
