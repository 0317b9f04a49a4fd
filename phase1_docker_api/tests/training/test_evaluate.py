"""Room: training. Errors for any model and any sales; a training makes none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.schemas import House
from phase1_docker_api.testing import MIDNIGHT
from phase1_docker_api.training.evaluate import signed_log_errors
from phase1_docker_api.training.sales import records_of
from phase1_docker_api.training.train import TrainingPlan, train


def test_there_is_one_signed_error_a_row_in_the_rows_order(
    linear_model: HouseModel, seattle_sales: pd.DataFrame
) -> None:
    some = seattle_sales.sample(50, random_state=1)

    errors = signed_log_errors(linear_model, some)

    prices = [e.price_usd for e in linear_model.estimate([House(**record) for record in records_of(some)])]
    assert errors == pytest.approx(np.log(prices) - np.log(some["price"].to_numpy()), abs=1e-6)


def test_champion_and_challenger_are_compared_on_the_same_sales(
    linear_model: HouseModel, trees_model: HouseModel, seattle_sales: pd.DataFrame
) -> None:
    of_2012 = seattle_sales[seattle_sales["sale_date"].dt.year == 2012]

    linear, trees = (np.abs(signed_log_errors(model, of_2012)) for model in (linear_model, trees_model))

    assert len(linear) == len(trees) == len(of_2012)
    assert (linear - trees).mean() > 0.01


def test_the_errors_and_the_scores_say_the_same(linear_model: HouseModel, seattle_sales: pd.DataFrame) -> None:
    of_2012 = seattle_sales[seattle_sales["sale_date"].dt.year == 2012]
    (score,) = (s for s in linear_model.card.scores if (s.period, s.request) == ("2012", "complete"))

    errors = signed_log_errors(linear_model, of_2012)

    assert np.sqrt(np.mean(errors**2)) == pytest.approx(score.rmsle, abs=1e-4)


def test_a_training_makes_no_scores(seattle_sales: pd.DataFrame) -> None:
    plan = TrainingPlan("linear", until=pd.Timestamp("2010-06-30").date())

    model = train(seattle_sales.head(3000), plan, trained_at=MIDNIGHT, data_sha256="0")

    assert model.card.scores == []
