"""Show what a random split promises and what the next year brings: the reason every split here is by date."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold, cross_val_predict

from phase1_docker_api.errors import TrainingError
from phase1_docker_api.model.fitted import Floats
from phase1_docker_api.training.estimators import ESTIMATORS
from phase1_docker_api.training.evaluate import absolute_errors_pct
from phase1_docker_api.training.sales import records_of

WINDOW_YEARS = 2
FOLDS = 5


@dataclass(frozen=True)
class Splits:
    """One window of training, and the median absolute error in % by random folds, and in the year after it."""

    window: str
    next_year: int
    random_off_pct: float
    later_off_pct: float


def compare_splits(sales: pd.DataFrame, estimator: str, seed: int = 0) -> Iterator[Splits]:
    """For each two years with a year after them: ask random folds how good a model is, then see how good it was.

    A random fold is priced by a model that has seen other sales of the same weeks. A service never has.

    Raises:
        TrainingError: the sales span less than three years.

    """
    years = sales["sale_date"].dt.year
    firsts = range(int(years.min()), int(years.max()) - WINDOW_YEARS + 1)
    if not firsts:
        raise TrainingError(f"this needs sales of {WINDOW_YEARS + 1} years or more")
    for first in firsts:
        next_year = first + WINDOW_YEARS
        window, later = sales[(years >= first) & (years < next_year)], sales[years == next_year]
        if min(len(window), len(later)) >= FOLDS:
            yield _compare(window, later, f"{first}-{next_year - 1}", next_year, estimator, seed)


def _compare(window: pd.DataFrame, later: pd.DataFrame, name: str, next_year: int, estimator: str, seed: int) -> Splits:
    records, log_prices = records_of(window), np.log(window["price"].to_numpy(dtype=float))
    folds = KFold(FOLDS, shuffle=True, random_state=seed)
    at_random = cross_val_predict(ESTIMATORS[estimator](seed), records, log_prices, cv=folds)
    fitted = ESTIMATORS[estimator](seed).fit(records, log_prices)
    in_time = fitted.predict(records_of(later))
    return Splits(name, next_year, _off_pct(window, at_random), _off_pct(later, in_time))


def _off_pct(sales: pd.DataFrame, log_prices: Floats) -> float:
    return round(float(np.median(absolute_errors_pct(sales["price"].to_numpy(), np.exp(log_prices)))), 1)
