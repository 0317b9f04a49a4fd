"""Exercise 2: the running service tells at GET /version which code and which model it runs, and documents it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from importlib.metadata import version

import httpx
import pytest

URL = f"http://127.0.0.1:{os.environ.get('PHASE1_API_PORT', 5000)}"


@pytest.fixture
def service() -> Iterator[httpx.Client]:
    with httpx.Client(base_url=URL, timeout=5, trust_env=False) as client:
        yield client


def test_the_running_service_tells_its_version(service: httpx.Client) -> None:
    try:
        answer, ready = service.get("/version"), service.get("/readyz")
    except httpx.TransportError:
        raise AssertionError(f"nothing answers at {URL}: make phase1-up") from None

    hint = "Written, but the old process still runs? make phase1-down phase1-up"
    assert answer.status_code == 200, f"GET /version got {answer.status_code}. {hint}"
    wanted = {"version": version("phase1-docker-api"), "model_version": ready.json()["model_version"]}
    assert answer.json() == wanted, f"it answered {answer.text[:100]}, not {json.dumps(wanted)}"


def test_the_route_is_documented(service: httpx.Client) -> None:
    assert "/version" in service.get("/openapi.json").json()["paths"], "/version is not in /openapi.json"
