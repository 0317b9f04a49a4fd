"""Try candidates in the order of time: fit on the window before a month, score on that month."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from phase1_docker_api.errors import TrainingError
from phase1_docker_api.training.sales import records_of
from sklearn.model_selection import ParameterGrid

from phase3_mlops_core.training.plan import MonthlyPlan

Floats = NDArray[np.float64]
# Months that candidates are compared on; the newest month is not among them, because the gate needs it unseen.
FOLDS = 3
# What --search tries beside the course's own parameters; all of them predict as quickly.
GRIDS = {
    "linear": {"log_price__alpha": [0.1, 10.0]},
    "trees": {"log_price__learning_rate": [0.05, 0.1], "log_price__max_depth": [4, 6]},
}


@dataclass(frozen=True)
class Trial:
    """One candidate, and its signed errors of the log price in each month that it was tried on."""

    plan: MonthlyPlan
    log_errors: dict[str, Floats]

    @property
    def name(self) -> str:
        """Such as `trees max_depth=4`."""
        return " ".join([self.plan.estimator, *(f"{_short(k)}={v}" for k, v in self.plan.parameters.items())])

    @property
    def mean_abs_log_error(self) -> float:
        """Over all sales of all months; the least wins."""
        return float(np.mean(np.abs(np.concatenate(list(self.log_errors.values())))))

    @property
    def off_by_pct(self) -> dict[str, float]:
        """Median absolute error of the price in per cent, a month."""
        return {month: float(np.median(np.abs(np.expm1(e))) * 100) for month, e in self.log_errors.items()}


def candidates(plan: MonthlyPlan, search: bool) -> list[MonthlyPlan]:
    """Both families with the course's parameters, the plan's own first; with `search` a small grid of each."""
    families = sorted(GRIDS, key=lambda estimator: estimator != plan.estimator)
    plain = [replace(plan, estimator=e, parameters=plan.parameters if e == plan.estimator else {}) for e in families]
    more = [replace(p, parameters=dict(point)) for p in plain for point in ParameterGrid(GRIDS[p.estimator])]
    return plain + (more if search else [])


def try_candidates(
    sales: pd.DataFrame, month: pd.Period, plans: Sequence[MonthlyPlan], say: Callable[[str], None]
) -> list[Trial]:
    """Score each on the months before `month`; best first.

    Raises:
        TrainingError: there are not enough months before it.

    """
    trials = []
    for number, plan in enumerate(plans, 1):
        errors = {
            str(tried): _errors(sales, plan, tried) for tried in pd.period_range(month - FOLDS, month - 1, freq="M")
        }
        trials.append(Trial(plan, errors))
        say(f"tried {number} of {len(plans)}: {trials[-1].name}, off by {_mean(trials[-1].off_by_pct):.1f} %")
    return sorted(trials, key=lambda trial: trial.mean_abs_log_error)


def _errors(sales: pd.DataFrame, plan: MonthlyPlan, month: pd.Period) -> Floats:
    past = plan.window(sales, month - 1)
    tried = sales[sales["sale_date"].between(month.start_time, month.end_time)]
    if past.empty or tried.empty:
        raise TrainingError(
            f"no sales to try candidates on in or before {month}: land more months, or an earlier AS_OF"
        )
    pipeline = plan.ending(month).make_pipeline()
    pipeline.fit(records_of(past), np.log(past["price"].to_numpy()))
    predicted = pipeline.predict(records_of(tried))
    return np.asarray(predicted - np.log(tried["price"].to_numpy()))


def _short(parameter: str) -> str:
    return parameter.removeprefix("log_price__")


def _mean(values: dict[str, float]) -> float:
    return float(np.mean(list(values.values())))
