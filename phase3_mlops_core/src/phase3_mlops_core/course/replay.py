"""Live 2012 to 2016 again by several policies of retraining, offline, to see which one a service should follow."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from phase1_docker_api.model.house_model import Floats, HouseModel
from phase1_docker_api.training.train import train

from phase3_mlops_core.gate.compare import Scored, compare, score
from phase3_mlops_core.training.plan import MonthlyPlan

FIRST, LAST = "2012-01", "2016-12"
TRIGGER_ERROR, TRIGGER_STANDARD_ERRORS = 0.05, 3.0
WHEN = dt.datetime(2017, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Policy:
    """When a service retrains (never, monthly, trigger or gate), and on how many months (0: all)."""

    when: str
    window_months: int = 0
    serve_refit: bool = True  # the gate alone: serve the refit on all rows, or the model that was scored

    @property
    def name(self) -> str:
        """Such as `trigger-6`; `all` is an expanding window."""
        if self.when == "never":
            return "never"
        scored = "" if self.serve_refit else "-as-scored"
        return f"{self.when}-{self.window_months or 'all'}{scored}"


@dataclass(frozen=True)
class Month:
    """What the serving model did in a month, and what the policy decided after it."""

    month: str
    log_errors: Floats
    half_widths: Floats
    fits: int
    gain_pct: float | None = None
    gain_low_pct: float | None = None
    promoted: bool = False


class Trainer:
    """Fits each plan once; a month's refit is the next month's scored challenger."""

    def __init__(self, sales: pd.DataFrame, window_months: int) -> None:
        self.plan = MonthlyPlan(window_months=window_months)
        self.sales = sales
        self.until = lru_cache(maxsize=3)(self._until)

    def _until(self, month: pd.Period) -> HouseModel:
        known = self.sales[self.sales["sale_date"] <= month.end_time]
        return train(known, self.plan.ending(month), trained_at=WHEN, data_sha256="")


def live(sales: pd.DataFrame, policy: Policy, first: str = FIRST, last: str = LAST) -> Iterator[Month]:
    """Serve month by month; labels of a month are known at its end, and a new model serves from the next one on."""
    trainer = Trainer(sales, policy.window_months)
    serving, fits = trainer.until(pd.Period(first, "M") - 1), 1
    fitted_in = pd.Period(first, "M") - 1
    for month in pd.period_range(first, last, freq="M"):
        newest = sales[sales["sale_date"].dt.to_period("M") == month]
        was = score(serving, newest)
        retrain, low, gain = False, None, None
        if policy.when == "monthly":
            retrain = True
        elif policy.when == "trigger":
            retrain = month > fitted_in and fires(was)
        elif policy.when == "gate" and month - 1 > fitted_in:
            scored = trainer.until(month - 1)
            found = compare(was.log_errors, score(scored, newest).log_errors, seed=0)
            gain, low = found.gain_pct, found.low_pct
            retrain = low > 0
        yield Month(str(month), was.log_errors, was.half_widths, fits, gain, low, retrain)
        if retrain and month != pd.Period(last, "M"):
            fitted_in = month if policy.serve_refit else month - 1
            serving, fits = trainer.until(fitted_in), fits + 1


def fires(was: Scored) -> bool:
    """The residual trigger: the month's median signed error is beyond 5 % and beyond three standard errors."""
    median = float(np.median(was.log_errors))
    # The standard error of a median of normal errors is 1.2533 times that of their mean.
    standard_error = 1.2533 * float(np.std(was.log_errors)) / len(was.log_errors) ** 0.5
    return abs(median) > TRIGGER_ERROR and abs(median) > TRIGGER_STANDARD_ERRORS * standard_error
