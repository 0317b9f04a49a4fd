"""Exercise 1: a number of bathrooms that is no multiple of a quarter is refused, in every form of a request."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from phase1_docker_api.errors import RefusalError
from phase1_docker_api.service.requests import parse_house, parse_houses


def one_house(house: dict[str, Any]) -> None:
    parse_house(json.dumps(house).encode())


def batch_of_houses(house: dict[str, Any]) -> None:
    parse_houses(json.dumps({"houses": [house]}).encode())


def batch_of_columns(house: dict[str, Any]) -> None:
    parse_houses(json.dumps({"columns": {name: [value] for name, value in house.items()}}).encode())


FORMS = pytest.mark.parametrize("parse", [one_house, batch_of_houses, batch_of_columns])


def refused_fields(parse: Callable[[dict[str, Any]], None], bathrooms: float) -> list[str]:
    try:
        parse({"land_area_sqft": 5000, "bedrooms": 3, "bathrooms": bathrooms})
    except RefusalError as error:
        return [problem.field for problem in error.problems]
    return []


@FORMS
@pytest.mark.parametrize("bathrooms", [1.33, 2.1])
def test_other_numbers_are_refused(parse: Callable[[dict[str, Any]], None], bathrooms: float) -> None:
    refused = refused_fields(parse, bathrooms)

    assert any("bathrooms" in field for field in refused), f"{parse.__name__} still takes {bathrooms} bathrooms"


@FORMS
@pytest.mark.parametrize("bathrooms", [0.75, 2.25, 3])
def test_quarters_are_taken(parse: Callable[[dict[str, Any]], None], bathrooms: float) -> None:
    assert not refused_fields(parse, bathrooms), f"{parse.__name__} refuses {bathrooms} bathrooms, which are quarters"
