"""Room: training. A month's plan, its search, and the two models that come of it."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from phase1_docker_api.errors import TrainingError
from phase3_mlops_core.training.monthly import Trained, train_month
from phase3_mlops_core.training.plan import MonthlyPlan
from phase3_mlops_core.training.search import candidates, try_candidates

pytestmark = pytest.mark.usefixtures("few_trees")
MONTH = pd.Period("2012-02", "M")
MIDNIGHT = dt.datetime(2017, 1, 1, tzinfo=dt.UTC)


def trained(sales: pd.DataFrame, plan: MonthlyPlan, month: pd.Period = MONTH) -> Trained:
    return train_month(sales, month, plan, search=False, data_sha256="", trained_at=MIDNIGHT, say=lambda text: None)


@pytest.fixture(scope="module")
def of_february(few_trees: None, seattle_sales: pd.DataFrame) -> Trained:
    return trained(seattle_sales, MonthlyPlan("linear"))


def test_a_window_ends_with_the_month_and_begins_so_many_months_before(seattle_sales: pd.DataFrame) -> None:
    plan = MonthlyPlan(window_months=6).ending(MONTH)
    window = MonthlyPlan(window_months=6).window(seattle_sales, MONTH)["sale_date"].dt.to_period("M")

    assert (plan.since, plan.until) == (dt.date(2011, 9, 1), dt.date(2012, 2, 29))
    assert [str(window.min()), str(window.max())] == ["2011-09", "2012-02"]
    assert MonthlyPlan(window_months=0).ending(MONTH).since is None


def test_the_scored_model_has_not_seen_the_month_and_the_refit_has(of_february: Trained) -> None:
    assert of_february.scored.card.trained_until < MONTH.start_time.date()
    assert of_february.refit.card.trained_until == dt.date(2012, 2, 29)


def test_the_refit_is_the_same_plan_a_month_later(seattle_sales: pd.DataFrame, of_february: Trained) -> None:
    scored, refit = of_february.scored.card, of_february.refit.card
    a_month_later = trained(seattle_sales, MonthlyPlan("linear"), MONTH + 1)

    assert refit.parameters == scored.parameters
    assert pd.Period(refit.trained_from, "M") == pd.Period(scored.trained_from, "M") + 1
    assert refit.model_version == a_month_later.scored.card.model_version


def test_sales_after_the_month_change_nothing(seattle_sales: pd.DataFrame, of_february: Trained) -> None:
    known = seattle_sales[seattle_sales["sale_date"] <= MONTH.end_time]

    assert trained(known, MonthlyPlan("linear")).refit.card.model_version == of_february.refit.card.model_version


def test_candidates_are_tried_on_the_three_months_before(of_february: Trained) -> None:
    first, second = of_february.trials

    assert {first.plan.estimator, second.plan.estimator} == {"linear", "trees"}
    assert first.mean_abs_log_error <= second.mean_abs_log_error
    assert list(first.off_by_pct) == ["2011-11", "2011-12", "2012-01"]
    assert all(5 < off < 20 for off in first.off_by_pct.values())


def test_a_trial_is_fitted_without_the_month_that_it_is_scored_on(seattle_sales: pd.DataFrame) -> None:
    dear = seattle_sales.assign(
        price=seattle_sales["price"].where(seattle_sales["sale_date"].dt.to_period("M") < MONTH - 1, 1e7)
    )

    [trial] = try_candidates(dear, MONTH, [MonthlyPlan("linear")], lambda text: None)

    assert float(np.median(trial.log_errors["2012-01"])) < -2


def test_a_search_adds_a_grid_of_each_family() -> None:
    plain, more = (candidates(MonthlyPlan("trees", 12), search) for search in (False, True))

    assert [plan.estimator for plan in plain] == ["trees", "linear"]
    assert more[:2] == plain
    assert len(more) == 8
    assert {plan.window_months for plan in more} == {12}


def test_a_month_without_sales_is_refused(seattle_sales: pd.DataFrame) -> None:
    with pytest.raises(TrainingError, match="no sales of 2018-01: put them into the landing zone"):
        trained(seattle_sales, MonthlyPlan(), pd.Period("2018-01", "M"))
