"""Make checked houses of parsed data, or refuse it with each faulty field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from phase1_docker_api.errors import RefusalError, problems_of, refuse
from phase1_docker_api.schemas import REQUIRED_FIELDS, Fields, House, HouseColumns, HouseRecords

MAX_PROBLEMS = 10
MANY = ("houses", "columns")

Model = TypeVar("Model", bound=BaseModel)


def checked_house(raw: Any) -> House:
    """Make one house of a parsed JSON object.

    Raises:
        RefusalError: 422, with each faulty field.

    """
    try:
        return House.model_validate(raw)
    except ValidationError as error:
        if isinstance(raw, dict) and not raw.keys() & set(REQUIRED_FIELDS):
            for name in raw.keys() & set(MANY):
                raise _many_for_one(name) from error
        raise _refused(error) from error


def checked_houses(raw: Any) -> list[Fields]:
    """Give the fields of houses, in order, from a parsed batch: `houses` (objects) or `columns` (lists).

    Raises:
        RefusalError: 422; one faulty value refuses them all, by row and field.

    """
    if isinstance(raw, dict) and "columns" in raw:
        return _from_columns(_validated(HouseColumns, raw))
    if isinstance(raw, dict) and "houses" not in raw and raw.keys() & set(REQUIRED_FIELDS):
        hint = 'put it into a list: {"houses": [{…}]}, or send it to /predict'
        raise refuse(422, "houses", "missing: this is a single house, and many are expected", hint)
    if isinstance(raw, list):
        raise refuse(422, "body", "a list, and an object is expected", 'put it into an object: {"houses": [{…}, {…}]}')
    return [house.__dict__ for house in _validated(HouseRecords, raw).houses]


def checked_each(houses: Sequence[House | Mapping[str, Any]]) -> list[Fields]:
    """Give the fields of houses, of which some may be parsed objects that are not checked yet.

    Raises:
        RefusalError: 422; one faulty value refuses them all, by row and field.

    """
    if all(isinstance(house, House) for house in houses):
        return [house.__dict__ for house in houses]
    return checked_houses({"houses": list(houses)})


def _from_columns(body: HouseColumns) -> list[Fields]:
    columns = {name: column for name, column in body.columns.__dict__.items() if column is not None}
    rows = len(columns["land_area_sqft"])
    for name, column in columns.items():
        if len(column) != rows:
            raise refuse(
                422,
                f"columns.{name}",
                f"{len(column)} values, but land_area_sqft has {rows}",
                "send one value a house",
            )
    return list(map(dict, map(zip, repeat(list(columns)), zip(*columns.values(), strict=True))))


def _validated(model: type[Model], raw: Any) -> Model:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise _refused(error) from error


def _refused(error: ValidationError) -> RefusalError:
    return RefusalError(422, problems_of(error, most=MAX_PROBLEMS))


def _many_for_one(name: str) -> RefusalError:
    return refuse(422, name, "these are many houses, and one is expected", "send them to /predict/batch")
