"""Room: course. The replay of policies, on few months and quickly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from phase3_mlops_core.course.policies import POLICIES, decisions, summary, table, write
from phase3_mlops_core.course.replay import Month, Policy, fires, live
from phase3_mlops_core.gate.compare import Scored
from phase3_mlops_core.gate.judge import Check, Judgement
from phase3_mlops_core.gate.thresholds import read_thresholds


def scored(median: float, size: int = 400, spread: float = 0.15) -> Scored:
    errors = np.random.default_rng(0).normal(0, spread, size)
    return Scored("", errors - np.median(errors) + median, np.full(size, 0.3))


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        (scored(0.0), False),
        (scored(-0.049), False),
        (scored(-0.051), True),
        (scored(0.06), True),
        (scored(-0.06, size=40), False),
    ],
)
def test_the_trigger_needs_a_large_and_a_sure_error(errors: Scored, expected: bool) -> None:
    assert fires(errors) is expected


@pytest.fixture(scope="module")
def never(seattle_sales: pd.DataFrame) -> list[Month]:
    return list(live(seattle_sales, Policy("never", 6), "2013-04", "2013-06"))


def test_a_policy_that_never_retrains_serves_one_fit(never: list[Month]) -> None:
    assert [month.month for month in never] == ["2013-04", "2013-05", "2013-06"]
    assert [month.fits for month in never] == [1, 1, 1]
    assert not any(month.retrained for month in never)


def test_a_month_is_priced_by_what_was_known_before_it(seattle_sales: pd.DataFrame, never: list[Month]) -> None:
    later = seattle_sales["sale_date"] >= "2013-05-01"
    dear = seattle_sales.assign(price=seattle_sales["price"].where(~later, seattle_sales["price"] * 2))

    april, may = live(dear, Policy("monthly", 6), "2013-04", "2013-05")

    assert april.log_errors.tolist() == never[0].log_errors.tolist()
    assert may.fits == 2
    assert float(np.median(may.log_errors)) == pytest.approx(-np.log(2), abs=0.1)


def test_the_tables_say_what_each_policy_did(tmp_path: Path) -> None:
    errors, widths = np.array([0.1, -0.1, 0.05]), np.full(3, 0.08)
    months = [
        Month("2012-12", errors, widths, 1),
        Month("2013-01", errors * 2, widths, 1, True, judgement(3.21, 1.23)),
        Month("2013-02", errors, widths, 2, False, judgement(0.5, -1.0)),
    ]
    gated = summary("gate-6", months)

    write([summary("never", months), gated], tmp_path)

    assert gated.coverage == pytest.approx(2 / 9)
    assert "| gate-6 | 2 |" in table([gated])
    assert "| 2013-01 | 3 | 18.1 | 3.2 | 1.2 | promoted |" in decisions(gated)
    assert (
        "| 2013-02 | 3 | 9.5 | 0.5 | -1.0 | refused: gain_pct, gain_low_pct |" in (tmp_path / "replay.md").read_text()
    )
    assert [one["policy"] for one in json.loads((tmp_path / "replay.json").read_text())] == ["never", "gate-6"]
    assert (tmp_path / "replay.png").stat().st_size > 10_000


def judgement(gain: float, low: float) -> Judgement:
    bounds = read_thresholds()
    checks = [Check(name, value, bounds[name]) for name, value in (("gain_pct", gain), ("gain_low_pct", low))]
    return Judgement("2013-01", 3, scored(0.0), scored(0.0), None, checks)


def test_each_policy_is_named_after_what_it_does() -> None:
    assert {"never", "trigger-6", "gate-12", "monthly-24", "monthly-all", "gate-6-as-scored"} <= set(POLICIES)
