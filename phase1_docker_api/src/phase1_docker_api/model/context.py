"""Context features: what a model needs and no request carries, such as the price level of a city."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from phase1_docker_api.errors import MissingContextError
from phase1_docker_api.model.typical import Record
from phase1_docker_api.schemas import Given


class ContextFeature(BaseModel):
    """One value beside a house's fields; it is given for each house, and never assumed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    role: Literal["input", "offset"] = Field(
        description="input: one more column. offset: the model learns the log price minus it, and it is added back."
    )


def context_values(given: Mapping[str, Given | None], context: Sequence[ContextFeature]) -> Record:
    """Take the context values out of what is given.

    Raises:
        MissingContextError: a value is missing, or is not finite.

    """
    values = {feature.name: given.get(feature.name) for feature in context}
    known = {name: value for name, value in values.items() if _is_known(value)}
    if missing := [feature.name for feature in context if feature.name not in known]:
        raise MissingContextError(missing)
    return {name: value for name, value in known.items() if value is not None}


def _is_known(value: Given | None) -> bool:
    return value is not None and (isinstance(value, str) or isfinite(value))


def offsets(records: Sequence[Record], context: Sequence[ContextFeature]) -> NDArray[np.float64]:
    """Give the sum of each record's offsets, on the log price."""
    total = np.zeros(len(records))
    for feature in context:
        if feature.role == "offset":
            total += np.array([record[feature.name] for record in records], float)
    return total
