"""Model behaviour: how good it is, that it learns nothing from the future, and that its intervals are honest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from phase1_docker_api.errors import TrainingError
from phase1_docker_api.model.house_model import HouseModel, Score, conformal_quantile
from phase1_docker_api.schemas import OPTIONAL_FIELDS, House
from phase1_docker_api.testing import MIDNIGHT, train_frozen
from phase1_docker_api.training.evaluate import score_periods, score_sales
from phase1_docker_api.training.sales import records_of
from phase1_docker_api.training.train import TrainingPlan, train

SEED_REQUEST = House(land_area_sqft=5000, bedrooms=3)


def score_of(model: HouseModel, period: str, request: str = "complete") -> Score:
    return next(s for s in model.card.scores if (s.period, s.request) == (period, request))


@pytest.mark.parametrize(("estimator", "most_2012"), [("linear", 12.75), ("trees", 11.1)])
def test_a_model_of_2010_and_2011_is_good_in_2012_and_bad_in_2016(
    request: pytest.FixtureRequest, estimator: str, most_2012: float
) -> None:
    model = request.getfixturevalue(f"{estimator}_model")

    assert score_of(model, "2012").median_abs_error_pct <= most_2012
    assert score_of(model, "2012", "minimal").median_abs_error_pct <= 25.5
    assert score_of(model, "2016").median_abs_error_pct >= 33


@pytest.mark.parametrize("estimator", ["linear", "trees"])
def test_the_area_price_per_square_foot_is_beaten(request: pytest.FixtureRequest, estimator: str) -> None:
    model = request.getfixturevalue(f"{estimator}_model")

    assert score_of(model, "2012").median_abs_error_pct < score_of(model, "2012", "baseline").median_abs_error_pct - 3


def test_prices_of_the_future_change_nothing(seattle_sales: pd.DataFrame) -> None:
    later = seattle_sales["sale_date"].dt.year > 2011
    changed = seattle_sales.assign(price=seattle_sales["price"].where(~later, seattle_sales["price"] * 10))

    as_it_was, as_changed = train_frozen(seattle_sales, "linear"), train_frozen(changed, "linear")

    houses = [House(**r) for r in records_of(seattle_sales[later].head(200))]
    answers = [
        [e.model_dump(exclude={"model_version"}) for e in model.estimate([SEED_REQUEST, *houses])]
        for model in (as_it_was, as_changed)
    ]
    assert answers[0] == answers[1]


def test_training_twice_gives_the_same_estimates_under_the_same_version(
    seattle_sales: pd.DataFrame, trees_model: HouseModel
) -> None:
    again = train_frozen(seattle_sales, "trees")

    assert again.estimate([SEED_REQUEST]) == trees_model.estimate([SEED_REQUEST])
    assert again.card.model_version == trees_model.card.model_version


@pytest.mark.parametrize("part", ["typical", "calibration"])
def test_a_model_that_would_answer_otherwise_has_another_version(
    seattle_sales: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    before = version_of(seattle_sales.head(2000))
    if part == "typical":
        monkeypatch.setattr("phase1_docker_api.model.typical.MIN_HOUSES", 200)
    plan = TrainingPlan("linear", calibration_months=2 if part == "calibration" else 3)

    assert version_of(seattle_sales.head(2000), plan) != before


def test_a_model_has_the_same_version_whatever_the_file_holds_after_its_window(seattle_sales: pd.DataFrame) -> None:
    plan = TrainingPlan("linear", until=pd.Timestamp("2010-06-30").date())
    days = seattle_sales["sale_date"]
    july, august = (seattle_sales[days <= f"2010-{month}-31"] for month in ("07", "08"))

    assert version_of(july, plan) == version_of(august, plan, data_sha256="of a longer file")


def version_of(sales: pd.DataFrame, plan: TrainingPlan | None = None, data_sha256: str = "0") -> str:
    plan = plan or TrainingPlan("linear")
    return train(sales, plan, trained_at=MIDNIGHT, data_sha256=data_sha256).card.model_version


def test_what_is_scored_is_what_is_served_also_for_an_unknown_area(
    trees_model: HouseModel, seattle_sales: pd.DataFrame
) -> None:
    records = [{**r, "neighborhood": "Z99"} for r in records_of(seattle_sales.tail(100))]
    estimates = trees_model.estimate([House(**record) for record in records])

    log_prices, half_widths = trees_model.estimate_log_prices(records)

    assert np.exp(log_prices).round(2).tolist() == [e.price_usd for e in estimates]
    assert np.exp(log_prices + half_widths) == pytest.approx([e.interval_usd.high for e in estimates])


@pytest.mark.parametrize(
    "odd",
    [
        {"neighborhood": "Z99"},
        {"neighborhood": None},
        {"land_area_sqft": 9_999_999.0},
        {"land_area_sqft": 200.0},
        {"year_built": None},
    ],
    ids=str,
)
def test_one_odd_house_of_a_batch_is_seen_as_it_is_alone(
    trees_model: HouseModel, seattle_sales: pd.DataFrame, odd: dict[str, Any]
) -> None:
    houses = [House(**record).__dict__ for record in records_of(seattle_sales.head(20))]
    houses[7] = houses[7] | odd

    assert trees_model.prepare_many(houses) == [trees_model.prepare(house) for house in houses]
    assert trees_model.prepare(houses[7]) != (houses[7], [])


def test_another_seed_is_another_version(seattle_sales: pd.DataFrame) -> None:
    past = seattle_sales.head(2000)
    models = [
        train(past, TrainingPlan("trees", seed=seed), trained_at=MIDNIGHT, data_sha256="0").card.model_version
        for seed in (0, 1)
    ]

    assert models[0] != models[1]


def test_ninety_per_cent_intervals_hold_right_after_training_and_fail_as_the_market_moves(
    trees_model: HouseModel,
) -> None:
    right_after = [score_of(trees_model, f"2012-0{month}").coverage for month in (1, 2, 3)]

    assert np.mean(right_after) == pytest.approx(0.9, abs=0.05)  # type: ignore[arg-type]
    assert score_of(trees_model, "2012", "minimal").coverage == pytest.approx(0.9, abs=0.04)
    assert score_of(trees_model, "2016").coverage < 0.4  # type: ignore[operator]


@pytest.mark.parametrize(
    "left_out", [{"living_area_sqft"}, {"neighborhood", "latitude"}, {"build_grade", "waterfront"}]
)
def test_intervals_hold_for_requests_that_leave_out_some_fields(
    trees_model: HouseModel, seattle_sales: pd.DataFrame, left_out: set[str]
) -> None:
    of_2012 = seattle_sales[seattle_sales["sale_date"].dt.year == 2012]
    houses = [House(**{k: v for k, v in r.items() if k not in left_out}) for r in records_of(of_2012)]

    estimates = trees_model.estimate(houses)

    inside = [e.interval_usd.low <= p <= e.interval_usd.high for e, p in zip(estimates, of_2012["price"], strict=True)]
    assert np.mean(inside) == pytest.approx(0.9, abs=0.04)


def test_the_less_is_known_the_wider_the_interval(trees_model: HouseModel) -> None:
    everything, without_size, nothing = (
        trees_model.half_width(frozenset(House.model_fields) - left_out)
        for left_out in (frozenset(), frozenset({"living_area_sqft", "build_grade"}), frozenset(OPTIONAL_FIELDS))
    )

    assert everything < without_size < nothing


@pytest.mark.parametrize("estimator", ["linear", "trees"])
@pytest.mark.parametrize("better", [{"living_area_sqft": 1.5}, {"build_grade": 1.3}, {"land_area_sqft": 2.5}])
def test_bigger_and_better_houses_are_dearer(
    request: pytest.FixtureRequest, seattle_sales: pd.DataFrame, estimator: str, better: dict[str, float]
) -> None:
    model = request.getfixturevalue(f"{estimator}_model")
    records = records_of(seattle_sales[seattle_sales["property_type"] == "single_family"].head(300))
    improved = [{**r, **{name: round(r[name] * factor) for name, factor in better.items()}} for r in records]

    gain = model.estimate_log_prices(improved)[0] - model.estimate_log_prices(records)[0]

    assert np.median(gain) > 0.01


def test_what_is_given_is_never_replaced_by_an_assumption(trees_model: HouseModel) -> None:
    given = {"land_area_sqft": 4000, "bedrooms": 2, "neighborhood": "A12", "build_grade": 9}

    complete = trees_model.typical.complete(given)

    assert {name: complete[name] for name in given} == given
    assert set(complete) == set(House.model_fields)


def test_coordinates_alone_tell_the_area(trees_model: HouseModel) -> None:
    latitude, longitude = trees_model.typical.area_centres["A45"]

    (estimate,) = trees_model.estimate([House(land_area_sqft=5000, bedrooms=3, latitude=latitude, longitude=longitude)])

    assert estimate.assumed["neighborhood"] == "A45"


def test_a_value_outside_what_was_seen_in_training_is_warned_of(trees_model: HouseModel) -> None:
    (estimate,) = trees_model.estimate([House(land_area_sqft=5_000_000, bedrooms=3)])

    assert [(w.field, w.code) for w in estimate.warnings] == [("land_area_sqft", "outside_training_range")]


def test_a_house_beyond_all_bounds_still_gets_a_finite_price(linear_model: HouseModel) -> None:
    palace = House(land_area_sqft=10_000_000, bedrooms=20, living_area_sqft=100_000, bathrooms=20, build_grade=13)

    (estimate,) = linear_model.estimate([palace])

    assert 0 < estimate.price_usd <= estimate.interval_usd.high < 1e12
    assert {w.field for w in estimate.warnings} >= {"land_area_sqft", "living_area_sqft"}


def test_the_conformal_quantile_is_the_rank_the_method_asks_for() -> None:
    errors = np.arange(1.0, 100.0)  # 99 errors: the 90th smallest

    assert conformal_quantile(errors, 0.9) == 90.0
    assert conformal_quantile(errors[:8], 0.9) == np.inf  # too few for the level


def test_a_city_with_other_columns_areas_and_prices_trains_and_answers(seattle_sales: pd.DataFrame) -> None:
    rng = np.random.default_rng(0)
    city = seattle_sales.head(3000).drop(columns=["build_grade", "latitude", "longitude", "waterfront", "property_id"])
    city["neighborhood"] = "Kemang " + city["neighborhood"]
    city["price"] *= 20
    city.loc[rng.random(len(city)) < 0.2, "bathrooms"] = np.nan

    model = train(city, TrainingPlan("linear"), trained_at=MIDNIGHT, data_sha256="0")

    (estimate,) = model.estimate([House(land_area_sqft=5000, bedrooms=3, neighborhood="Kemang A12", build_grade=7)])
    assert 1_000_000 < estimate.price_usd < 50_000_000
    assert [(w.field, w.code) for w in estimate.warnings] == [("build_grade", "not_used_by_model")]
    assert set(estimate.assumed) == {
        "living_area_sqft", "bathrooms", "year_built", "effective_year_built", "property_type",
    }  # fmt: skip


def test_four_columns_are_enough_to_train(seattle_sales: pd.DataFrame) -> None:
    bare = seattle_sales.head(2000)[["sale_date", "price", "land_area_sqft", "bedrooms"]]

    model = train(bare, TrainingPlan("linear"), trained_at=MIDNIGHT, data_sha256="0")

    (estimate,) = model.estimate([SEED_REQUEST])
    assert estimate.assumed == {}
    assert list(score_sales(model, bare.tail(100), "later"))


@pytest.mark.parametrize("until", ["2010-01-20", "2009-12-31"])
def test_a_window_with_too_few_sales_is_refused_with_what_to_do(seattle_sales: pd.DataFrame, until: str) -> None:
    plan = TrainingPlan("linear", until=pd.Timestamp(until).date())

    with pytest.raises(TrainingError, match="widen the window"):
        train(seattle_sales, plan, trained_at=MIDNIGHT, data_sha256="0")


def test_only_sales_after_the_window_are_scored(linear_model: HouseModel, seattle_sales: pd.DataFrame) -> None:
    scores = score_periods(linear_model, seattle_sales, "Y")

    assert {s.period for s in scores} == {"2012", "2013", "2014", "2015", "2016"}
    assert sum(s.sales for s in scores if s.request == "complete") == (seattle_sales["sale_date"].dt.year > 2011).sum()
