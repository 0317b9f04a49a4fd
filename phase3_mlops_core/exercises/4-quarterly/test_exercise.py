"""Exercise 4: the replay knows a policy that retrains after each quarter."""

from __future__ import annotations

import datetime as dt

import pytest
from phase1_docker_api.cli import SEATTLE
from phase1_docker_api.training.sales import load_clean_sales
from phase3_mlops_core.course.policies import POLICIES
from phase3_mlops_core.course.replay import live

NAMES = ["quarterly-6", "quarterly-12", "quarterly-24", "quarterly-all"]


@pytest.mark.parametrize("name", NAMES)
def test_the_replay_knows_the_policy(name: str) -> None:
    assert name in POLICIES, f"the replay knows no policy {name} yet"


def test_it_retrains_after_march_and_june_alone() -> None:
    sales = load_clean_sales(SEATTLE, dt.date(2012, 7, 31)).clean

    months = list(live(sales.iloc[::3], POLICIES["quarterly-6"], "2012-01", "2012-07"))

    retrained = [month.month for month in months if month.retrained]
    assert retrained == ["2012-03", "2012-06"], f"from January to July it retrains after {retrained or 'no month'}"
    assert [month.fits for month in months] == [1, 1, 1, 2, 2, 2, 3]
