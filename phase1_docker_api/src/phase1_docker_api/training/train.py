"""Fit a model on the sales of a window of time, and calibrate its intervals on the newest of them."""

from __future__ import annotations

import datetime as dt
import hashlib
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.pipeline import Pipeline

from phase1_docker_api.errors import TrainingError
from phase1_docker_api.model.context import ContextFeature, offsets
from phase1_docker_api.model.fitted import FittedModel, Floats
from phase1_docker_api.model.house_model import PROVENANCE, Calibration, Card, HouseModel
from phase1_docker_api.model.typical import Record, TypicalHouses, choose_typical_houses
from phase1_docker_api.schemas import CATEGORIES, House, Sale
from phase1_docker_api.training.convert import convert
from phase1_docker_api.training.estimators import ESTIMATORS
from phase1_docker_api.training.evaluate import baseline_inputs, log_prices, records_with_context

INTERVAL_LEVEL = 0.9
LIBRARIES = ("numpy", "scikit-learn")
GIT_HEAD = ("git", "rev-parse", "HEAD")
MIN_FIT_SALES = 100
# With 50 sales the true coverage of a 90 % interval is 90 ± 4 %.
MIN_CALIBRATION_SALES = 50


@dataclass(frozen=True)
class TrainingPlan:
    """What to train on: sales from `since` to `until`, of which the newest `calibration_months` calibrate."""

    estimator: str = "trees"
    since: dt.date | None = None
    until: dt.date | None = None
    calibration_months: int = 3
    seed: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)  # such as log_price__max_depth, over the estimator's
    context: tuple[ContextFeature, ...] = ()  # columns of the sales beside the fields of a house

    def make_pipeline(self) -> Pipeline:
        """Make the pipeline that the plan asks for, not fitted yet."""
        return ESTIMATORS[self.estimator](self.seed).set_params(**self.parameters)


def train(sales: pd.DataFrame, plan: TrainingPlan, *, trained_at: dt.datetime, data_sha256: str) -> HouseModel:
    """Fit on the plan's window, and calibrate on its newest months; sales after it are not looked at.

    The model has no scores: `training.evaluate` makes them, for any model and any sales.
    `sales` is what `clean_sales` returns as clean, with a column for each context feature of the plan.

    Raises:
        TrainingError: the window holds too few sales to fit or to calibrate, or a context feature is missing.

    """
    _check_context(plan.context, sales)
    older, newer = _split(sales, plan)
    window = pd.concat([older, newer])
    fields = [name for name in House.model_fields if name in window and window[name].notna().mean() >= 0.5]
    twin, typical = _fit_twin(_records(older, fields, plan), log_prices(older), fields, plan)
    complete = [typical.complete(record) for record in _records(window, fields, plan)]
    model = HouseModel(
        _fit(complete, log_prices(window), plan),
        typical,
        Calibration(twin, _records(newer, fields, plan), log_prices(newer)),
        _card(window, newer, fields, plan, trained_at, data_sha256),
    )
    return replace(model, card=model.card.model_copy(update={"model_version": _version(model)}))


def _split(sales: pd.DataFrame, plan: TrainingPlan) -> tuple[pd.DataFrame, pd.DataFrame]:
    """By date, never at random: a random split lets a model see the prices of the weeks it is tested on."""
    if sales.empty:
        raise TrainingError("no sales at all to learn from: widen the window (--since, --until)")
    days = sales["sale_date"]
    since = pd.Timestamp(plan.since) if plan.since else days.min()
    until = pd.Timestamp(plan.until) if plan.until else days.max()
    one_day = pd.Timedelta(days=1)  # so that a window that ends with a month is calibrated on whole months
    border = until + one_day - pd.DateOffset(months=plan.calibration_months) - one_day
    older = sales[(days >= since) & (days <= border)]
    newer = sales[(days > border) & (days >= since) & (days <= until)]
    if len(newer) < MIN_CALIBRATION_SALES:
        raise TrainingError(
            f"{len(newer)} sales after {border:%Y-%m-%d} to calibrate on, {MIN_CALIBRATION_SALES} are needed: "
            "give more with --calibration-months, or widen the window (--since, --until)"
        )
    if len(older) < MIN_FIT_SALES:
        raise TrainingError(
            f"{len(older)} sales to fit on from {since:%Y-%m-%d} to {border:%Y-%m-%d}, {MIN_FIT_SALES} are needed: "
            "widen the window (--since, --until)"
        )
    return older, newer


