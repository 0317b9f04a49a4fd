"""Model behaviour: a random split promises more than the next year keeps."""

from __future__ import annotations

import pandas as pd
import pytest
from phase1_docker_api.course.split_leak import compare_splits
from phase1_docker_api.errors import TrainingError


def test_random_folds_are_too_hopeful_in_every_window_of_this_market(seattle_sales: pd.DataFrame) -> None:
    found = list(compare_splits(seattle_sales, "linear"))

    assert [(s.window, s.next_year) for s in found][::4] == [("2010-2011", 2012), ("2014-2015", 2016)]
    assert all(s.later_off_pct > s.random_off_pct for s in found)
    assert found[-1].later_off_pct - found[-1].random_off_pct > 5


def test_random_folds_are_right_where_the_prices_stand_still(seattle_sales: pd.DataFrame) -> None:
    """The gap is the market's doing: with the weeks shuffled it is gone."""
    three_years = seattle_sales[seattle_sales["sale_date"].dt.year >= 2014]
    shuffled = three_years.assign(sale_date=three_years["sale_date"].sample(frac=1, random_state=0).to_numpy())

    (found,) = compare_splits(shuffled, "linear")

    assert found.later_off_pct == pytest.approx(found.random_off_pct, abs=0.7)


def test_two_years_are_too_few(seattle_sales: pd.DataFrame) -> None:
    with pytest.raises(TrainingError, match="3 years"):
        list(compare_splits(seattle_sales[seattle_sales["sale_date"].dt.year <= 2011], "linear"))
