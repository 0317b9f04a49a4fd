"""Fit a model on the sales of a window of time, and calibrate its intervals on the newest of them."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from phase1_docker_api.artifact import library_versions
from phase1_docker_api.errors import TrainingError
from phase1_docker_api.evaluate import baseline_inputs, score_training
from phase1_docker_api.model import ESTIMATORS, Calibration, Card, HouseModel
from phase1_docker_api.sales import records_of
from phase1_docker_api.schemas import CATEGORIES, House
from phase1_docker_api.typical import choose_typical_houses

INTERVAL_LEVEL = 0.9
GIT_HEAD = ("git", "rev-parse", "HEAD")
MIN_FIT_SALES = 100
# With 50 sales the true coverage of a 90 % interval is 90 ± 4 %.
MIN_CALIBRATION_SALES = 50


@dataclass(frozen=True)
class TrainingPlan:
    """What to train on: sales from `since` to `until`, the last `calibration_months` kept for calibration."""

    estimator: str = "trees"
    since: dt.date | None = None
    until: dt.date | None = None
    calibration_months: int = 2
    seed: int = 0


def train(sales: pd.DataFrame, plan: TrainingPlan, *, trained_at: dt.datetime, data_sha256: str) -> HouseModel:
    """Fit, calibrate and score on the sales after the window, if there are any.

    `sales` is what `clean_sales` returns as clean.

    Raises:
        TrainingError: the window holds too few sales to fit or to calibrate.

    """
    fit, calibration = _split(sales, plan)
    fields = [name for name in House.model_fields if name in fit and fit[name].notna().mean() >= 0.5]
    model = _fit(fit, calibration, fields, plan, trained_at, data_sha256)
    scores = score_training(model, sales)
    return replace(model, card=model.card.model_copy(update={"scores": scores}))


def _split(sales: pd.DataFrame, plan: TrainingPlan) -> tuple[pd.DataFrame, pd.DataFrame]:
    """By date, never at random: a random split lets a model see the prices of the weeks it is tested on."""
    days = sales["sale_date"]
    since = pd.Timestamp(plan.since) if plan.since else days.min()
    until = pd.Timestamp(plan.until) if plan.until else days.max()
    border = until - pd.DateOffset(months=plan.calibration_months)
    fit = sales[(days >= since) & (days <= border)]
    calibration = sales[(days > border) & (days >= since) & (days <= until)]
    for name, part, least in (("fit", fit, MIN_FIT_SALES), ("calibrate", calibration, MIN_CALIBRATION_SALES)):
        if len(part) < least:
            raise TrainingError(
                f"{len(part)} sales to {name} on between {since:%Y-%m-%d} and {until:%Y-%m-%d}, {least} are needed: "
                "widen the window (--since, --until) or change --calibration-months"
            )
    return fit, calibration


def _fit(
    fit: pd.DataFrame,
    calibration: pd.DataFrame,
    fields: list[str],
    plan: TrainingPlan,
    trained_at: dt.datetime,
    data_sha256: str,
) -> HouseModel:
    records, log_prices = records_of(fit[fields]), np.log(fit["price"].to_numpy())
    whole = [i for i, record in enumerate(records) if len(record) == len(fields)]
    if len(whole) < MIN_FIT_SALES:
        raise TrainingError(
            f"only {len(whole)} sales have all of {', '.join(fields)}: leave out the column that is missing most"
        )
    pipeline = ESTIMATORS[plan.estimator](plan.seed)
    pipeline.fit([records[i] for i in whole], log_prices[whole])
    typical = choose_typical_houses([records[i] for i in whole], pipeline.predict([records[i] for i in whole]))
    if len(whole) < len(records):
        pipeline.fit([typical.complete(record) for record in records], log_prices)
    card = _card(fit, calibration, fields, plan, trained_at, data_sha256)
    held = Calibration(records_of(calibration[fields]), np.log(calibration["price"].to_numpy()))
    return HouseModel(pipeline, typical, held, card)


def _card(
    fit: pd.DataFrame,
    calibration: pd.DataFrame,
    fields: list[str],
    plan: TrainingPlan,
    trained_at: dt.datetime,
    data_sha256: str,
) -> Card:
    libraries = library_versions()
    window = {
        "fit_from": fit["sale_date"].min().date(),
        "fit_until": fit["sale_date"].max().date(),
        "fit_sales": len(fit),
        "calibrated_from": calibration["sale_date"].min().date(),
        "calibrated_until": calibration["sale_date"].max().date(),
        "calibrated_sales": len(calibration),
    }
    recipe = [
        repr(ESTIMATORS[plan.estimator](plan.seed)),
        INTERVAL_LEVEL,
        fields,
        window,
        data_sha256,
        libraries,
    ]
    numbers = [name for name in fields if name not in (*CATEGORIES, "waterfront")]
    return Card(
        model_version=_version(plan.estimator, calibration, recipe),
        estimator=plan.estimator,
        seed=plan.seed,
        trained_at=trained_at,
        interval_level=INTERVAL_LEVEL,
        fields=fields,
        ranges={name: (float(fit[name].min()), float(fit[name].max())) for name in numbers},
        categories={name: sorted(fit[name].dropna().unique()) for name in CATEGORIES if name in fields},
        baseline_usd_per_sqft=_baseline_rates(fit),
        data_sha256=data_sha256,
        git_commit=git_commit(Path(__file__).parent),
        libraries=libraries,
        scores=[],
        **window,
    )


def _version(estimator: str, calibration: pd.DataFrame, recipe: list[object]) -> str:
    """Same data, same plan, same libraries: same version."""
    digest = hashlib.sha256(json.dumps(recipe, default=str).encode()).hexdigest()[:8]
    return f"{estimator}-{calibration['sale_date'].max():%Y-%m}-{digest}"


def _baseline_rates(fit: pd.DataFrame) -> dict[str, float]:
    area, size = baseline_inputs(fit)
    rates = fit["price"] / size
    return {"*": float(rates.median())} | {str(a): float(r) for a, r in rates.groupby(area).median().items()}


def git_commit(folder: Path) -> str | None:
    """The commit the code stands at, or nothing outside a checkout."""
    try:
        done = subprocess.run(GIT_HEAD, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return None
    return done.stdout.strip() or None
