"""Search the parameters of an estimator by time-ordered folds: fit on the past, score on the quarter after it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import ParameterGrid, cross_val_score

from phase1_docker_api.errors import TrainingError
from phase1_docker_api.model.fitted import Floats
from phase1_docker_api.training.estimators import ESTIMATORS
from phase1_docker_api.training.sales import records_of

# 300 trees throughout: more of them make each prediction dearer.
GRIDS: dict[str, dict[str, list[Any]]] = {
    "linear": {"log_price__alpha": [0.1, 1.0, 10.0, 100.0]},
    "trees": {
        "log_price__learning_rate": [0.05, 0.08, 0.1],
        "log_price__max_depth": [4, 5, 6],
        "log_price__subsample": [0.5, 0.7],
        "log_price__max_features": [0.3, 0.5],
        "log_price__min_samples_leaf": [1, 5],
    },
}
FOLDS = 4

Fold = tuple[np.ndarray[Any, np.dtype[np.intp]], np.ndarray[Any, np.dtype[np.intp]]]


def count(estimator: str) -> int:
    """How many sets of parameters a search tries."""
    return len(ParameterGrid(GRIDS[estimator]))


@dataclass(frozen=True)
class Trial:
    """One set of parameters, its RMSLE in each fold, and their mean; lower is better."""

    parameters: dict[str, Any]
    fold_rmsle: list[float]

    @property
    def rmsle(self) -> float:
        """Mean over the folds."""
        return float(np.mean(self.fold_rmsle))


def quarterly_folds(days: pd.Series) -> list[Fold]:
    """The newest four quarters: each is scored by what was fitted on all sales before it."""
    quarters = days.dt.to_period("Q")
    newest = sorted(quarters.unique())[-FOLDS:]
    folds = [(np.flatnonzero(quarters < q), np.flatnonzero(quarters == q)) for q in newest]
    if any(len(past) == 0 for past, _ in folds):
        raise TrainingError(f"a search needs sales of more than {FOLDS} quarters: widen the window")
    return folds


def search(sales: pd.DataFrame, estimator: str, seed: int = 0) -> Iterator[Trial]:
    """Try every set of the estimator's grid on `sales`; a trial is given as soon as it is scored."""
    folds = quarterly_folds(sales["sale_date"])
    records, log_prices = records_of(sales), np.log(sales["price"].to_numpy())
    for parameters in ParameterGrid(GRIDS[estimator]):
        pipeline = ESTIMATORS[estimator](seed).set_params(**parameters)
        rmse: Floats = cross_val_score(
            pipeline,
            records,
            log_prices,
            cv=folds,
            scoring="neg_root_mean_squared_error",
            error_score="raise",
        )
        yield Trial(parameters, [float(-score) for score in rmse])
