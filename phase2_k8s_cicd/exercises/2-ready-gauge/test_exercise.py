"""Exercise 2: the gauge house_ready is 1 while the service takes requests, and 0 once it has been told to stop."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import httpx
import pytest
from phase1_docker_api.errors import ArtifactError
from phase2_k8s_cicd.service.app import create_app


async def metrics_of(app: Callable[..., object]) -> str:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        return (await client.get("/metrics")).text


def test_the_gauge_follows_readiness() -> None:
    try:
        app = create_app()
    except ArtifactError as error:
        pytest.skip(f"it needs a trained model (make phase1-up makes one): {error}")
    for ready in (True, False, True):
        app.state.service.ready = ready

        shown = re.search(r"^house_ready (\S+)$", asyncio.run(metrics_of(app)), re.MULTILINE)

        assert shown, "GET /metrics shows no house_ready without labels"
        state = "is ready" if ready else "is told to stop"
        assert float(shown[1]) == ready, f"house_ready is {shown[1]} while the service {state}"
