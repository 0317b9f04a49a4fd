"""Say what a month's training learns from, so that the same month can be trained again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from phase1_docker_api.training.train import TrainingPlan


@dataclass(frozen=True)
class MonthlyPlan:
    """A plan without a date: an estimator, its parameters, and how many months it learns from (0: all there are)."""

    estimator: str = "trees"
    window_months: int = 6
    seed: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def span(self) -> str:
        """The window in words."""
        return f"{self.window_months} months up" if self.window_months else "all months up"

    def ending(self, month: pd.Period) -> TrainingPlan:
        """Make the plan whose window ends with the last day of `month`."""
        since = (month - self.window_months + 1).start_time.date() if self.window_months else None
        until = month.end_time.date()
        return TrainingPlan(self.estimator, since, until, seed=self.seed, parameters=self.parameters)

    def window(self, sales: pd.DataFrame, month: pd.Period) -> pd.DataFrame:
        """The rows of `sales` that the plan learns from when it ends with `month`."""
        since = (month - self.window_months + 1).start_time if self.window_months else sales["sale_date"].min()
        return sales[sales["sale_date"].between(since, month.end_time)]
