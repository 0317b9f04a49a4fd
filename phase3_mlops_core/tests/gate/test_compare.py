"""Room: gate. The difference of two models on the same sales, and how sure it is."""

from __future__ import annotations

import numpy as np
import pytest
from phase3_mlops_core.gate.compare import compare, gain_by_group


def errors(seed: int, size: int = 500) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.15, size)


def test_a_model_against_itself_gains_nothing_for_sure() -> None:
    gain = compare(errors(0), errors(0), seed=1)

    assert (gain.gain_pct, gain.low_pct, gain.high_pct) == (0, 0, 0)


def test_the_interval_holds_the_true_gain_in_nine_of_ten_months() -> None:
    rng = np.random.default_rng(7)
    months = [(0.15 * hard, 0.95 * 0.15 * hard + 0.01 * rng.normal(size=400)) for hard in rng.normal(size=(40, 400))]
    true = 1 - np.mean([np.abs(new).mean() for _, new in months]) / np.mean([np.abs(old).mean() for old, _ in months])

    held = [gain.low_pct <= true * 100 <= gain.high_pct for gain in (compare(*month, seed=0) for month in months)]

    assert sum(held) >= 36


def test_pairs_see_a_difference_that_two_separate_means_would_not() -> None:
    hard = errors(3)

    paired = compare(hard, 0.97 * hard, seed=0)
    shuffled = compare(hard, 0.97 * np.random.default_rng(0).permutation(hard), seed=0)

    assert paired.low_pct > 0 > shuffled.low_pct


def test_the_same_seed_gives_the_same_interval() -> None:
    first, second, other = (compare(errors(0), errors(1), seed=seed) for seed in (4, 4, 5))

    assert first == second != other


def test_a_group_of_few_sales_says_nothing() -> None:
    gains = gain_by_group(np.full(12, 0.2), np.full(12, 0.1), ["A"] * 10 + ["B"] * 2, least=3)

    assert gains == pytest.approx({"A": 50})
