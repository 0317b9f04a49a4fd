"""Room: code. Names, units and limits are stated once, and the same everywhere they show."""

from __future__ import annotations

from typing import Any

import pytest
from phase1_docker_api.schemas import CATEGORIES, UNITS, Estimate, House, HouseColumns, HouseRecords, Interval, Sale
from pydantic import BaseModel, ValidationError

HOUSE = House.model_json_schema()["properties"]
COLUMNS = HouseColumns.model_json_schema()["$defs"]["Columns"]["properties"]
MINIMAL = {"land_area_sqft": 5000, "bedrooms": 3}


def rules(schema: dict[str, Any]) -> dict[str, Any]:
    """The type, limits and unit of a value; whether it may be left out does not count."""
    given: dict[str, Any] = next((s for s in schema.get("anyOf", []) if s["type"] != "null"), schema)
    return {
        key: value
        for key, value in given.items()
        if key in ("type", "minimum", "maximum", "minLength", "maxLength", "unit")
    }


def cells(schema: dict[str, Any]) -> dict[str, Any]:
    column: dict[str, Any] = next((s for s in schema.get("anyOf", []) if s["type"] != "null"), schema)
    return rules(column["items"])


def test_columns_have_the_fields_of_a_house_with_the_same_rules() -> None:
    assert {name: cells(schema) for name, schema in COLUMNS.items()} == {n: rules(s) for n, s in HOUSE.items()}


@pytest.mark.parametrize("name", HOUSE)
def test_a_field_of_a_house_is_described_and_has_an_example_that_is_right(name: str) -> None:
    field = House.model_fields[name]

    assert field.description
    assert field.description.endswith(".")
    assert field.examples
    House(**MINIMAL | {name: field.examples[0]})


@pytest.mark.parametrize("name", [*HOUSE, "price"])
def test_a_number_has_a_unit_and_both_limits(name: str) -> None:
    schema = rules(Sale.model_json_schema()["properties"][name])

    if schema["type"] in ("number", "integer"):
        assert schema["unit"] == UNITS[name]
        assert schema["minimum"] < schema["maximum"]
    else:
        assert name not in UNITS
        assert schema["type"] == "boolean" or name in CATEGORIES


@pytest.mark.parametrize("name", [name for name, unit in UNITS.items() if unit == "sqft"])
def test_a_name_ends_in_its_unit(name: str) -> None:
    assert name.endswith("_sqft")


@pytest.mark.parametrize("name", [n for n, s in HOUSE.items() if "minimum" in rules(s)])
def test_limits_belong_to_what_they_limit_and_a_step_further_is_refused(name: str) -> None:
    schema = rules(HOUSE[name])
    step = 1 if schema["type"] == "integer" else 0.001

    for limit, beyond in ((schema["minimum"], -step), (schema["maximum"], step)):
        House(**MINIMAL | {name: limit})
        with pytest.raises(ValidationError, match=name):
            House(**MINIMAL | {name: limit + beyond})


def test_a_whole_number_may_be_written_with_a_point() -> None:
    house = House.model_validate(MINIMAL | {"bedrooms": 3.0, "year_built": 1948.0, "build_grade": 7.0})

    assert [house.bedrooms, house.year_built, house.build_grade] == [3, 1948, 7]
    assert all(type(n) is int for n in (house.bedrooms, house.year_built, house.build_grade))


@pytest.mark.parametrize("size", ["50000", "120.0"])
def test_a_living_area_in_square_metres_is_refused(size: str) -> None:
    """120 m² is a house of 1,300 sqft; as square feet it would be a cupboard."""
    with pytest.raises(ValidationError):
        House.model_validate(MINIMAL | {"living_area_sqft": 120.0 if size == "120.0" else size})


@pytest.mark.parametrize("model", [House, HouseRecords, HouseColumns, Sale])
def test_what_was_read_does_not_change(model: type[BaseModel]) -> None:
    assert model.model_config["frozen"] is True


def test_prices_are_in_dollars() -> None:
    places = [(Estimate, "price_usd"), (Interval, "low"), (Interval, "high")]

    assert {model.model_json_schema()["properties"][name]["unit"] for model, name in places} == {"USD"}
