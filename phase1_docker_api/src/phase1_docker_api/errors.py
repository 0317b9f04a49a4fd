"""What can go wrong in phase 1, each with a message that says what to do next."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ValidationError

from phase1_docker_api.schemas import UNITS, House, Problem

if TYPE_CHECKING:
    import pandas as pd


class CourseError(Exception):
    """The root of all errors of all phases; a command prints its message and ends with the error's code."""

    exit_code: ClassVar[int] = 1


class SettingsError(CourseError):
    """A setting has a value that the program cannot run with."""


class SalesFileError(CourseError):
    """The sales file cannot be read, or lacks a column that every row needs."""


class NoCleanSalesError(SalesFileError):
    """No row of a sales file is clean; `refused` holds them all, each with its reason."""

    def __init__(self, message: str, refused: pd.DataFrame) -> None:
        super().__init__(message)
        self.refused = refused


class TrainingError(CourseError):
    """There is not enough to learn from, or the request for a training makes no sense."""


class ArtifactError(CourseError):
    """A saved model is missing, half-written, changed after it was saved, or of another kind."""


class MissingContextError(CourseError):
    """A model was asked for a price without the context values that its card lists."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)
        super().__init__(f"the model needs a value for {', '.join(self.names)}, which no request carries")


class ServiceError(CourseError):
    """A service did not start, did not answer, or refused what it was sent."""


class RefusalError(CourseError):
    """A request that gets no estimate, with the HTTP status and the problems to be told."""

    def __init__(self, status: int, problems: list[Problem], headers: Mapping[str, str] | None = None) -> None:
        super().__init__("\n".join(f"{p.field}: {p.problem} ({p.hint})" for p in problems))
        self.status, self.problems, self.headers = status, problems, dict(headers or {})


def refuse(status: int, field: str, problem: str, hint: str, headers: Mapping[str, str] | None = None) -> RefusalError:
    """Make a refusal with a single problem."""
    return RefusalError(status, [Problem(field=field, problem=problem, hint=hint)], headers)


def stopping() -> RefusalError:
    """Make the refusal of a service that was told to stop."""
    return refuse(503, "service", "it is stopping", "ask another replica", {"Retry-After": "1"})


def problems_of(error: ValidationError, prefix: Iterable[str | int] = (), most: int | None = None) -> list[Problem]:
    """Turn pydantic's errors into problems with a hint; `prefix` says where in the body the value stood.

    A hint takes time and a large batch can have 400,000 errors: `most` stops after so many.
    """
    errors = error.errors(include_url=False, include_context=True)[:most]
    return [_problem(dict(e), (*prefix, *e["loc"])) for e in errors]


def _problem(error: dict[str, Any], place: tuple[str | int, ...]) -> Problem:
    name = next((str(part) for part in reversed(place) if isinstance(part, str)), "body")
    return Problem(
        field=".".join(map(str, place)) or "body",
        problem=f"{error['msg']}{_received(error)}",
        hint=_hint(error, place, name),
    )


def _received(error: dict[str, Any]) -> str:
    if error["type"] in ("missing", "extra_forbidden"):
        return ""
    return f", got {_short(error['input'])}"


def _short(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print a whole number of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= 40 else f"{text[:37]}..."


def _hint(error: dict[str, Any], place: tuple[str | int, ...], name: str) -> str:
    if error["type"] == "extra_forbidden":
        near = get_close_matches(name, House.model_fields, n=1)
        return f"did you mean {near[0]}?" if near else f"leave it out; known fields: {', '.join(House.model_fields)}"
    field = House.model_fields.get(name)
    if field is None or not field.examples:
        return _form_hint(error, place)
    verb = "add" if error["type"] == "missing" else "send"
    example: Any = field.examples[0]
    if place[0] == "columns" and len(place) == 2:  # a whole column, and not one of its cells
        return f'{verb} a list with one value a house, for example "{name}": {json.dumps([example] * 2)}'
    in_unit = f" ({UNITS[name]})" if name in UNITS else ""
    is_small_area = error["type"] == "greater_than_equal" and UNITS.get(name) == "sqft"
    metric = "; is it in m²? one m² is 10.76 sqft" if is_small_area else ""
    unknown = "" if field.is_required() or not _is_no_number(error) else "; send null where it is not known"
    return f'{verb} for example "{name}": {json.dumps(example)}{in_unit}{metric}{unknown}'


def _is_no_number(error: Mapping[str, Any]) -> bool:
    value = error["input"]
    return isinstance(value, float) and not math.isfinite(value)


def _form_hint(error: Mapping[str, Any], place: tuple[str | int, ...]) -> str:
    """Say what form is wanted where no single field is at fault, by what was sent."""
    if error["type"] == "too_long":
        return "send fewer at a time"
    if place == ("columns",):
        return 'send one list a field: {"columns": {"land_area_sqft": [5000, 4000], "bedrooms": [3, 2]}}'
    if place == ("houses",):
        return 'send a list of objects: {"houses": [{"land_area_sqft": 5000, "bedrooms": 3}]}'
    if place[:1] == ("houses",):
        return 'send an object for each house, such as {"land_area_sqft": 5000, "bedrooms": 3}'
    if not place and isinstance(error["input"], list):
        return 'send one object and no list; a list of houses goes to /predict/batch as {"houses": [{…}, {…}]}'
    if not place:
        return 'send an object, such as {"land_area_sqft": 5000, "bedrooms": 3}'
    return "compare the body with the examples at /docs"
