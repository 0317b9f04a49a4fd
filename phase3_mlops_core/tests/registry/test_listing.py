"""Room: registry. The quick list of versions says what MLflow's client says."""

from __future__ import annotations

from pathlib import Path

import pytest
from phase1_docker_api.service.launch import free_port
from phase3_mlops_core.errors import TRY_AGAIN, RegistryError, UnreachableRegistryError
from phase3_mlops_core.registry import listing
from phase3_mlops_core.registry.listing import list_versions
from phase3_mlops_core.registry.versions import Registry


def add_versions(registry: Registry, count: int) -> None:
    registry.client.create_registered_model(registry.name)
    for number in range(count):
        tags = {"model_version": f"trees-{number}", "month": "2012-01"} if number else {"of": "another program"}
        registry.client.create_model_version(registry.name, "s3://nowhere/model", tags=tags)


def test_it_lists_what_the_client_lists(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    add_versions(registry, 4)
    monkeypatch.setattr(listing, "PAGE", 2)

    found = list_versions(registry.settings)

    assert found == registry.versions()
    assert [version.number for version in found] == [2, 3, 4]


def test_it_is_empty_before_the_first_registration(registry: Registry) -> None:
    assert list_versions(registry.settings) == []


def test_a_silent_server_can_be_tried_again_and_a_wrong_password_cannot(registry: Registry, tmp_path: Path) -> None:
    silent = registry.settings.model_copy(update={"mlflow_url": f"http://127.0.0.1:{free_port()}"})
    stranger = registry.settings.model_copy(update={"mlflow_password": None, "home": tmp_path})

    with pytest.raises(UnreachableRegistryError, match="make phase3-up") as unreached:
        list_versions(silent)
    with pytest.raises(RegistryError, match="401") as refused:
        list_versions(stranger)

    assert (unreached.value.exit_code, refused.value.exit_code) == (TRY_AGAIN, 1)
