"""Room: contract. Each watcher is shown requests and prices, and none of them can cost an answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import structlog
from fastapi.testclient import TestClient
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.schemas import MINIMAL_EXAMPLE, House
from phase1_docker_api.service.app import create_app
from phase1_docker_api.service.watchers import Priced, Watcher
from phase1_docker_api.settings import Settings
from phase1_docker_api.testing import train_frozen

SETTINGS = Settings(model_path=Path("unused"))
UNKNOWN_AREA = MINIMAL_EXAMPLE | {"neighborhood": "Atlantis"}


class Recorder(Watcher):
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.began, self.ended, self.priced = 0, list[tuple[str, int]](), list[Priced]()

    def request_began(self) -> None:
        self.began += 1

    def request_ended(self, scope: Any, status: int, seconds: float) -> None:
        self.ended.append((scope["request_id"], status))

    def prices_made(self, priced: Sequence[Priced]) -> None:
        self.priced += priced


class Broken(Watcher):
    """Fails at each event."""

    def request_began(self) -> None:
        raise RuntimeError("began")

    def request_ended(self, scope: Any, status: int, seconds: float) -> None:
        raise RuntimeError("ended")

    def prices_made(self, priced: Sequence[Priced]) -> None:
        raise RuntimeError("made")


def given(priced: Priced) -> dict[str, Any]:
    return {name: value for name, value in priced.given.items() if value is not None}


@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
def test_a_watcher_sees_what_was_given_completed_and_answered(linear_model: HouseModel, path: str) -> None:
    recorder, houses = Recorder(), [UNKNOWN_AREA] * (1 if path == "/predict" else 3)
    with TestClient(create_app(SETTINGS, linear_model, watchers=[recorder])) as client:
        body = houses[0] if path == "/predict" else {"houses": houses}
        answer = client.post(path, json=body, headers={"X-Request-ID": "order-66"}).json()
        client.post(path, json={})

    answers = [answer] if path == "/predict" else answer["estimates"]
    assert [json.loads(json.dumps(p.answer)) for p in recorder.priced] == answers
    assert [p.request_id for p in recorder.priced] == ["order-66"] * len(houses)
    assert [given(p) for p in recorder.priced] == houses
    assert recorder.began == 2
    assert [status for _, status in recorder.ended] == [200, 422]
    assert recorder.ended[0][0] == "order-66"


def test_completed_fields_are_those_that_the_model_used(seattle_sales: pd.DataFrame) -> None:
    recorder, model = Recorder(), train_frozen(seattle_sales.drop(columns="waterfront"), "linear")
    with TestClient(create_app(SETTINGS, model, watchers=[recorder])) as client:
        answer = client.post("/predict", json=UNKNOWN_AREA | {"waterfront": True}).json()

    [priced] = recorder.priced
    assert priced.completed == MINIMAL_EXAMPLE | answer["assumed"]
    assert priced.completed.keys() == set(model.card.fields)
    assert model.estimate([House(**priced.completed)])[0].price_usd == answer["price_usd"]


def test_a_broken_watcher_costs_no_answer_and_is_logged_once_a_kind(linear_model: HouseModel) -> None:
    recorder = Recorder()
    app = create_app(SETTINGS, linear_model, watchers=[Broken(), recorder])
    with structlog.testing.capture_logs() as lines, TestClient(app) as client:
        statuses = [client.post("/predict", json=MINIMAL_EXAMPLE).status_code for _ in range(3)]
        batch = client.post("/predict/batch", json={"houses": [MINIMAL_EXAMPLE]})

    assert [*statuses, batch.status_code] == [200] * 4
    assert len(recorder.priced) == len(recorder.ended) == 4
    failed = [line["watcher"] for line in lines if line["event"] == "watcher_failed"]
    assert failed == ["Broken.request_began", "Broken.prices_made", "Broken.request_ended"]
