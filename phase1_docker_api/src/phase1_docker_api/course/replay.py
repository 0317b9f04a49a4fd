"""Live through the years after training again: serve a frozen model beside one retrained each January."""

from __future__ import annotations

import contextlib
import datetime as dt
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import httpx
import numpy as np
import pandas as pd

from phase1_docker_api.errors import ServiceError, TrainingError
from phase1_docker_api.model.artifact import save_model
from phase1_docker_api.schemas import PART_ROWS
from phase1_docker_api.service.launch import running_service
from phase1_docker_api.training.evaluate import absolute_errors_pct
from phase1_docker_api.training.sales import records_of
from phase1_docker_api.training.train import TrainingPlan, train


@dataclass(frozen=True)
class Served:
    """How one service did in one month: for each sale, the absolute error in %, and whether the interval held."""

    model_version: str
    abs_errors_pct: tuple[float, ...]
    held: tuple[bool, ...]

    @property
    def median_abs_error_pct(self) -> float:
        """Median over the month's sales."""
        return round(median(self.abs_errors_pct), 2)

    @property
    def coverage(self) -> float:
        """Share of the month's sales inside their interval."""
        return round(fmean(self.held), 4)


@dataclass(frozen=True)
class Month:
    """One month of the replay, `2012-01`, with both services on the same sales."""

    month: str
    sales: int
    frozen: Served
    retrained: Served


def replay(
    sales: pd.DataFrame,
    *,
    first_year: int,
    window_months: int,
    estimator: str,
    trained_at: dt.datetime,
    data_sha256: str,
) -> Iterator[TrainingPlan | Month]:
    """Go through the sales month by month over HTTP.

    The frozen model learns from all sales before `first_year`; from the second year on, the other one learns
    each January from the newest `window_months`. A plan is given before it is trained, a month after it was served.

    Raises:
        TrainingError: there are no sales from `first_year` on, or too few before it.
        ServiceError: a service did not start or refused a month's houses.

    """
    due = sales[sales["sale_date"].dt.year >= first_year]
    if due.empty:
        raise TrainingError(f"no sales from {first_year} on: choose an earlier --first-year")
    if due.shape == sales.shape:
        raise TrainingError(f"no sales before {first_year} to learn from: choose a later --first-year")
    frozen = ""
    with (
        tempfile.TemporaryDirectory(prefix="replay-") as folder,
        contextlib.ExitStack() as frozen_life,
        contextlib.ExitStack() as retrained_life,
    ):
        for year, of_year in due.groupby(due["sale_date"].dt.year):
            plan = _plan(int(year), window_months if frozen else None, estimator)
            yield plan
            past = sales[sales["sale_date"].dt.year < year]
            artifact = save_model(train(past, plan, trained_at=trained_at, data_sha256=data_sha256), Path(folder))
            frozen = frozen or frozen_life.enter_context(running_service(artifact))[0]
            retrained_life.close()
            retrained, _ = retrained_life.enter_context(running_service(artifact))
            for month, group in of_year.groupby(of_year["sale_date"].dt.to_period("M")):
                yield Month(str(month), len(group), _served(frozen, group), _served(retrained, group))


def _plan(year: int, window_months: int | None, estimator: str) -> TrainingPlan:
    january = pd.Timestamp(year=year, month=1, day=1)
    since = (january - pd.DateOffset(months=window_months)).date() if window_months else None
    return TrainingPlan(estimator=estimator, since=since, until=dt.date(year - 1, 12, 31))


def _served(url: str, sales: pd.DataFrame) -> Served:
    """Price a month's sales, in parts that the service takes: a month of a large market holds more than one."""
    parts = [_asked(url, sales.iloc[start : start + PART_ROWS]) for start in range(0, len(sales), PART_ROWS)]
    paid = sales["price"].to_numpy()
    price, low, high = np.array(
        [(e["price_usd"], e["interval_usd"]["low"], e["interval_usd"]["high"]) for p in parts for e in p["estimates"]]
    ).T
    return Served(
        model_version=parts[0]["model_version"],
        abs_errors_pct=tuple(absolute_errors_pct(paid, price).tolist()),
        held=tuple(((low <= paid) & (paid <= high)).tolist()),
    )


def _asked(url: str, sales: pd.DataFrame) -> dict[str, Any]:
    answer = httpx.post(f"{url}/predict/batch", json={"houses": records_of(sales)}, timeout=60, trust_env=False)
    if answer.status_code != httpx.codes.OK:
        raise ServiceError(f"the service refused a month's houses with {answer.status_code}: {answer.text[:500]}")
    body: dict[str, Any] = answer.json()
    return body
