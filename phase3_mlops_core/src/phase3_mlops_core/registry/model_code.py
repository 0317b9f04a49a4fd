"""What MLflow runs as the model: our artifact folder behind `predict`, nothing pickled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from phase1_docker_api.errors import problems_of
from phase1_docker_api.model.artifact import load_model
from phase1_docker_api.schemas import House
from pydantic import ValidationError


class HousePrice(mlflow.pyfunc.PythonModel):  # type: ignore[misc,name-defined]
    """The served model of one version; a missing or empty field is one that the caller does not know."""

    def load_context(self, context: Any) -> None:
        """Read the artifact folder; its digests are checked first."""
        self.model = load_model(Path(context.artifacts["model"]))

    # A frame is a hint that MLflow makes no schema of its own from: ours is the signature that was logged.
    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Price each row in USD, with its interval."""
        known = model_input.astype(object).where(model_input.notna(), None)  # type: ignore[call-overload]
        estimates = self.model.estimate([_house(row, fields) for row, fields in enumerate(known.to_dict("records"))])
        return pd.DataFrame(
            [(e.price_usd, e.interval_usd.low, e.interval_usd.high) for e in estimates],
            columns=["price_usd", "low_usd", "high_usd"],
            index=model_input.index,
        )


def _house(row: int, fields: dict[str, Any]) -> House:
    try:
        return House(**fields)
    except ValidationError as error:
        problems = "; ".join(f"{p.field}: {p.problem} ({p.hint})" for p in problems_of(error, (row,)))
        raise MlflowException.invalid_parameter_value(problems) from None


set_model(HousePrice())
