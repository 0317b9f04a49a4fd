"""The model that a predictor serves: the version that it was told, or the last one that served where that fails.

Fetching runs in a process of its own. A registry that hangs is then cut off by ending that process, and its client,
which takes more memory than the service, does not stay.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from phase1_docker_api.errors import ArtifactError, ServiceError
from phase1_docker_api.model.artifact import load_model
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.service.logs import get_logger

from phase3_mlops_core.settings import PredictorSettings

FOLDER, REGISTRY, LAST_GOOD = "folder", "registry", "last_known_good"
KEPT = "last-known-good"


@dataclass(frozen=True)
class Served:
    """A model, where it came from, and why it is not the one that was told, if so."""

    model: HouseModel
    source: str
    trouble: str = ""


def model_to_serve(settings: PredictorSettings) -> Served:
    """Fetch the version that the settings tell, check it, and keep it as the last one that was good.

    Raises:
        ServiceError: it cannot be had, and no version was served here before.

    """
    if settings.model_number is None:
        return Served(load_model(settings.model_path), FOLDER)
    cache, number = settings.model_cache, settings.model_number
    trouble = _fetch(settings, cache / f"{number}")
    if not trouble:
        try:
            model = load_model(cache / f"{number}")
        except ArtifactError as error:
            trouble = str(error)
        else:
            _keep(cache, number)
            return Served(model, REGISTRY)
    if not (cache / KEPT).exists():
        raise ServiceError(f"cannot serve version {number}, and none was served here before: {trouble}")
    model = load_model(cache / KEPT)
    get_logger().warning("last_known_good_served", wanted=number, model_version=model.card.model_version, why=trouble)
    return Served(model, LAST_GOOD, trouble)


def _fetch(settings: PredictorSettings, into: Path) -> str:
    """Fetch the version; say what went wrong, or nothing."""
    command = [sys.executable, "-m", "phase3_mlops_core", "fetch", str(settings.model_number), str(into)]
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command, capture_output=True, text=True, timeout=settings.fetch_seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return f"the registry did not give it within {settings.fetch_seconds:g} s"
    return (done.stderr.strip().splitlines() or ["no reason given"])[-1] if done.returncode else ""


def _keep(cache: Path, number: int) -> None:
    """Name it the last good one, by a link that is renamed into place."""
    draft = cache / f".{KEPT}"
    draft.unlink(missing_ok=True)
    draft.symlink_to(f"{number}")
    draft.replace(cache / KEPT)
