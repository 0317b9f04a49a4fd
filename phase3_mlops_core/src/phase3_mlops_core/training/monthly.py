"""Train a month: the model that the gate scores, and its refit, which serves once the gate is passed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace

import pandas as pd
from phase1_docker_api.errors import TrainingError
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.training.train import train

from phase3_mlops_core.training.plan import MonthlyPlan
from phase3_mlops_core.training.search import Trial, candidates, try_candidates

Say = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """One plan, fitted twice: `scored` has not seen the newest month, `refit` has learned from it too."""

    month: pd.Period
    plan: MonthlyPlan
    scored: HouseModel
    refit: HouseModel
    trials: list[Trial]


def train_month(
    sales: pd.DataFrame,
    month: pd.Period,
    plan: MonthlyPlan,
    *,
    search: bool,
    data_sha256: str,
    trained_at: dt.datetime,
    say: Say,
) -> Trained:
    """Choose a candidate on the months before `month`, fit it without `month`, and refit it with it.

    `sales` are clean and may go beyond the month: what comes after it is not looked at.

    Raises:
        TrainingError: there are no sales in the month, or too few in the window.

    """
    known = sales[sales["sale_date"] <= month.end_time]
    if not (known["sale_date"] >= month.start_time).any():
        raise TrainingError(f"no sales of {month}: put them into the landing zone with `phase3 land`, then prepare")
    trials = try_candidates(known, month, candidates(plan, search), say)
    best = replace(plan, estimator=trials[0].plan.estimator, parameters=trials[0].plan.parameters)

    def until(last: pd.Period) -> HouseModel:
        say(f"fitting {best.estimator} on {best.span} to {last} …")
        seen = known[known["sale_date"] <= last.end_time]
        return train(seen, best.ending(last), trained_at=trained_at, data_sha256=data_sha256)

    return Trained(month, best, until(month - 1), until(month), trials)
