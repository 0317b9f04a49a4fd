"""The same as a BentoML service, as its quick start writes one."""

# mypy: disable-error-code="import-not-found, untyped-decorator"
from __future__ import annotations

import bentoml
import joblib
import numpy as np
import pandas as pd
from pydantic import BaseModel


class House(BaseModel):
    """The fields of the training data."""

    land_area_sqft: float
    bedrooms: int
    living_area_sqft: float
    bathrooms: float
    build_grade: int
    year_built: int
    effective_year_built: int
    waterfront: bool
    latitude: float
    longitude: float
    neighborhood: str
    property_type: str


@bentoml.service
class HousePrices:
    """Prices of houses."""

    def __init__(self) -> None:
        self.model = joblib.load("naive.joblib")

    @bentoml.api
    def predict(self, house: House) -> float:
        """Predict the price."""
        frame = pd.DataFrame([house.model_dump()])
        return float(np.exp(self.model.predict(frame)[0]))

    @bentoml.api
    def predict_batch(self, houses: list[House]) -> list[float]:
        """Predict many prices."""
        frame = pd.DataFrame([house.model_dump() for house in houses])
        prices: list[float] = np.exp(self.model.predict(frame)).tolist()
        return prices
