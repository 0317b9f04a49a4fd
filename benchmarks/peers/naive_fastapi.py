"""What the well-known tutorials end with: a pickled pipeline, a data frame of one row, a plain route."""

from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load("naive.joblib")


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


@app.post("/predict")
def predict(house: House) -> dict[str, float]:
    """Predict the price."""
    frame = pd.DataFrame([house.model_dump()])
    return {"price": float(np.exp(model.predict(frame)[0]))}


@app.post("/predict/batch")
def predict_batch(houses: list[House]) -> dict[str, list[float]]:
    """Predict many prices."""
    frame = pd.DataFrame([house.model_dump() for house in houses])
    return {"prices": np.exp(model.predict(frame)).tolist()}
