"""Room: contract. Whatever is sent, the answer names the faulty field and says how to mend it; never a 5xx."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from phase1_docker_api.schemas import REQUIRED_FIELDS, House, Refused
from phase1_docker_api.service.checking import MAX_PROBLEMS

JSON = {"Content-Type": "application/json"}
MINIMAL = {"land_area_sqft": 5000, "bedrooms": 3}


@dataclass(frozen=True)
class Faulty:
    """A request that gets no price: what is sent, and the field that the answer names."""

    name: str
    field: str
    body: bytes | Iterator[bytes] = b""
    status: int = 422
    hint: str = ""
    path: str = "/predict"
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=lambda: JSON)

    def __str__(self) -> str:
        return self.name


def house(name: str, field: str, given: str, hint: str = "") -> Faulty:
    """A house with one member, as JSON text, beside what is required; a repeated member wins."""
    return Faulty(name, field, f'{{"land_area_sqft": 5000, "bedrooms": 3, {given}}}'.encode(), hint=hint)


def bare(name: str, body: bytes, field: str = "body") -> Faulty:
    return Faulty(name, field, body)


def batch(name: str, field: str, value: Any, hint: str = "") -> Faulty:
    return Faulty(name, field, json.dumps(value).encode(), path="/predict/batch", hint=hint)


def chunks(piece: bytes, count: int) -> Iterator[bytes]:
    """A body sent in pieces, without its length."""
    yield from [piece] * count


def columns(**given: Any) -> dict[str, Any]:
    return {"columns": {"land_area_sqft": [5000] * 3, "bedrooms": [3] * 3} | given}


TEXT = b'{"land_area_sqft": 5000, "bedrooms": 3}'
EIGHT = [MINIMAL] * 8
FAULTS = [
    # Numbers
    bare("NaN", b'{"land_area_sqft": NaN, "bedrooms": 3}', "land_area_sqft"),
    bare("Infinity", b'{"land_area_sqft": Infinity, "bedrooms": 3}', "land_area_sqft"),
    bare("minus Infinity", b'{"land_area_sqft": -Infinity, "bedrooms": 3}', "land_area_sqft"),
    bare("NaN for a count", b'{"land_area_sqft": 5000, "bedrooms": NaN}', "bedrooms"),
    house("NaN for what is not known", "bathrooms", '"bathrooms": NaN', "send null where it is not known"),
    house("NaN for a category", "neighborhood", '"neighborhood": NaN', '"A12"'),
    house("NaN for a boolean", "waterfront", '"waterfront": NaN', "false"),
    Faulty("NaN in a row", "houses.1.bathrooms", path="/predict/batch", hint="send null",
           body=b'{"houses": [' + TEXT + b', {"land_area_sqft": 5000, "bedrooms": 3, "bathrooms": NaN}]}'),
    Faulty("NaN in a column", "columns.land_area_sqft.1", path="/predict/batch", hint="5000 (sqft)",
           body=b'{"columns": {"land_area_sqft": [5000, NaN], "bedrooms": [3, 3]}}'),
    bare("NaN and a comma too many", b'{"land_area_sqft": NaN, "bedrooms": 3,}'),
    bare("too large for a float", b'{"land_area_sqft": 1e400, "bedrooms": 3}', "land_area_sqft"),
    bare("too small for a float", b'{"land_area_sqft": 1e-400, "bedrooms": 3}', "land_area_sqft"),
    bare("minus nought", b'{"land_area_sqft": -0, "bedrooms": 3}', "land_area_sqft"),
    bare("6,000 digits", b'{"land_area_sqft": ' + b"9" * 6000 + b', "bedrooms": 3}'),
    bare("6,000 digits for a count", b'{"land_area_sqft": 5000, "bedrooms": ' + b"9" * 6000 + b"}"),
    bare("1e400 for a count", b'{"land_area_sqft": 5000, "bedrooms": 1e400}', "bedrooms"),
    bare("6,000 decimals", b'{"land_area_sqft": 0.' + b"3" * 6000 + b', "bedrooms": 3}', "land_area_sqft"),
    bare("a leading nought", b'{"land_area_sqft": 05000, "bedrooms": 3}'),
    bare("a leading plus", b'{"land_area_sqft": +5000, "bedrooms": 3}'),
    bare("a hexadecimal", b'{"land_area_sqft": 0x1388, "bedrooms": 3}'),
    bare("a comma for a point", b'{"land_area_sqft": 5000,5, "bedrooms": 3}'),
    bare("just below the least", b'{"land_area_sqft": 199.99, "bedrooms": 3}', "land_area_sqft"),
    bare("just above the most", b'{"land_area_sqft": 10000000.1, "bedrooms": 3}', "land_area_sqft"),
    bare("m2 for sqft", b'{"land_area_sqft": 120, "bedrooms": 3}', "land_area_sqft"),
    bare("less than no bedrooms", b'{"land_area_sqft": 5000, "bedrooms": -1}', "bedrooms"),
    bare("half a bedroom", b'{"land_area_sqft": 5000, "bedrooms": 3.5}', "bedrooms"),
    house("beyond the pole", "latitude", '"latitude": 90.1', "degrees"),
    house("a year to come", "year_built", '"year_built": 2101', "1948"),
    # Types
    bare("a string for a number", b'{"land_area_sqft": "5000", "bedrooms": 3}', "land_area_sqft"),
    bare("a string for a count", b'{"land_area_sqft": 5000, "bedrooms": "3"}', "bedrooms"),
    bare("a boolean for a number", b'{"land_area_sqft": true, "bedrooms": 3}', "land_area_sqft"),
    bare("a boolean for a count", b'{"land_area_sqft": 5000, "bedrooms": true}', "bedrooms"),
    bare("a list for a number", b'{"land_area_sqft": [5000], "bedrooms": 3}', "land_area_sqft"),
    bare("an object for a number", b'{"land_area_sqft": {}, "bedrooms": 3}', "land_area_sqft"),
    house("a number for a boolean", "waterfront", '"waterfront": 2', "false"),
    house("a string for a boolean", "waterfront", '"waterfront": "yes"', "false"),
    house("a number for a category", "neighborhood", '"neighborhood": 12', '"A12"'),
    house("an empty category", "neighborhood", '"neighborhood": ""', '"A12"'),
    house("a long category", "neighborhood", f'"neighborhood": "{"A" * 65}"', '"A12"'),
    # Fields
    bare("a required null", b'{"land_area_sqft": 5000, "bedrooms": null}', "bedrooms"),
    bare("a missing field", b'{"land_area_sqft": 5000}', "bedrooms"),
    bare("no field", b"{}", "land_area_sqft"),
    house("a slip", "bedroms", '"bedroms": 3', "did you mean bedrooms?"),
    house("another case", "Living_area_sqft", '"Living_area_sqft": 1800', "did you mean living_area_sqft?"),
    house("an unknown field", "colour", '"colour": "red"', "known fields: land_area_sqft"),
    house("a field of the sale", "price", '"price": 500000', "leave it out"),
    house("a field without a name", "body", '"": 1', "leave it out"),
    house("a repeated field", "body", '"bedrooms": 4'),
    # JSON
    bare("an empty body", b""),
    bare("white space", b" \r\n\t "),
    bare("a null", b"null"),
    bare("a number alone", b"5000"),
    bare("a string alone", b'"bedrooms"'),
    Faulty("a list", "body", b"[" + TEXT + b"]", hint="send one object and no list"),
    Faulty("many houses for one", "houses", b'{"houses": [' + TEXT + b"]}", hint="/predict/batch"),
    Faulty("columns for one", "columns", b'{"columns": {"bedrooms": [3]}}', hint="/predict/batch"),
    bare("trailing garbage", TEXT + b"}"),
    bare("two objects", TEXT + TEXT),
    bare("a trailing comma", b'{"land_area_sqft": 5000, "bedrooms": 3,}'),
    bare("single quotes", b"{'land_area_sqft': 5000, 'bedrooms': 3}"),
    bare("a comment", b"/* a house */" + TEXT),
    bare("cut off", TEXT[:-1]),
    bare("a form", b"land_area_sqft=5000&bedrooms=3"),
    bare("deep lists", b"[" * 60_000),
    bare("deep objects", b'{"a":' * 12_000),
    house("deep below a field", "body", f'"neighborhood": {"[" * 5000}{"]" * 5000}'),
    # Encodings
    Faulty("UTF-16", "body", TEXT.decode().encode("utf-16"), hint="send UTF-8"),
    bare("UTF-16 without a mark", TEXT.decode().encode("utf-16-le")),
    bare("UTF-32", TEXT.decode().encode("utf-32")),
    bare("two byte order marks", b"\xef\xbb\xbf" * 2 + TEXT),
    bare("Latin-1", '{"land_area_sqft": 5000, "bedrooms": 3, "neighborhood": "café"}'.encode("latin-1")),
    bare("half a character", TEXT[:-1] + b', "neighborhood": "\xe2\x82"}'),
    bare("an overlong character", TEXT[:-1] + b', "neighborhood": "\xc0\xaf"}'),
    bare("an encoded surrogate", TEXT[:-1] + b', "neighborhood": "\xed\xa0\x80"}'),
    house("a lone surrogate", "body", r'"neighborhood": "\ud800"'),
    house("a lone low surrogate", "body", r'"neighborhood": "\udc00 A12"'),
    house("a lone surrogate as a name", "body", r'"\ud800": 1'),
    bare("a raw control character", TEXT[:-1] + b', "neighborhood": "A\x0012"}'),
    bare("compressed, without saying so", gzip.compress(TEXT)),
    # Types of content
    Faulty("no type", "content-type", TEXT, 415, headers={}),
    Faulty("plain text", "content-type", TEXT, 415, headers={"Content-Type": "text/plain"}),
    Faulty("a form's type", "content-type", TEXT, 415, headers={"Content-Type": "application/x-www-form-urlencoded"}),
    Faulty("nearly JSON", "content-type", TEXT, 415, headers={"Content-Type": "application/jsonp"}),
    Faulty("another charset", "content-type", TEXT, 415, headers={"Content-Type": "application/json; charset=latin-1"}),
    Faulty("compressed", "content-encoding", gzip.compress(TEXT), 415, headers=JSON | {"Content-Encoding": "gzip"}),
    # Sizes
    Faulty("too large", "body", b" " * 65_537, 413),
    Faulty("too large in pieces", "body", chunks(b" " * 1000, 100), 413),
    Faulty("too large a batch", "body", b" " * 4_194_305, 413, path="/predict/batch"),
    Faulty("too large a batch in pieces", "body", chunks(b" " * 100_000, 100), 413, path="/predict/batch"),
    # Batches
    batch("a batch of nothing", "houses", {}),
    batch("no houses", "houses", {"houses": []}, "a list of objects"),
    batch("houses that are none", "houses", {"houses": 3}, "a list of objects"),
    batch("houses by number", "houses", {"houses": {"0": MINIMAL}}, "a list of objects"),
    batch("one house too many", "houses", {"houses": [{}] * 10_001}, "fewer"),
    batch("a null house", "houses.1", {"houses": [MINIMAL, None]}, "an object for each house"),
    batch("a list for a house", "houses.0", {"houses": [[5000, 3]]}, "an object for each house"),
    batch("a list of houses", "body", [MINIMAL], 'put it into an object: {"houses"'),
    batch("a single house", "houses", MINIMAL, "/predict"),
    batch("a faulty row", "houses.7.bedrooms", {"houses": [*EIGHT[:7], MINIMAL | {"bedrooms": "3"}, *EIGHT]}, "3"),
    batch("a slip in a row", "houses.7.bedroms", {"houses": [*EIGHT[:7], MINIMAL | {"bedroms": 3}]}, "bedrooms?"),
    batch("a faulty last row", "houses.9999.bedrooms", {"houses": [MINIMAL] * 9999 + [{"land_area_sqft": 5000}]}),
    batch("both forms", "houses", {"houses": [MINIMAL], **columns()}),
    batch("columns that are none", "columns", {"columns": []}, "one list a field"),
    batch("no columns", "columns.land_area_sqft", {"columns": {}}),
    batch("empty columns", "columns.land_area_sqft", columns(land_area_sqft=[], bedrooms=[])),
    batch("a missing column", "columns.bedrooms", {"columns": {"land_area_sqft": [5000]}}, '"bedrooms": [3, 3]'),
    batch("a number for a column", "columns.bedrooms", columns(bedrooms=3), '"bedrooms": [3, 3]'),
    batch("an object for a column", "columns.bedrooms", columns(bedrooms={"0": 3, "1": 2, "2": 3})),
    batch("a short column", "columns.bathrooms", columns(bathrooms=[1.5]), "one value a house"),
    batch("a long column", "columns.bedrooms", columns(bedrooms=[3] * 4), "one value a house"),
    batch("too long a column", "columns.bedrooms", columns(bedrooms=[3] * 10_001)),
    batch("an unknown column", "columns.bedroms", columns(bedroms=[3] * 3), "did you mean bedrooms?"),
    batch("a faulty cell", "columns.bedrooms.2", columns(bedrooms=[3, 2, 2.5])),
    batch("an empty required cell", "columns.bedrooms.1", columns(bedrooms=[3, None, 2])),
    batch("a string in a cell", "columns.living_area_sqft.1", columns(living_area_sqft=[1800, "1,700", None])),
    Faulty("a cell of 6,000 digits", "body", path="/predict/batch",
           body=b'{"columns": {"land_area_sqft": [' + b"9" * 6000 + b'], "bedrooms": [3]}}'),
    # Methods and paths
    *(Faulty(f"{method} for POST", "method", b"", 405, method=method) for method in ("GET", "PUT", "PATCH", "DELETE")),
    Faulty("POST for GET", "method", TEXT, 405, path="/readyz"),
    Faulty("an unknown path", "path", TEXT, 404, path="/predictions"),
    Faulty("a path below", "path", TEXT, 404, path="/predict/1"),
    Faulty("a path in capitals", "path", TEXT, 404, path="/PREDICT"),
    Faulty("a path that climbs", "path", b"", 404, path="/..%2f..%2fetc/passwd", method="GET"),
    Faulty("a path with a null", "path", b"", 404, path="/%00", method="GET"),
]  # fmt: skip


@pytest.mark.parametrize("faulty", FAULTS, ids=str)
def test_a_faulty_request_is_told_which_field_is_wrong_and_what_to_do(client: httpx.Client, faulty: Faulty) -> None:
    answer = client.request(faulty.method, faulty.path, content=faulty.body, headers=faulty.headers)

    assert (answer.status_code, answer.headers["content-type"]) == (faulty.status, "application/json"), answer.text
    problems = Refused.model_validate_json(answer.content, extra="forbid").problems
    assert problems[0].field == faulty.field
    assert faulty.hint in problems[0].hint
    assert all(p.problem and p.hint for p in problems)
    assert client.get("/healthz").status_code == 200


def test_there_are_enough_faults_and_no_two_share_a_name() -> None:
    assert len({f.name for f in FAULTS}) == len(FAULTS) >= 40


@pytest.mark.parametrize(
    "given",
    [
        b'{"land_area_sqft": 200, "bedrooms": 0}',
        b'{"land_area_sqft": 10000000.0, "bedrooms": 20.0}',
        b'{"land_area_sqft": 5e3, "bedrooms": 3e0}',
        b'{"land_area_sqft": 5000, "bedrooms": -0}',
        b'{"land_area_sqft": 5000, "bedrooms": -0.0, "latitude": -0.0}',
        b'{"land_area_sqft": 5000.' + b"3" * 6000 + b', "bedrooms": 3}',
        b'{"land_area_sqft": 5000, "bedrooms": 3, "neighborhood": null}',
        b"\r\n\t " + TEXT + b" \r\n",
        b"\xef\xbb\xbf" + TEXT,
        '{"land_area_sqft": 5000, "bedrooms": 3, "neighborhood": "Ōsaka 🏠"}'.encode(),
        rb'{"land_area_sqft": 5000, "bedrooms": 3, "neighborhood": "\ud83c\udfe0\u0000"}',
    ],
)
def test_what_looks_odd_but_is_right_gets_a_price(client: httpx.Client, given: bytes) -> None:
    answer = client.post("/predict", content=given, headers=JSON)

    assert answer.status_code == 200, answer.text
    assert answer.json()["price_usd"] > 0


@pytest.mark.parametrize("body", [{"houses": [MINIMAL]}, columns()], ids=["houses", "columns"])
def test_a_byte_order_mark_before_a_batch_is_skipped(client: httpx.Client, body: dict[str, Any]) -> None:
    answer = client.post("/predict/batch", content=b"\xef\xbb\xbf" + json.dumps(body).encode(), headers=JSON)

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json; charset=utf-8"},
        {"Content-Type": 'APPLICATION/JSON;charset="UTF-8"'},
        JSON | {"Content-Encoding": "identity"},
    ],
)
def test_every_way_to_say_json_in_utf_8_is_understood(client: httpx.Client, headers: dict[str, str]) -> None:
    answer = client.post("/predict", content=TEXT, headers=headers)

    assert answer.status_code == 200


def test_all_faulty_fields_are_named_at_once(client: httpx.Client) -> None:
    answer = client.post("/predict", json={"bedrooms": 3.5, "waterfront": "yes", "colour": "red"})

    assert {p["field"] for p in answer.json()["problems"]} == {"land_area_sqft", "bedrooms", "waterfront", "colour"}


@pytest.mark.parametrize("name", House.model_fields)
def test_every_field_is_refused_by_name_and_with_an_example(client: httpx.Client, name: str) -> None:
    problem = client.post("/predict", json=MINIMAL | {name: [[]]}).json()["problems"][0]

    assert problem["field"] == name
    assert problem["hint"].startswith(f'send for example "{name}": ')


@pytest.mark.parametrize("name", REQUIRED_FIELDS)
def test_what_a_hint_proposes_mends_the_request(client: httpx.Client, name: str) -> None:
    given = {key: value for key, value in MINIMAL.items() if key != name}
    hint = client.post("/predict", json=given).json()["problems"][0]["hint"]

    proposed = json.loads("{" + hint.removeprefix("add for example ").split(" (")[0] + "}")
    assert client.post("/predict", json=given | proposed).status_code == 200


def test_a_row_s_fault_is_not_answered_with_the_value_at_length(client: httpx.Client) -> None:
    answer = client.post("/predict", json=MINIMAL | {"neighborhood": "secret" * 5000})

    assert len(answer.content) < 1000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict", {f"bedroom_{i}": 0 for i in range(3000)}),
        ("/predict/batch", {"houses": [{f"bedroom_{i}": 0 for i in range(40)}] * 6000}),
        ("/predict/batch", columns(bedrooms=["3"] * 10_000)),
    ],
    ids=["fields", "houses", "cells"],
)
def test_many_faults_cost_no_more_than_the_few_that_are_named(client: httpx.Client, path: str, body: Any) -> None:
    content = json.dumps(body, separators=(",", ":"))
    started = time.perf_counter()

    answer = client.post(path, content=content, headers=JSON)

    assert time.perf_counter() - started < 8
    assert answer.status_code == 422
    assert len(answer.json()["problems"]) == MAX_PROBLEMS


def test_a_refused_body_ends_the_connection_so_that_its_rest_is_not_taken_for_a_request(client: httpx.Client) -> None:
    answers = [
        client.post("/predict", content=b" " * 65_537, headers=JSON),
        client.post("/predict", content=TEXT, headers={"Content-Type": "text/plain"}),
    ]

    assert [a.headers["connection"] for a in answers] == ["close", "close"]


def test_a_wrong_method_is_told_the_right_one(client: httpx.Client) -> None:
    assert client.get("/predict").headers["allow"] == "POST"
