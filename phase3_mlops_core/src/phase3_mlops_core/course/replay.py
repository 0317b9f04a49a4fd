"""Live 2012 to 2016 again by several policies of retraining, offline, to see which one a service should follow."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from phase1_docker_api.model.artifact import write_artifact
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.training.train import train

from phase3_mlops_core.gate.compare import Floats, Scored, score
from phase3_mlops_core.gate.judge import Candidate, Judgement, judge
from phase3_mlops_core.gate.thresholds import read_thresholds
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
    retrained: bool = False
    judgement: Judgement | None = None


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
    fitted_in, fits = pd.Period(first, "M") - 1, 1
    serving = trainer.until(fitted_in)
    for month in pd.period_range(first, last, freq="M"):
        newest = sales[sales["sale_date"].between(month.start_time, month.end_time)]
        was = score(serving, newest)
        found = _judged(trainer, serving, newest, month) if policy.when == "gate" and month - 1 > fitted_in else None
        retrained = _retrains(policy, was, found, month > fitted_in)
        yield Month(str(month), was.log_errors, was.half_widths, fits, retrained, found)
        if retrained:
            fitted_in, fits = month if policy.serve_refit else month - 1, fits + 1
            serving = trainer.until(fitted_in)


def _retrains(policy: Policy, was: Scored, found: Judgement | None, is_later: bool) -> bool:
    if policy.when == "trigger":
        return is_later and fires(was)
    return policy.when == "monthly" or (found is not None and found.passed)


def _judged(trainer: Trainer, serving: HouseModel, newest: pd.DataFrame, month: pd.Period) -> Judgement:
    """Ask the gate what `phase3 evaluate` asks it."""
    with tempfile.TemporaryDirectory(prefix="phase3-replay-") as place:
        folder = Path(place) / "model"
        write_artifact(trainer.until(month), folder)
        candidate = Candidate(trainer.until(month - 1), trainer.until(month), folder)
        return judge(candidate, serving, newest, month, read_thresholds())


def fires(was: Scored) -> bool:
    """The residual trigger: the month's median signed error is beyond 5 % and beyond three standard errors."""
    median = float(np.median(was.log_errors))
    # The standard error of a median of normal errors is 1.2533 times that of their mean.
    standard_error = 1.2533 * float(np.std(was.log_errors)) / len(was.log_errors) ** 0.5
    return abs(median) > TRIGGER_ERROR and abs(median) > TRIGGER_STANDARD_ERRORS * standard_error
