"""List the registered versions over MLflow's REST interface: its client takes four seconds to load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from phase3_mlops_core.errors import RegistryError, UnreachableRegistryError
from phase3_mlops_core.registry.password import generated_password
from phase3_mlops_core.registry.version import Version
from phase3_mlops_core.settings import PipelineSettings

PAGE = 1000


def list_versions(settings: PipelineSettings) -> list[Version]:
    """All versions of ours, oldest first, as `Registry.versions` gives them.

    Source: https://mlflow.org/docs/latest/api_reference/rest-api.html#search-modelversions

    Raises:
        UnreachableRegistryError: MLflow does not answer, or has an error of its own.
        RegistryError: it refuses.

    """
    given = settings.mlflow_password
    password = given.get_secret_value() if given else generated_password(settings.home)
    found: list[dict[str, Any]] = []
    with httpx.Client(
        auth=(settings.mlflow_user, password), timeout=settings.mlflow_seconds, trust_env=False
    ) as client:
        token: str | None = ""
        while token is not None:
            page = _page(client, settings, token)
            found += page.get("model_versions", [])
            token = page.get("next_page_token") or None
    return sorted((version for each in found if (version := _version(each))), key=lambda version: version.number)


def _version(entry: Mapping[str, Any]) -> Version | None:
    tags = {tag["key"]: tag["value"] for tag in entry.get("tags", [])}
    return Version(int(entry["version"]), entry.get("run_id", ""), tags) if "model_version" in tags else None


def _page(client: httpx.Client, settings: PipelineSettings, token: str) -> dict[str, Any]:
    asked = {"filter": f"name = '{settings.model_name}'", "max_results": str(PAGE), "page_token": token}
    try:
        answer = client.get(f"{settings.mlflow_url}/api/2.0/mlflow/model-versions/search", params=asked)
    except httpx.TransportError as error:
        raise UnreachableRegistryError(
            f"MLflow at {settings.mlflow_url} did not answer ({error}): start it with `make phase3-up`"
        ) from error
    if answer.is_server_error:
        raise UnreachableRegistryError(f"MLflow at {settings.mlflow_url} answered with {answer.status_code}")
    if answer.is_error:
        raise RegistryError(f"MLflow at {settings.mlflow_url} refused: {answer.status_code} {answer.text[:300]}")
    page: dict[str, Any] = answer.json()
    return page
