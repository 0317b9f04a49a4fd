"""Judge a challenger: measure each figure that gate.toml bounds, and say which bound it breaks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.schemas import House
from phase1_docker_api.training.evaluate import baseline_log_prices
from phase1_docker_api.training.sales import records_of

from phase3_mlops_core.errors import GateError
from phase3_mlops_core.gate.compare import Gain, Scored, compare, gain_by_group, score
from phase3_mlops_core.gate.thresholds import Threshold

LEAST_PER_AREA = 30
TIMED_REQUESTS = 50
AGAINST_CHAMPION = ("gain_pct", "gain_low_pct", "worst_area_gain_pct", "worst_price_band_gain_pct")


@dataclass(frozen=True)
class Candidate:
    """The challenger as the registry gave it: what is scored, what would serve, and the size of that."""

    scored: HouseModel
    refit: HouseModel
    folder: Path


@dataclass(frozen=True)
class Check:
    """One figure beside its bound."""

    name: str
    value: float
    threshold: Threshold

    @property
    def holds(self) -> bool:
        """Whether the figure keeps to the bound."""
        return self.threshold.holds(self.value)


@dataclass(frozen=True)
class Judgement:
    """What the gate found in a month; without a champion only what the challenger must be by itself."""

    month: str
    sales: int
    challenger: Scored
    champion: Scored | None
    gain: Gain | None
    checks: list[Check]
    areas: Mapping[str, float] = field(default_factory=dict)
    price_bands: Mapping[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every bound is kept."""
        return all(check.holds for check in self.checks)

    @property
    def why(self) -> str:
        """The decision in one sentence."""
        broken = [f"{c.name} is {c.value:.4g}, {c.threshold.bound} is asked" for c in self.checks if not c.holds]
        if broken:
            return f"refused on {self.sales} sales of {self.month}: {'; '.join(broken)}"
        if self.gain is None:
            return f"passed on {self.sales} sales of {self.month}: there is no champion yet, and it is good by itself"
        return (
            f"passed on {self.sales} sales of {self.month}: its error is {self.gain.gain_pct:.1f} % smaller, "
            f"{self.gain.low_pct:.1f} to {self.gain.high_pct:.1f} % with {self.gain.level:.0%} confidence"
        )

    @property
    def figures(self) -> dict[str, float]:
        """Each figure by its name in gate.toml."""
        return {check.name: round(check.value, 6) for check in self.checks}


def judge(
    candidate: Candidate,
    champion: HouseModel | None,
    sales: pd.DataFrame,
    month: pd.Period,
    thresholds: Mapping[str, Threshold],
    seed: int = 0,
) -> Judgement:
    """Score both on the sales of `month`, pairwise.

    Raises:
        GateError: there are no sales, or one of the models has learned from them.

    """
    newest = sales[sales["sale_date"].between(month.start_time, month.end_time)]
    if newest.empty:
        raise GateError(f"there are no sales of {month} to compare on: land the month and prepare it first")
    for role, model in (("challenger", candidate.scored), ("champion", champion)):
        if model and model.card.trained_until >= month.start_time.date():
            raise GateError(
                f"the {role} {model.card.model_version} has learned from sales up to {model.card.trained_until}, so "
                f"{month} cannot tell how good it is: compare on a later month"
            )
    new = score(candidate.scored, newest)
    figures = _own_figures(candidate, new, newest)
    if champion is None:
        return Judgement(str(month), len(newest), new, None, None, _checks(figures, thresholds))
    old = score(champion, newest)
    gain = compare(old.log_errors, new.log_errors, seed)
    areas = _areas(newest, old, new)
    bands = gain_by_group(old.log_errors, new.log_errors, _price_bands(newest), 1)
    figures |= {
        "gain_pct": gain.gain_pct,
        "gain_low_pct": gain.low_pct,
        "worst_area_gain_pct": min(areas.values(), default=0.0),
        "worst_price_band_gain_pct": min(bands.values(), default=0.0),
    }
    return Judgement(str(month), len(newest), new, old, gain, _checks(figures, thresholds), areas, bands)


def _checks(figures: Mapping[str, float], thresholds: Mapping[str, Threshold]) -> list[Check]:
    return [Check(name, figures[name], threshold) for name, threshold in thresholds.items() if name in figures]


def _own_figures(candidate: Candidate, new: Scored, newest: pd.DataFrame) -> dict[str, float]:
    """What the challenger must be, whoever serves now."""
    refit = score(candidate.refit, newest)
    baseline = baseline_log_prices(candidate.scored, newest) - np.log(newest["price"].to_numpy())
    return {
        "sales": float(len(newest)),
        "coverage_low": new.coverage,
        "coverage_high": new.coverage,
        "off_by_pct": new.median_abs_error_pct,
        "beats_baseline_pct": (1 - new.mean_abs_log_error / float(np.mean(np.abs(baseline)))) * 100,
        "refit_moved_pct": float(np.median(np.abs(np.expm1(refit.log_errors - new.log_errors)))) * 100,
        "refit_width_ratio": float(np.median(refit.half_widths) / np.median(new.half_widths)),
        "served_off_cents": _served_off_cents(candidate.refit, newest),
        "artifact_mb": sum(file.stat().st_size for file in candidate.folder.iterdir()) / 1e6,
        "predict_ms": _predict_ms(candidate.refit, newest),
    }


def _served_off_cents(model: HouseModel, sales: pd.DataFrame) -> float:
    """The largest difference between the service's way to a price, a checked house each, and the bulk way."""
    records = records_of(sales)
    served = np.array([estimate.price_usd for estimate in model.estimate([House(**record) for record in records])])
    return float(np.max(np.abs(served - np.exp(model.estimate_log_prices(records)[0])))) * 100


def _predict_ms(model: HouseModel, sales: pd.DataFrame) -> float:
    houses = [House(**record) for record in records_of(sales.head(TIMED_REQUESTS))]
    model.estimate(houses[:1])  # the first one also calibrates the interval
    took = []
    for house in houses:
        started = time.perf_counter()
        model.estimate([house])
        took.append(time.perf_counter() - started)
    return float(np.median(took)) * 1000


def _areas(newest: pd.DataFrame, old: Scored, new: Scored) -> dict[str, float]:
    if "neighborhood" not in newest:
        return {}
    return gain_by_group(old.log_errors, new.log_errors, newest["neighborhood"].tolist(), LEAST_PER_AREA)


def _price_bands(newest: pd.DataFrame) -> list[str]:
    """Thirds of the sales by the price paid."""
    low, high = newest["price"].quantile([1 / 3, 2 / 3])
    names = ["cheapest third", "middle third", "dearest third"]
    return [names[int(price > low) + int(price > high)] for price in newest["price"]]
