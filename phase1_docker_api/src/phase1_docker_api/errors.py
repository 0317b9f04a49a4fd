"""What can go wrong in phase 1, each with a message that says what to do next."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from phase1_docker_api.schemas import UNITS, House, Problem

if TYPE_CHECKING:
    import pandas as pd


class CourseError(Exception):
    """The root of all errors of all phases; a command prints its message and ends with a non-zero code."""


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
        hint=_hint(error, name),
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


def _hint(error: dict[str, Any], name: str) -> str:
    if error["type"] == "extra_forbidden":
        near = get_close_matches(name, House.model_fields, n=1)
        if near == [name]:
            return 'put houses into a list: {"houses": [{…}, {…}]}, or send one to /predict'
        return f"did you mean {near[0]}?" if near else f"leave it out; known fields: {', '.join(House.model_fields)}"
    field = House.model_fields.get(name)
    if field is None or not field.examples:
        return "compare the body with the examples at /docs"
    verb = "add" if error["type"] == "missing" else "send"
    in_unit = f" ({UNITS[name]})" if name in UNITS else ""
    is_small_area = error["type"] == "greater_than_equal" and UNITS.get(name) == "sqft"
    metric = "; is it in m²? one m² is 10.76 sqft" if is_small_area else ""
    return f'{verb} for example "{name}": {json.dumps(field.examples[0])}{in_unit}{metric}'
