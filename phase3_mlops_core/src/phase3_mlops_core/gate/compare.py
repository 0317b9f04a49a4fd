"""Compare two models on the same sales, pair by pair, and say how sure the difference is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.training.evaluate import log_prices, records_with_context

Floats = NDArray[np.float64]
DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Scored:
    """A model's signed errors of the log price, one a sale, and half the widths of its intervals."""

    model_version: str
    log_errors: Floats
    half_widths: Floats

    @property
    def median_abs_error_pct(self) -> float:
        """Median absolute error of the price in per cent of the price paid."""
        return float(np.median(np.abs(np.expm1(self.log_errors))) * 100)

    @property
    def coverage(self) -> float:
        """Share of the sales inside their interval."""
        return float(np.mean(np.abs(self.log_errors) <= self.half_widths))

    @property
    def mean_abs_log_error(self) -> float:
        """Mean absolute error of the log price: what the gate compares."""
        return float(np.mean(np.abs(self.log_errors)))


@dataclass(frozen=True)
class Gain:
    """By how many per cent the challenger's mean absolute log error is smaller, with its bootstrap interval."""

    gain_pct: float
    low_pct: float
    high_pct: float
    level: float = LEVEL


def score(model: HouseModel, sales: pd.DataFrame) -> Scored:
    """Give phase 1's signed log errors and, from the same answers, half the widths of the intervals."""
    estimates, half_widths = model.estimate_log_prices(records_with_context(sales, model.card.context))
    return Scored(model.card.model_version, estimates - log_prices(sales), half_widths)


def compare(champion: Floats, challenger: Floats, seed: int) -> Gain:
    """Compare signed log errors of the same sales.

    The interval is the percentile bootstrap (Efron 1979) of the ratio of sums, over sales: a sale that is hard to
    price is hard for both models, so that pairs tell them apart with far fewer sales than two separate means.
    """
    old, new = np.abs(champion), np.abs(challenger)
    rows = np.random.default_rng(seed).integers(0, len(old), (DRAWS, len(old)))
    drawn = 1 - new[rows].sum(axis=1) / old[rows].sum(axis=1)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) * 100
    return Gain(float((1 - new.sum() / old.sum()) * 100), float(low), float(high))


def gain_by_group(champion: Floats, challenger: Floats, groups: Sequence[object], least: int) -> dict[str, float]:
    """The gain within each group of at least `least` sales, in per cent; smaller groups say nothing."""
    frame = pd.DataFrame({"group": list(map(str, groups)), "old": np.abs(champion), "new": np.abs(challenger)})
    sums = frame.groupby("group").agg(n=("old", "size"), old=("old", "sum"), new=("new", "sum"))
    large = sums[sums["n"] >= least]
    return {str(name): float(gain) for name, gain in ((1 - large["new"] / large["old"]) * 100).items()}
