"""The same in Flask: nothing checks the body but the data frame."""

# mypy: disable-error-code="import-not-found, untyped-decorator"
from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
from flask import Flask, request

app = Flask(__name__)
model = joblib.load("naive.joblib")


@app.post("/predict")
def predict() -> dict[str, float]:
    """Predict the price."""
    frame = pd.DataFrame([request.get_json()])
    return {"price": float(np.exp(model.predict(frame)[0]))}


@app.post("/predict/batch")
def predict_batch() -> dict[str, list[float]]:
    """Predict many prices."""
    frame = pd.DataFrame(request.get_json())
    return {"prices": np.exp(model.predict(frame)).tolist()}
