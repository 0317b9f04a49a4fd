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

from phase3_mlops_core.service.routes import include_kserve
from phase3_mlops_core.settings import PredictorSettings


def create_app(
    settings: PredictorSettings | None = None,
    model: HouseModel | None = None,
    *,
    watchers: Sequence[Watcher] = (),
    headers: Mapping[str, str] | None = None,
    pricing: Pricing | None = None,
    **context: Unpack[ContextOptions],
) -> FastAPI:
    """Build phase 2's app and add KServe's routes; the arguments are those of phases 1 and 2.

    Raises:
        SettingsError: the environment has a wrong setting.
        ArtifactError: there is no whole model to serve.

    """
    settings = settings or load_settings(PredictorSettings)
    app = create_phase2_app(settings, model, watchers=watchers, headers=headers, pricing=pricing, **context)
    include_kserve(app, settings.model_name)
    return app