def _check_context(context: tuple[ContextFeature, ...], sales: pd.DataFrame) -> None:
    for name, role in ((feature.name, feature.role) for feature in context):
        if name in Sale.model_fields:
            raise TrainingError(f"{name} is a field of a sale and cannot be a context feature: choose another name")
        if role == "offset" and name in sales and not pd.api.types.is_numeric_dtype(sales[name]):
            raise TrainingError(f"{name} is an offset, so its column has to hold numbers")


def _records(sales: pd.DataFrame, fields: list[str], plan: TrainingPlan) -> list[Record]:
    columns = [*fields, *(feature.name for feature in plan.context if feature.name in sales)]
    return records_with_context(sales[columns], plan.context)


def _fit_twin(
    records: list[Record], paid: Floats, fields: list[str], plan: TrainingPlan
) -> tuple[FittedModel, TypicalHouses]:
    """Fit on the sales that have every field, choose the typical houses, and fill the other sales with them."""
    whole = [i for i, record in enumerate(records) if record.keys() >= set(fields)]
    if len(whole) < MIN_FIT_SALES:
        raise TrainingError(
            f"only {len(whole)} sales have all of {', '.join(fields)}: leave out the column that is missing most"
        )
    without_gaps = [records[i] for i in whole]
    twin = _fit(without_gaps, paid[whole], plan)
    houses = [{name: record[name] for name in fields} for record in without_gaps]
    typical = choose_typical_houses(houses, twin.predict(without_gaps).tolist())
    if len(whole) < len(records):
        twin = _fit([typical.complete(record) for record in records], paid, plan)
    return twin, typical


def _fit(records: list[Record], paid: Floats, plan: TrainingPlan) -> FittedModel:
    """Fit on complete records; an offset is no column, but is subtracted from the log price."""
    left_out = {feature.name for feature in plan.context if feature.role == "offset"}
    columns = [{name: value for name, value in record.items() if name not in left_out} for record in records]
    pipeline = plan.make_pipeline().fit(columns, paid - offsets(records, plan.context))
    return convert(pipeline, columns)


def _card(
    window: pd.DataFrame,
    newer: pd.DataFrame,
    fields: list[str],
    plan: TrainingPlan,
    trained_at: dt.datetime,
    data_sha256: str,
) -> Card:
    numbers = [name for name in fields if name not in (*CATEGORIES, "waterfront")]
    return Card(
        model_version="",
        estimator=plan.estimator,
        parameters=repr(plan.make_pipeline()),
        trained_at=trained_at,
        trained_from=window["sale_date"].min().date(),
        trained_until=window["sale_date"].max().date(),
        trained_sales=len(window),
        calibrated_from=newer["sale_date"].min().date(),
        calibrated_sales=len(newer),
        interval_level=INTERVAL_LEVEL,
        fields=fields,
        context=list(plan.context),
        ranges={name: (float(window[name].min()), float(window[name].max())) for name in numbers},
        categories={name: sorted(window[name].dropna().unique()) for name in CATEGORIES if name in fields},
        baseline_usd_per_sqft=_baseline_rates(window),
        data_sha256=data_sha256,
        git_commit=git_commit(Path(__file__).parent),
        libraries=library_versions(),
        scores=[],
    )


def _version(model: HouseModel) -> str:
    """Name what the model is and answers: two trainings share a version only if all they answer is the same.

    When it was trained, from which file, and how good it was on which sales, is not part of it. The file of the
    fitted models will not do: what another computer's arithmetic makes of the last bit would change
    it. So what both predict for the calibration sales, rounded, stands for them.
    """
    card = model.card
    content = hashlib.sha256(card.model_dump_json(exclude={"model_version", *PROVENANCE}).encode())
    content.update(model.typical.model_dump_json().encode())
    complete = [model.typical.complete(record) for record in model.calibration.records]
    for fitted in (model.fitted, model.calibration.twin):
        content.update(fitted.predict(complete).round(6).tobytes())
    return f"{card.estimator}-{card.trained_until:%Y-%m}-{content.hexdigest()[:8]}"


def library_versions() -> dict[str, str]:
    """Versions of the libraries that decide what a training finds."""
    return {name: version(name) for name in LIBRARIES}


def _baseline_rates(window: pd.DataFrame) -> dict[str, float]:
    area, size = baseline_inputs(window)
    rates = window["price"] / size
    return {"*": float(rates.median())} | {str(a): float(r) for a, r in rates.groupby(area).median().items()}


def git_commit(folder: Path) -> str | None:
    """The commit the code stands at, or nothing outside a checkout."""
    try:
        done = subprocess.run(GIT_HEAD, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return None
    return done.stdout.strip() or None
