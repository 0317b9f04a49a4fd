"""What several rooms of this phase's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from phase1_docker_api.model.artifact import save_model
from phase1_docker_api.model.house_model import HouseModel


@pytest.fixture(scope="session")
def linear_artifact(linear_model: HouseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder the linear baseline was saved in, which loads fastest; treat it as read-only."""
    return save_model(linear_model, tmp_path_factory.mktemp("linear"))


@pytest.fixture(scope="session")
def client(service_url: str) -> Iterator[httpx.Client]:
    """A client of the service that serves the trees."""
    with httpx.Client(base_url=service_url, timeout=60) as client:
        yield client
