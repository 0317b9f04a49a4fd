"""Make checked houses of the bodies of KServe's protocols, or refuse them with 400 and each faulty field."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from phase1_docker_api.errors import RefusalError, refuse
from phase1_docker_api.schemas import MAX_BATCH_ROWS, Fields, House
from phase1_docker_api.service.checking import checked_each, checked_houses

V1_HINT = 'send {"instances": [{"land_area_sqft": 5000, "bedrooms": 3}]}'
V2_HINT = 'send one input a field: {"inputs": [{"name": "bedrooms", "shape": [1], "datatype": "FP64", "data": [3]}, …]}'


def houses_of_v1(body: Any) -> list[Fields]:
    """Give the fields of the houses in `{"instances": [{…}, …]}`.

    Raises:
        RefusalError: 400, with each faulty field, such as `instances.1.bedrooms`.

    """
    instances = _list_in(body, "instances", V1_HINT)
    with _as_400("houses", "instances"):
        return checked_each(instances)


def houses_of_v2(body: Any) -> list[Fields]:
    """Give the fields of the houses in `{"inputs": [{"name", "shape", "datatype", "data"}, …]}`, one input a field.

    Raises:
        RefusalError: 400, with each faulty field, such as `inputs.bedrooms.1`.

    """
    columns: dict[str, list[Any]] = {}
    for number, each in enumerate(_list_in(body, "inputs", V2_HINT)):
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            raise refuse(400, f"inputs.{number}", "an input has a name, a shape, a datatype and data", V2_HINT)
        name, data = each["name"], each.get("data")
        if name in columns:
            raise refuse(400, f"inputs.{name}", "it comes twice", "send each field once")
        if not isinstance(data, list):
            raise refuse(400, f"inputs.{name}.data", "a list is expected; binary tensors are not read", V2_HINT)
        columns[name] = [row[0] if isinstance(row, list) and len(row) == 1 else row for row in data]
        _check_shape(name, each.get("shape"), len(data))
    with _as_400("columns", "inputs"):
        return checked_houses({"columns": columns})


def input_types() -> list[dict[str, Any]]:
    """Describe the inputs of the second protocol, one a field; a shape of -1 is any number of houses."""
    kinds = {bool: "BOOL", int: "FP64", float: "FP64", str: "BYTES"}
    examples = ((name, field.examples[0]) for name, field in House.model_fields.items() if field.examples)
    return [{"name": name, "datatype": kinds[type(value)], "shape": [-1]} for name, value in examples]


def _list_in(body: Any, name: str, hint: str) -> list[Any]:
    if not isinstance(body, dict):
        raise refuse(400, "body", "an object is expected", hint)
    found = body.get(name)
    if not isinstance(found, list) or not found:
        problem = "missing" if found is None else "a list with at least one item is expected"
        raise refuse(400, name, problem, hint)
    if len(found) > MAX_BATCH_ROWS:
        raise refuse(400, name, f"{len(found)} items, at most {MAX_BATCH_ROWS}", "send fewer at a time")
    return found


def _check_shape(name: str, shape: Any, rows: int) -> None:
    if shape not in ([rows], [rows, 1]):
        raise refuse(400, f"inputs.{name}.shape", f"{shape} does not fit {rows} values", f"send [{rows}]")


@contextmanager
def _as_400(ours: str, theirs: str) -> Iterator[None]:
    """Refuse as these protocols do, and name fields as the caller does."""
    try:
        yield
    except RefusalError as error:
        if error.status != 422:
            raise
        renamed = [p.model_copy(update={"field": _renamed(p.field, ours, theirs)}) for p in error.problems]
        raise RefusalError(400, renamed, error.headers) from error


def _renamed(field: str, ours: str, theirs: str) -> str:
    first, dot, rest = field.partition(".")
    return f"{theirs}{dot}{rest}" if first == ours else field
