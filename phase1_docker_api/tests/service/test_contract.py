"""Room: contract. What the service promises: the model's own prices, in the form its document states."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from jsonschema import Draft202012Validator
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.schemas import MAX_BATCH_ROWS, REQUIRED_FIELDS, House, Refused
from phase1_docker_api.service.launch import running_service
from phase1_docker_api.training.sales import records_of

Record = dict[str, Any]
MINIMAL = {"land_area_sqft": 5000, "bedrooms": 3}


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    opened: dict[str, Any] = client.get("/openapi.json").json()
    return opened


@pytest.fixture(scope="module")
def later_houses(seattle_sales: pd.DataFrame) -> list[Record]:
    """The largest batch of houses sold after those the model was trained on."""
    later = seattle_sales[seattle_sales["sale_date"] >= "2012-01-01"]
    return records_of(later.sample(MAX_BATCH_ROWS, random_state=7))


def offline(model: HouseModel, records: list[Record]) -> list[Record]:
    """What the model says without a service, as JSON would carry it."""
    return [json.loads(e.model_dump_json()) for e in model.estimate([House(**r) for r in records])]


def asked_as(request: str, records: list[Record]) -> list[Record]:
    """Complete requests, or those with nothing but what is required."""
    return records if request == "complete" else [{name: r[name] for name in REQUIRED_FIELDS} for r in records]


def columns_of(records: list[Record]) -> dict[str, list[Any]]:
    return {name: [r.get(name) for r in records] for name in House.model_fields if name in records[0]}


@pytest.mark.parametrize("request_kind", ["complete", "minimal"])
def test_single_answers_are_the_model_s_own_to_the_cent(
    client: httpx.Client, trees_model: HouseModel, later_houses: list[Record], request_kind: str
) -> None:
    records = asked_as(request_kind, later_houses[:500])

    # Several at a time, so that they share predictions.
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda r: client.post("/predict", json=r).json(), records))

    assert answers == offline(trees_model, records)


@pytest.mark.parametrize("request_kind", ["complete", "minimal"])
@pytest.mark.parametrize("form", ["houses", "columns"])
def test_batch_answers_are_the_model_s_own_to_the_cent(
    client: httpx.Client, trees_model: HouseModel, later_houses: list[Record], request_kind: str, form: str
) -> None:
    records = asked_as(request_kind, later_houses[:500])
    body = {form: records if form == "houses" else columns_of(records)}

    answer = client.post("/predict/batch", json=body).json()

    assert answer["estimates"] == offline(trees_model, records)
    assert answer["model_version"] == trees_model.card.model_version


def test_the_largest_batch_is_answered_in_its_order(
    client: httpx.Client, trees_model: HouseModel, later_houses: list[Record]
) -> None:
    answer = client.post("/predict/batch", json={"houses": later_houses}).json()

    prices = [e["price_usd"] for e in answer["estimates"]]
    assert prices == [e["price_usd"] for e in offline(trees_model, later_houses)]
    assert len(set(prices)) > 0.9 * MAX_BATCH_ROWS  # or the order would prove nothing


def test_an_empty_field_is_the_same_as_one_left_out(client: httpx.Client) -> None:
    full = client.post("/predict", json=MINIMAL | dict.fromkeys(set(House.model_fields) - set(MINIMAL))).json()

    assert full == client.post("/predict", json=MINIMAL).json()


def test_an_unknown_area_gets_a_price_and_a_warning(client: httpx.Client, trees_model: HouseModel) -> None:
    answer = client.post("/predict", json=MINIMAL | {"neighborhood": "Atlantis"})

    estimate = answer.json()
    assert answer.status_code == 200
    assert estimate["price_usd"] > 0
    assert [(w["field"], w["code"]) for w in estimate["warnings"]] == [("neighborhood", "unknown_category")]
    assert estimate["assumed"]["neighborhood"] in trees_model.card.categories["neighborhood"]


def test_a_house_beyond_the_training_data_gets_a_price_and_a_warning(client: httpx.Client) -> None:
    estimate = client.post("/predict", json=MINIMAL | {"bathrooms": 20}).json()

    assert [(w["field"], w["code"]) for w in estimate["warnings"]] == [("bathrooms", "outside_training_range")]


def test_an_interval_holds_its_price_and_is_wider_when_less_is_known(
    client: httpx.Client, later_houses: list[Record]
) -> None:
    whole = client.post("/predict", json=later_houses[0]).json()["interval_usd"]
    least = client.post("/predict", json=MINIMAL).json()

    assert least["interval_usd"]["low"] < least["price_usd"] < least["interval_usd"]["high"]
    assert whole["high"] / whole["low"] < 0.8 * least["interval_usd"]["high"] / least["interval_usd"]["low"]


def test_every_example_of_the_document_is_answered(client: httpx.Client, document: dict[str, Any]) -> None:
    examples = [
        (path, example["value"])
        for path, operations in document["paths"].items()
        for operation in operations.values()
        for media in operation.get("requestBody", {}).get("content", {}).values()
        for example in media["examples"].values()
    ]
    examples += [("/predict", example) for example in document["components"]["schemas"]["House"]["examples"]]

    answers = [(client.post(path, json=value).status_code, value) for path, value in examples]

    assert len(answers) >= 5
    assert [value for status, value in answers if status != 200] == []


def test_every_reference_in_the_document_resolves(document: dict[str, Any]) -> None:
    references = set(re.findall(r'"\$ref": "(.*?)"', json.dumps(document)))

    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references
    assert references <= known


def test_no_schema_of_the_document_is_left_over(document: dict[str, Any]) -> None:
    references = set(re.findall(r'"\$ref": "#/components/schemas/(.*?)"', json.dumps(document)))

    assert set(document["components"]["schemas"]) == references


# One request for each answer that the document states; 503 needs a busy service, below, or one that stops;
# 408 needs a slow client, in test_reliability.py.
STATED = [
    ("GET", "/healthz", 200, {}),
    ("GET", "/readyz", 200, {}),
    ("GET", "/model", 200, {}),
    ("POST", "/predict", 200, {"json": MINIMAL}),
    ("POST", "/predict", 413, {"json": MINIMAL | {"neighborhood": "A" * 70_000}}),
    ("POST", "/predict", 415, {"content": b"bedrooms=3"}),
    ("POST", "/predict", 422, {"json": {"bedrooms": 3}}),
    ("POST", "/predict/batch", 200, {"json": {"houses": [MINIMAL]}}),
    ("POST", "/predict/batch", 413, {"json": {"houses": "A" * 4_200_000}}),
    ("POST", "/predict/batch", 415, {"content": b"bedrooms=3"}),
    ("POST", "/predict/batch", 422, {"json": {"houses": [{"bedrooms": 3}]}}),
]


@pytest.mark.parametrize(("method", "path", "status", "request_body"), STATED, ids=lambda value: str(value)[:40])
def test_an_answer_has_the_form_that_the_document_states(
    client: httpx.Client, document: dict[str, Any], method: str, path: str, status: int, request_body: Record
) -> None:
    answer = client.request(method, path, **request_body)

    assert answer.status_code == status
    stated = document["paths"][path][method.lower()]["responses"][str(status)]["content"]
    schema = stated[answer.headers["content-type"]]["schema"]
    Draft202012Validator(schema | {"components": document["components"]}).validate(answer.json())


def test_each_answer_that_the_document_states_is_tried_here(document: dict[str, Any]) -> None:
    stated = {
        (method.upper(), path, int(status))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for status in operation["responses"]
    }

    assert {s for s in stated if s[2] not in (408, 503)} == {
        (method, path, status) for method, path, status, _ in STATED
    }


def test_one_request_too_many_is_told_when_to_come_back(linear_artifact: Path, later_houses: list[Record]) -> None:
    with (
        running_service(linear_artifact, HOUSE_MAX_WAITING="1") as (url, _),
        httpx.Client(base_url=url, timeout=60) as client,
        ThreadPoolExecutor(40) as callers,
    ):
        for _ in range(3):  # they keep the model busy
            callers.submit(client.post, "/predict/batch", json={"houses": later_houses})
        answers = list(callers.map(lambda _: client.post("/predict", json=MINIMAL), range(80)))

    refused = [a for a in answers if a.status_code == 503]
    assert {a.status_code for a in answers} == {200, 503}
    assert {a.headers["retry-after"] for a in refused} == {"1"}
    assert {Refused.model_validate_json(a.content).problems[0].field for a in refused} == {"service"}


@pytest.mark.parametrize("path", ["/", "/docs", "/healthz", "/readyz"])
def test_a_head_is_answered_like_a_get_without_its_body(client: httpx.Client, path: str) -> None:
    head, get = client.head(path), client.get(path)

    differs = {"date", "x-request-id"}
    assert head.status_code == get.status_code == 200
    assert {k: v for k, v in head.headers.items() if k not in differs} == {
        k: v for k, v in get.headers.items() if k not in differs
    }
    assert head.content == b""
    assert get.content


@pytest.mark.parametrize("sane", ["7", "order-66_b.2", "A" * 64])
def test_a_sane_request_id_is_kept(client: httpx.Client, sane: str) -> None:
    answered = client.post("/predict", json=MINIMAL, headers={"X-Request-ID": sane})
    refused = client.post("/predict", json={}, headers={"X-Request-ID": sane})

    assert answered.headers["x-request-id"] == sane
    assert refused.headers["x-request-id"] == refused.json()["request_id"] == sane


@pytest.mark.parametrize(
    "insane", ["", "two words", "A" * 65, "A" * 200, 'a"b', "<script>", "é".encode().decode("latin-1")]
)
def test_an_insane_request_id_is_replaced(client: httpx.Client, insane: str) -> None:
    answer = client.post("/predict", json={}, headers={b"X-Request-ID": insane.encode("latin-1")})

    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_two_requests_never_share_an_id(client: httpx.Client) -> None:
    ids = {client.get("/healthz").headers["x-request-id"] for _ in range(20)}

    assert len(ids) == 20
