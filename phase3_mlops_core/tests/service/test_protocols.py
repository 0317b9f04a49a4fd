"""KServe's protocols on the service's own port: stock clients, prices to the cent, and refusals that name the field."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.schemas import FULL_EXAMPLE, MINIMAL_EXAMPLE, House
from phase1_docker_api.service.launch import free_port, wait_until_ready
from phase1_docker_api.training.sales import records_of

V1, V2, EXPLAIN = "/v1/models/house-price:predict", "/v2/models/house-price/infer", "/v1/models/house-price:explain"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def url(trees_artifact: Path) -> Iterator[str]:
    with predictor(trees_artifact) as address:
        yield address


@contextlib.contextmanager
def predictor(artifact: Path) -> Iterator[str]:
    """Serve the model as `phase3 serve` does, on a free port."""
    port = free_port()
    command = [sys.executable, "-m", "phase3_mlops_core", "serve", "--model", str(artifact), "--port", str(port)]
    with subprocess.Popen(command, env=os.environ | {"HOUSE_HOST": "127.0.0.1"}, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until_ready(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def records(seattle_sales: pd.DataFrame) -> list[dict[str, Any]]:
    return records_of(seattle_sales.iloc[::86].head(500))


def inputs_of(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The second protocol's columns: of the fields that all these houses have."""
    kinds = {str: "BYTES", bool: "BOOL"}
    names = [name for name in records[0] if all(name in record for record in records)]
    return [
        {
            "name": name,
            "shape": [len(records)],
            "datatype": kinds.get(type(records[0][name]), "FP64"),
            "data": [record[name] for record in records],
        }
        for name in names
    ]


def test_v1_v2_and_predict_give_the_model_s_prices_to_the_cent(
    client: httpx.Client, trees_model: HouseModel, records: list[dict[str, Any]]
) -> None:
    offline = [each.price_usd for each in trees_model.estimate([House(**record) for record in records])]

    v1 = client.post(V1, json={"instances": records}).raise_for_status()
    inputs = inputs_of(records)
    v2 = client.post(V2, json={"id": "7", "inputs": inputs}).raise_for_status().json()
    single = [client.post("/predict", json=record).json()["price_usd"] for record in records[::10]]

    assert [each["price_usd"] for each in v1.json()["predictions"]] == offline
    assert v1.headers["x-model-version"] == trees_model.card.model_version
    assert v1.headers["x-model-source"] == "folder"
    assert single == offline[::10]
    shared = [{each["name"]: each["data"][row] for each in inputs} for row in range(len(records))]
    prices = next(output["data"] for output in v2["outputs"] if output["name"] == "price_usd")
    assert prices == [each.price_usd for each in trees_model.estimate([House(**fields) for fields in shared])]
    assert (v2["id"], v2["model_name"], v2["outputs"][0]["shape"]) == ("7", "house-price", [500])


def test_kserve_s_own_client_is_answered_in_both_protocols(url: str, trees_model: HouseModel) -> None:
    price = trees_model.estimate([House(**FULL_EXAMPLE)])[0].price_usd
    columns = []
    for each in inputs_of([FULL_EXAMPLE]):
        columns.append(InferInput(each["name"], each["shape"], each["datatype"], each["data"]))

    async def ask() -> tuple[Any, Any, list[bool], Any]:
        v1 = InferenceRESTClient(RESTConfig(protocol="v1", timeout=60))
        v2 = InferenceRESTClient(RESTConfig(protocol="v2", timeout=60))
        instances = {"instances": [FULL_EXAMPLE]}
        first = await v1.infer(url, instances, model_name="house-price")
        second = await v2.infer(url, InferRequest("house-price", columns), model_name="house-price")
        states = [
            await v2.is_server_live(url),
            await v2.is_server_ready(url),
            await v2.is_model_ready(url, "house-price"),
        ]
        third = await v1.explain(url, model_name="house-price", data=instances)
        await v1.close()
        await v2.close()
        return first, second, states, third

    first, second, states, explained = asyncio.run(ask())

    assert first["predictions"][0]["price_usd"] == price
    assert second.outputs[0].data == [price]
    assert states == [True, True, True]
    assert explained["explanations"][0]["price_usd"] == price


