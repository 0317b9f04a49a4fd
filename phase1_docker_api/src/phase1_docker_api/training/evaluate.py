"""Measure how far a model's prices are off on sales it has not seen, by month and by year."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from phase1_docker_api.errors import TrainingError
from phase1_docker_api.model.context import ContextFeature
from phase1_docker_api.model.fitted import Floats
from phase1_docker_api.model.house_model import MINIMAL, HouseModel, Score
from phase1_docker_api.model.typical import Record
from phase1_docker_api.training.sales import records_of

REQUESTS = 3


def signed_log_errors(model: HouseModel, sales: pd.DataFrame) -> Floats:
    """Give one error a row, in the row's order: log of the model's price minus log of the price paid.

    Above zero the model was too high. For any model and any sales, those it has learned from too.
    """
    predicted, _ = model.estimate_log_prices(records_with_context(sales, model.card.context))
    return np.asarray(predicted - log_prices(sales))


def records_with_context(sales: pd.DataFrame, context: Sequence[ContextFeature]) -> list[Record]:
    """One dict a house with the fields that are known, and the values of the context features.

    Raises:
        TrainingError: the sales lack a column that the context names, or it has gaps.

    """
    records: list[Record] = records_of(sales)
    for feature in context:
        if feature.name not in sales:
            raise TrainingError(f"the sales have no column {feature.name}, which is a context feature of this model")
        column = sales[feature.name]
        if gaps := int(column.isna().sum()):
            raise TrainingError(f"{feature.name} is missing in {gaps} of {len(sales)} sales; it is never assumed")
        for record, value in zip(records, column.tolist(), strict=True):
            record[feature.name] = value
    return records


def log_prices(sales: pd.DataFrame) -> Floats:
    """Logs of the prices paid, in USD."""
    return np.asarray(np.log(sales["price"].to_numpy(dtype=float)))


def score_periods(model: HouseModel, sales: pd.DataFrame, unit: str = "Y") -> list[Score]:
    """Score the sales after the model's training window, by year (`Y`) or month (`M`)."""
    later = sales[sales["sale_date"] > pd.Timestamp(model.card.trained_until)]
    return [
        score
        for period, group in later.groupby(later["sale_date"].dt.to_period(unit))
        for score in score_sales(model, group, str(period))
    ]


def score_training(model: HouseModel, sales: pd.DataFrame) -> list[Score]:
    """Score the three months right after the training window, where intervals ought to hold, then each year."""
    return score_periods(model, sales, "M")[: 3 * REQUESTS] + score_periods(model, sales, "Y")


def score_sales(model: HouseModel, sales: pd.DataFrame, period: str) -> Iterator[Score]:
    """Score complete requests, minimal ones, and the baseline on the same sales."""
    actual = log_prices(sales)
    complete = records_with_context(sales, model.card.context)
    always = MINIMAL.union(feature.name for feature in model.card.context)
    requests = {"complete": complete, "minimal": [{name: r[name] for name in always} for r in complete]}
    for request, records in requests.items():
        predicted, half_widths = model.estimate_log_prices(records)
        coverage = float(np.mean(np.abs(actual - predicted) <= half_widths))
        yield _score(period, request, actual, predicted, coverage)
    yield _score(period, "baseline", actual, baseline_log_prices(model, sales), None)


def baseline_log_prices(model: HouseModel, sales: pd.DataFrame) -> Floats:
    """Price each house by its neighborhood's median USD per square foot of the training sales."""
    rates = model.card.baseline_usd_per_sqft
    area, size = baseline_inputs(sales)
    return np.asarray(np.log(area.map(rates).fillna(rates["*"]).to_numpy(dtype=float) * size.to_numpy()))


def baseline_inputs(sales: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """The area and the size that the baseline goes by; land stands in where floor area is not known."""
    nowhere = pd.Series("*", index=sales.index)
    area = sales["neighborhood"].fillna("*") if "neighborhood" in sales else nowhere
    size = sales["living_area_sqft"] if "living_area_sqft" in sales else sales["land_area_sqft"]
    return area, size.fillna(sales["land_area_sqft"])


def absolute_errors_pct(actual: Floats, predicted: Floats) -> Floats:
    """Absolute error of each price in per cent of the price paid; both in USD."""
    return np.asarray(np.abs(predicted / actual - 1) * 100)


def _score(period: str, request: str, actual: Floats, predicted: Floats, coverage: float | None) -> Score:
    price, estimate = np.exp(actual), np.exp(predicted)
    spread = float(np.sum((price - price.mean()) ** 2))
    return Score(
        period=period,
        request=request,
        sales=len(price),
        median_abs_error_pct=round(float(np.median(absolute_errors_pct(price, estimate))), 2),
        rmsle=round(float(np.sqrt(np.mean((actual - predicted) ** 2))), 4),
        r2=round(1 - float(np.sum((price - estimate) ** 2)) / spread, 4) if spread else 0.0,
        mae_usd=round(float(np.mean(np.abs(price - estimate)))),
        coverage=None if coverage is None else round(coverage, 4),
    )
