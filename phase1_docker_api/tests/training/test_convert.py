"""Room: training. What is served prices as the scikit-learn pipeline that it was made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from phase1_docker_api.errors import TrainingError
from phase1_docker_api.model.fitted import FittedModel
from phase1_docker_api.schemas import Given
from phase1_docker_api.training.convert import convert
from phase1_docker_api.training.estimators import ESTIMATORS
from phase1_docker_api.training.sales import records_of
from sklearn.ensemble import (
    AdaBoostRegressor,
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import Lasso, LinearRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeRegressor

SERVED: dict[str, list[Any]] = {
    "gradient boosting": [GradientBoostingRegressor(n_estimators=20, subsample=0.5)],
    "gradient boosting from zero": [GradientBoostingRegressor(n_estimators=5, init="zero")],
    "gradient boosting of another loss": [GradientBoostingRegressor(n_estimators=5, loss="huber")],
    "random forest, as deep as it likes": [RandomForestRegressor(n_estimators=10)],
    "extra trees": [ExtraTreesRegressor(n_estimators=10, max_depth=5)],
    "histogram boosting": [HistGradientBoostingRegressor(max_iter=20)],
    "a chain as deep as it has leaves": [HistGradientBoostingRegressor(max_iter=2, max_leaf_nodes=None)],
    "one tree": [DecisionTreeRegressor()],
    "one leaf": [DecisionTreeRegressor(max_leaf_nodes=2, min_samples_leaf=1400)],
    "least squares": [StandardScaler(), LinearRegression()],
    "lasso": [StandardScaler(), Lasso(0.001)],
    "a scaler that only shifts": [StandardScaler(with_std=False), Lasso(0.001)],
    "products": [StandardScaler(), PolynomialFeatures(2, interaction_only=True), Ridge()],
    "powers": [StandardScaler(), PolynomialFeatures(2, include_bias=False), Ridge()],
}
NOT_SERVED: dict[str, list[Any]] = {
    "add it to convert.py": [AdaBoostRegressor(n_estimators=2)],
    "may have a StandardScaler": [MinMaxScaler(), Lasso()],
    "trees need no step between": [StandardScaler(), DecisionTreeRegressor()],
    "would be off by": [GradientBoostingRegressor(n_estimators=2, init=DecisionTreeRegressor(max_depth=2))],
}


@pytest.fixture(scope="module")
def sold(seattle_sales: pd.DataFrame) -> tuple[list[dict[str, Given]], np.ndarray]:
    """Some sales that have every field, and one in an area of which no model knows."""
    sales = seattle_sales.dropna().sample(2001, random_state=0)
    records = records_of(sales)
    records[-1]["neighborhood"] = "Z99"
    return records, np.log(sales["price"].to_numpy())


def fitted(steps: list[Any], records: list[dict[str, Given]], log_prices: np.ndarray) -> Pipeline:
    """A pipeline that has seen most of the records."""
    return make_pipeline(DictVectorizer(sparse=False), *steps).fit(records[:1500], log_prices[:1500])


def assert_same(served: FittedModel, pipeline: Pipeline, records: list[dict[str, Given]]) -> None:
    expected = pipeline.predict(records)
    for some in (slice(None), slice(-65, None), slice(-3, None), slice(-1, None)):
        assert served.predict(records[some]) == pytest.approx(expected[some], abs=1e-9, rel=0)


@pytest.mark.parametrize("kind", SERVED)
def test_what_is_served_predicts_as_the_pipeline(sold: Any, kind: str) -> None:
    records, log_prices = sold
    pipeline = fitted(SERVED[kind], records, log_prices)

    served = FittedModel.from_arrays(convert(pipeline, records[:10]).arrays())

    assert_same(served, pipeline, records)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_each_estimator_of_ours_is_served_as_its_pipeline_predicts(sold: Any, estimator: str) -> None:
    records, log_prices = sold
    pipeline = ESTIMATORS[estimator](0).fit(records[:1500], log_prices[:1500])

    assert_same(convert(pipeline, records[:10]), pipeline, records)


@pytest.mark.parametrize("says", NOT_SERVED)
def test_a_pipeline_that_cannot_be_served_is_refused_with_the_reason(sold: Any, says: str) -> None:
    pipeline = fitted(NOT_SERVED[says], *sold)

    with pytest.raises(TrainingError, match=says):
        convert(pipeline, sold[0][:100])


def test_a_pipeline_that_reads_something_else_than_records_is_refused() -> None:
    pipeline = make_pipeline(StandardScaler(), Ridge()).fit([[1.0], [2.0]], [1.0, 2.0])

    with pytest.raises(TrainingError, match="has to be a DictVectorizer"):
        convert(pipeline, [])


def test_a_value_on_a_threshold_goes_the_way_that_scikit_learn_sends_it() -> None:
    areas = np.linspace(1, 2, 4001)
    records = [{"area": area} for area in areas.tolist()]
    pipeline = make_pipeline(DictVectorizer(sparse=False), DecisionTreeRegressor()).fit(records[::2], areas[::2])
    thresholds = pipeline[-1].tree_.threshold
    near = [value for t in thresholds[thresholds > 0] for value in (t, np.nextafter(t, 0), np.nextafter(t, 9))]

    assert_same(convert(pipeline, records), pipeline, [{"area": float(value)} for value in near])


def test_deep_trees_take_no_more_room_than_they_have_nodes(sold: Any) -> None:
    records, log_prices = sold
    pipeline = fitted([RandomForestRegressor(n_estimators=10)], records, log_prices)

    arrays = convert(pipeline, records[:10]).arrays()

    assert len(arrays["values"]) == sum(tree.tree_.node_count for tree in pipeline[-1].estimators_)
