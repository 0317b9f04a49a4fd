"""Predict what the fitted pipeline predicts, to the last bit, without checking again what was checked at the door."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.ensemble._gradient_boosting import predict_stages
from sklearn.pipeline import Pipeline

from phase1_docker_api.typical import Record

Predict = Callable[[Sequence[Record]], NDArray[np.float64]]


def direct_predict(pipeline: Pipeline) -> Predict:
    """Give the quickest way to the pipeline's log prices of complete records.

    For 8 records scikit-learn takes 0.4 ms, of which walking the trees is 0.1 ms; the rest checks types and
    shapes again in every step. The walk here is its own function, so the numbers are the same.
    """
    if len(pipeline) != 2 or not isinstance(pipeline[-1], GradientBoostingRegressor):
        return lambda records: np.asarray(pipeline.predict(records))
    columns, boosting = pipeline[0].vocabulary_, pipeline[-1]
    start = float(boosting.init_.constant_[0, 0])

    def predict(records: Sequence[Record]) -> NDArray[np.float64]:
        table = np.zeros((len(records), len(columns)), np.float32)
        for row, record in zip(table, records, strict=True):
            for name, value in record.items():
                is_category = isinstance(value, str)
                column = columns.get(f"{name}={value}" if is_category else name)
                if column is not None:  # a category that was not in training has no column
                    row[column] = 1 if is_category else value
        log_prices = np.full((len(records), 1), start)
        predict_stages(boosting.estimators_, table, boosting.learning_rate, log_prices)
        return log_prices.ravel()

    return predict
