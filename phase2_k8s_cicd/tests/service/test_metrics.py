"""Room: contract. Metrics count what happened, no more, and a caller cannot make them grow."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.service.watchers import Priced, Watcher
from phase2_k8s_cicd.service.app import create_app
from phase2_k8s_cicd.service.metrics import WAITING, ServiceMetrics
from phase2_k8s_cicd.settings import Settings

SEED = {"land_area_sqft": 5000, "bedrooms": 3}


@pytest.fixture
def client(linear_model: HouseModel) -> Iterator[TestClient]:
    app = create_app(Settings(service_version="v7", model_path=Path("unused")), linear_model)
    with TestClient(app) as client:
        yield client


def sample(client: TestClient, series: str) -> float:
    """The value of one series, 0 when it is not there yet."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", client.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_answers_are_counted_by_method_path_and_status_and_timed(client: TestClient) -> None:
    started = time.monotonic()
    client.post("/predict", json=SEED)
    client.post("/predict", json=SEED | {"bedrooms": -1})
    client.get("/no/such/path")
    took_s = time.monotonic() - started

    assert sample(client, 'house_http_requests_total{method="POST",path="/predict",status="200"}') == 1
    assert sample(client, 'house_http_requests_total{method="POST",path="/predict",status="422"}') == 1
    assert sample(client, 'house_http_requests_total{method="GET",path="unknown",status="404"}') == 1
    assert sample(client, 'house_http_request_duration_seconds_count{path="/predict"}') == 2
    assert 0 < sample(client, 'house_http_request_duration_seconds_sum{path="/predict"}') < took_s
    assert sample(client, "house_http_requests_in_flight") == 1, "the request for the metrics itself"


def test_prices_batches_and_warnings_are_counted_for_one_house_and_for_many(client: TestClient) -> None:
    price = client.post("/predict", json=SEED).json()["price_usd"]
    client.post("/predict/batch", json={"houses": [SEED, SEED | {"neighborhood": "nowhere"}]})

    assert sample(client, "house_predicted_price_usd_count") == 3
    assert sample(client, "house_predicted_price_usd_sum") > 2 * price
    assert sample(client, 'house_predict_batch_houses_bucket{le="2.0"}') == 2
    assert sample(client, "house_predict_batch_houses_sum") == 3
    assert sample(client, 'house_warnings_total{code="unknown_category",field="neighborhood"}') == 1


def test_refusals_are_counted_by_field_and_invented_names_share_one_label(client: TestClient) -> None:
    client.post("/predict", json={"bedrooms": 99})
    client.post("/predict/batch", json={"houses": [SEED, {"land_area_sqft": 5000, "bedrooms": 99}]})
    for number in range(3):
        client.post("/predict", json=SEED | {f"invented_{number}": 1})

    assert sample(client, 'house_refusals_total{field="land_area_sqft"}') == 1
    assert sample(client, 'house_refusals_total{field="bedrooms"}') == 2
    assert sample(client, 'house_refusals_total{field="other"}') == 3
    assert "invented" not in client.get("/metrics").text


def test_other_watchers_see_prices_too_and_none_can_stop_the_counting(linear_model: HouseModel) -> None:
    class Faulty(Watcher):
        seen = 0

        def prices_made(self, priced: Sequence[Priced]) -> None:
            Faulty.seen += len(priced)
            raise ValueError("no room on the disk")

    app = create_app(Settings(model_path=Path("unused")), linear_model, watchers=[Faulty()])
    with TestClient(app) as client:
        answer = client.post("/predict", json=SEED)
        counted = sample(client, "house_predicted_price_usd_count")

    assert answer.status_code == 200
    assert Faulty.seen == counted == 1


def test_a_method_that_nobody_knows_shares_one_label_too(client: TestClient) -> None:
    client.request("BREW", "/predict")

    assert sample(client, 'house_http_requests_total{method="other",path="/predict",status="405"}') == 1


def test_the_version_is_in_every_answer_and_with_the_models_in_the_metrics(
    client: TestClient, linear_model: HouseModel
) -> None:
    answers = [client.post("/predict", json=SEED), client.get("/readyz"), client.post("/predict", json={})]
    metrics = client.get("/metrics").text

    assert [answer.headers["x-service-version"] for answer in answers] == ["v7"] * 3
    assert 'house_service_info{version="v7"} 1.0' in metrics
    assert f'house_model_info{{estimator="linear",version="{linear_model.card.model_version}"}} 1.0' in metrics
    assert sample(client, "house_model_newest_sale_timestamp_seconds") == 1325289600  # 2011-12-31


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool, which comes with Prometheus, is not installed")
def test_prometheus_own_checker_finds_nothing(client: TestClient) -> None:
    for body in (SEED, {}, SEED | {"neighborhood": "nowhere"}):
        client.post("/predict", json=body)
    metrics = client.get("/metrics").text
    done = subprocess.run(["promtool", "check", "metrics"], input=metrics, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert "house_" in metrics
    assert not done.stderr


def test_a_thousand_requests_are_counted_as_exactly_as_one(client: TestClient) -> None:
    for _ in range(1000):
        client.get("/healthz")

    assert sample(client, 'house_http_requests_total{method="GET",path="/healthz",status="200"}') == 1000
    assert sample(client, 'house_http_request_duration_seconds_bucket{le="+Inf",path="/healthz"}') == 1000


def test_nothing_waits_for_long_and_nothing_is_lost_where_nobody_reads_the_metrics(linear_model: HouseModel) -> None:
    metrics = ServiceMetrics(linear_model.card, "v7")
    for _ in range(1000):
        metrics.request_began()
        metrics.request_ended({"method": "GET", "log": {}}, 200, 0.001)
    ended_waiting = metrics.waiting

    for _ in range(1000):
        metrics.prices_made([Priced("7", SEED, {}, [], {"price_usd": 1.0, "warnings": []})])

    assert ended_waiting < WAITING
    assert metrics.waiting < WAITING
    assert metrics.registry.get_sample_value("house_predicted_price_usd_count") == 1000