@pytest.mark.parametrize("headers", [JSON, {}, {"Content-Type": "application/x-www-form-urlencoded"}])
@pytest.mark.parametrize(("path", "key"), [(V1, "predictions"), (V2, "outputs")])
def test_curl_s_own_content_type_is_answered_and_none_too(
    client: httpx.Client, path: str, key: str, headers: dict[str, str]
) -> None:
    body = {"instances": [MINIMAL_EXAMPLE]} if path == V1 else {"inputs": inputs_of([MINIMAL_EXAMPLE])}

    answer = client.post(path, content=json.dumps(body), headers=headers)

    assert answer.status_code == 200
    assert answer.json()[key]


def column(**changes: Any) -> dict[str, Any]:
    return {"name": "bedrooms", "shape": [1], "datatype": "FP64", "data": [3]} | changes


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (V1, b"{", "body"),
        (V1, b"[]", "body"),
        (V1, b"{}", "instances"),
        (V1, b'{"instances": {}}', "instances"),
        (V1, b'{"instances": []}', "instances"),
        (V1, json.dumps({"instances": [MINIMAL_EXAMPLE, {"bedrooms": 3}]}).encode(), "instances.1.land_area_sqft"),
        (V1, json.dumps({"instances": [MINIMAL_EXAMPLE | {"bedrooms": "three"}]}).encode(), "instances.0.bedrooms"),
        (V1, json.dumps({"inputs": [column()]}).encode(), "instances"),
        (V2, b"{}", "inputs"),
        (V2, json.dumps({"inputs": ["bedrooms"]}).encode(), "inputs.0"),
        (V2, json.dumps({"inputs": [column(data=3)]}).encode(), "inputs.bedrooms.data"),
        (V2, json.dumps({"inputs": [column(shape=[2])]}).encode(), "inputs.bedrooms.shape"),
        (V2, json.dumps({"inputs": [column(), column()]}).encode(), "inputs.bedrooms"),
        (V2, json.dumps({"inputs": [column()]}).encode(), "inputs.land_area_sqft"),
        (EXPLAIN, json.dumps({"instances": [MINIMAL_EXAMPLE] * 17}).encode(), "instances"),
        (EXPLAIN, json.dumps({"instances": [{"bedrooms": 3}]}).encode(), "instances.0.land_area_sqft"),
    ],
)
def test_a_wrong_body_is_refused_with_400_its_field_and_a_hint(
    client: httpx.Client, path: str, body: bytes, field: str
) -> None:
    answer = client.post(path, content=body, headers=JSON)

    assert answer.status_code == 400, answer.text
    problem = answer.json()["problems"][0]
    assert problem["field"] == field
    assert problem["hint"]


def test_a_body_larger_than_allowed_is_refused_by_each_protocol(client: httpx.Client) -> None:
    for path in (V1, V2, EXPLAIN):
        assert client.post(path, content=b" " * 5_000_000, headers=JSON).status_code == 413


def test_models_are_listed_and_unknown_ones_refused_and_none_can_be_unloaded(client: httpx.Client) -> None:
    assert client.get("/v1/models").json() == {"models": ["house-price"]}
    assert client.get("/v1/models/house-price").json() == {"name": "house-price", "ready": True}
    inputs = client.get("/v2/models/house-price").json()["inputs"]
    assert {"name": "neighborhood", "datatype": "BYTES", "shape": [-1]} in inputs
    for path in ("/v1/models/other", "/v2/models/other/ready"):
        refused = client.get(path)
        assert (refused.status_code, refused.json()["problems"][0]["field"]) == (404, "model")
    assert client.post("/v1/models/other:predict", json={"instances": [MINIMAL_EXAMPLE]}).status_code == 404
    for path in ("repository/models/house-price/unload", "models/house-price/versions/1/infer"):
        assert client.post(f"/v2/{path}", json={"inputs": [column()]}).status_code == 404


def test_an_explanation_adds_up_and_sends_no_header_of_the_request_back(client: httpx.Client) -> None:
    answer = client.post(EXPLAIN, json={"instances": [FULL_EXAMPLE]}, headers={"Authorization": "Bearer secret"})

    found = answer.json()["explanations"][0]
    added = sum(share["usd"] for share in found["contributions"])
    assert found["typical_price_usd"] + added == pytest.approx(found["price_usd"], abs=0.001)
    assert "authorization" not in answer.headers


def test_what_phases_1_and_2_serve_is_served_too(client: httpx.Client) -> None:
    assert client.get("/").status_code == client.get("/readyz").status_code == 200
    metrics = client.get("/metrics").text
    assert 'house_model_source_info{source="folder",wanted_number=""} 1.0' in metrics
    assert 'path="/v1/models/{model_name}:predict"' in metrics
