"""What several rooms of this phase's tests share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from phase1_docker_api.testing import MIDNIGHT
from phase1_docker_api.training.estimators import ESTIMATORS
from phase3_mlops_core.registry.versions import Registry
from phase3_mlops_core.testing import MlflowServer, mlflow_server  # noqa: F401  # a fixture
from phase3_mlops_core.testing_spark import spark, spark_server  # noqa: F401  # fixtures
from phase3_mlops_core.training.monthly import Trained, train_month
from phase3_mlops_core.training.plan import MonthlyPlan

# Fifteen trees are off by 13 %, not 11, and are there in no time.
FEW = {"log_price__n_estimators": 15, "log_price__learning_rate": 0.3}
SMALL = MonthlyPlan("trees", 6, parameters=FEW)


@pytest.fixture(scope="module")
def few_trees() -> Iterator[None]:
    """Give the course's own plan few trees, for tests that ask what is done with a model, not how good it is."""
    whole = ESTIMATORS["trees"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ESTIMATORS, "trees", lambda seed: whole(seed).set_params(**FEW))
        yield


def small_training(sales: pd.DataFrame, month: str) -> Trained:
    """Train a month quickly."""
    return train_month(
        sales,
        pd.Period(month, "M"),
        SMALL,
        search=False,
        data_sha256="0" * 64,
        trained_at=MIDNIGHT,
        say=lambda text: None,
    )


@pytest.fixture(scope="session")
def february(seattle_sales: pd.DataFrame) -> Trained:
    """A quick training of 2012-02."""
    return small_training(seattle_sales, "2012-02")


@pytest.fixture
def registry(mlflow_server: MlflowServer, tmp_path: Path) -> Iterator[Registry]:  # noqa: F811
    """An empty registry: a model name and an experiment of the test's own."""
    before = dict(os.environ)
    yield Registry(mlflow_server.settings(tmp_path / "home"))
    for name in set(os.environ) - set(before):
        del os.environ[name]


@pytest.fixture(scope="session")
def mlflow_store(mlflow_server: MlflowServer) -> Path:  # noqa: F811
    """Where the server keeps the artifacts."""
    return mlflow_server.store / "artifacts"


# pyspark takes a program without a file, as a worker of pytest-xdist is one, for its own doctests, and ends it.
if not hasattr(sys.modules["__main__"], "__file__"):
    sys.modules["__main__"].__file__ = __file__
