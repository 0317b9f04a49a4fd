"""Fixtures for the tests of this phase and of every later one: real sales, real models, a real service."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from phase1_docker_api.model.artifact import save_model
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.service.launch import running_service
from phase1_docker_api.training.evaluate import score_training
from phase1_docker_api.training.sales import file_digest, load_clean_sales
from phase1_docker_api.training.train import TrainingPlan, train

SEATTLE = Path(__file__).parents[3] / "data" / "seattle_sales_2010_2016.parquet"
FROZEN_UNTIL = dt.date(2011, 12, 31)
TODAY = dt.date(2017, 1, 1)
MIDNIGHT = dt.datetime(2017, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="session")
def seattle_sales() -> pd.DataFrame:
    """All clean sales of 2010 to 2016."""
    return load_clean_sales(SEATTLE, TODAY).clean


def train_frozen(sales: pd.DataFrame, estimator: str) -> HouseModel:
    """Train on the sales of 2010 and 2011, and score on those after."""
    plan = TrainingPlan(estimator=estimator, until=FROZEN_UNTIL)
    model = train(sales, plan, trained_at=MIDNIGHT, data_sha256=file_digest(SEATTLE))
    return model.with_scores(score_training(model, sales))


@pytest.fixture(scope="session")
def trees_model(seattle_sales: pd.DataFrame) -> HouseModel:
    """The trees of 2010 and 2011."""
    return train_frozen(seattle_sales, "trees")


@pytest.fixture(scope="session")
def linear_model(seattle_sales: pd.DataFrame) -> HouseModel:
    """The linear baseline of 2010 and 2011."""
    return train_frozen(seattle_sales, "linear")


@pytest.fixture(scope="session")
def trees_artifact(trees_model: HouseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder the trees were saved in; treat it as read-only."""
    return save_model(trees_model, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def service_url(trees_artifact: Path) -> Iterator[str]:
    """Address of a service that serves the trees for the whole test run."""
    with running_service(trees_artifact) as (url, _):
        yield url
