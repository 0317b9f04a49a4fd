"""Room: training. Context features: an input and an offset that no request carries, from training to a price."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from phase1_docker_api.errors import MissingContextError, TrainingError
from phase1_docker_api.model.artifact import load_model, write_artifact
from phase1_docker_api.model.context import ContextFeature
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.schemas import House
from phase1_docker_api.testing import MIDNIGHT
from phase1_docker_api.training.evaluate import records_with_context, score_sales, signed_log_errors
from phase1_docker_api.training.train import TrainingPlan, train

LEVEL = ContextFeature(name="log_level", role="offset")
RATE = ContextFeature(name="mortgage_rate", role="input")
PLAN = TrainingPlan("linear", until=pd.Timestamp("2011-12-31").date(), context=(LEVEL, RATE))
SMALLEST = {"land_area_sqft": 5000.0, "bedrooms": 3}


@pytest.fixture(scope="module")
def sales(seattle_sales: pd.DataFrame) -> pd.DataFrame:
    """Prices that double in 2012, which only the level says, and rise by the rate, which only the rate says."""
    some = seattle_sales[seattle_sales["sale_date"].dt.year <= 2012].copy()
    level = np.where(some["sale_date"].dt.year == 2012, np.log(2), 0.0)
    rate = np.random.default_rng(0).uniform(3, 6, len(some))
    price = some["price"] * np.exp(level + 0.1 * rate)
    return some.assign(price=price, log_level=level, mortgage_rate=rate)


@pytest.fixture(scope="module")
def model(sales: pd.DataFrame) -> HouseModel:
    return train(sales, PLAN, trained_at=MIDNIGHT, data_sha256="0")


def price(model: HouseModel, **given: float) -> float:
    (estimate,) = model.estimate([SMALLEST | given])
    return estimate.price_usd


def test_an_offset_moves_the_price_by_its_factor(model: HouseModel) -> None:
    once, twice = (price(model, log_level=level, mortgage_rate=4) for level in (0.0, np.log(2)))

    assert twice == pytest.approx(2 * once, rel=1e-6)


def test_an_input_moves_the_price_as_it_was_learned(model: HouseModel) -> None:
    low, high = (price(model, log_level=0, mortgage_rate=rate) for rate in (3, 6))

    assert np.log(high / low) == pytest.approx(0.3, abs=0.05)


def test_the_card_lists_context_apart_from_the_fields_of_a_request(model: HouseModel) -> None:
    assert model.card.context == [LEVEL, RATE]
    assert not {"log_level", "mortgage_rate"} & {*model.card.fields, *model.card.ranges}


def test_scores_and_intervals_are_right_where_the_offset_moves(model: HouseModel, sales: pd.DataFrame) -> None:
    of_2012 = sales[sales["sale_date"].dt.year == 2012]

    complete, minimal, _ = score_sales(model, of_2012, "2012")

    assert complete.median_abs_error_pct < 14
    assert minimal.median_abs_error_pct < 27
    assert complete.coverage == pytest.approx(0.9, abs=0.04)
    assert minimal.coverage == pytest.approx(0.9, abs=0.04)
    assert abs(np.median(signed_log_errors(model, of_2012))) < 0.1


def test_context_is_never_assumed(model: HouseModel) -> None:
    (estimate,) = model.estimate([SMALLEST | {"log_level": 0.0, "mortgage_rate": 4.0}])

    assert estimate.assumed.keys() == set(model.card.fields) - SMALLEST.keys()
    assert estimate.warnings == []
    assert all(house.keys() == set(model.card.fields) for house in model.typical.houses.values())


@pytest.mark.parametrize("wrong", [{}, {"log_level": 0.0}, {"log_level": None, "mortgage_rate": 4.0}], ids=repr)
def test_a_house_without_its_context_is_not_priced(model: HouseModel, wrong: dict[str, float | None]) -> None:
    for pricing in (lambda: model.estimate([SMALLEST | wrong]), lambda: model.prepare_many([SMALLEST | wrong])):
        with pytest.raises(MissingContextError) as refused:
            pricing()
        assert refused.value.names == [n for n in ("log_level", "mortgage_rate") if wrong.get(n) is None]


def test_a_context_value_that_is_no_number_counts_as_missing(model: HouseModel) -> None:
    with pytest.raises(MissingContextError, match="log_level"):
        price(model, log_level=float("nan"), mortgage_rate=4.0)


def test_many_houses_with_context_are_priced_as_each_alone(model: HouseModel, sales: pd.DataFrame) -> None:
    records = records_with_context(sales.tail(20), model.card.context)
    given = [dict.fromkeys(House.model_fields) | record for record in records]

    assert model.price_many(model.prepare_many(given)) == [model.price_many([model.prepare(one)])[0] for one in given]


def test_a_saved_model_keeps_its_context(model: HouseModel, tmp_path: Path) -> None:
    write_artifact(model, tmp_path / "model")

    loaded = load_model(tmp_path / "model")

    given = {"log_level": 0.5, "mortgage_rate": 4.0}
    assert loaded.card.context == [LEVEL, RATE]
    assert price(loaded, **given) == price(model, **given)


@pytest.mark.parametrize(
    ("name", "role", "says"),
    [
        ("inflation", "input", "no column inflation"),
        ("inflation", "offset", "no column inflation"),
        ("price", "input", "price is a field of a sale"),
        ("neighbour", "offset", "has to hold numbers"),
        ("gappy", "input", "gappy is missing in"),
    ],
)
def test_a_context_that_the_sales_do_not_hold_is_refused(sales: pd.DataFrame, name: str, role: str, says: str) -> None:
    odd = sales.assign(neighbour="A12", gappy=sales["mortgage_rate"].mask(sales.index % 7 == 0))
    plan = TrainingPlan("linear", context=(ContextFeature(name=name, role=role),))  # type: ignore[arg-type]

    with pytest.raises(TrainingError, match=says):
        train(odd, plan, trained_at=MIDNIGHT, data_sha256="0")


def test_sales_without_the_context_of_a_model_are_not_scored(model: HouseModel, sales: pd.DataFrame) -> None:
    with pytest.raises(TrainingError, match="no column log_level"):
        signed_log_errors(model, sales.drop(columns="log_level"))
