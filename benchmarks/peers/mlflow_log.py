"""Log the pickled pipeline with MLflow, for `mlflow models serve`; MLflow's own environment runs this once."""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

import json
from pathlib import Path

import joblib
import mlflow
import pandas as pd
import sklearn

mlflow.set_tracking_uri("sqlite:///mlflow.db")
houses = json.loads(Path("houses.json").read_text())
logged = mlflow.sklearn.log_model(
    joblib.load("naive.joblib"),
    name="house-prices",
    input_example=pd.DataFrame(houses[:5]),
    pip_requirements=[f"scikit-learn=={sklearn.__version__}", f"pandas=={pd.__version__}"],
    skops_trusted_types=["sklearn.tree._tree.Tree"],
)
mlflow.artifacts.download_artifacts(logged.model_uri, dst_path="mlflow-model")
