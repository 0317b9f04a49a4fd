"""The estimators that can be trained, as scikit-learn pipelines from records to log prices."""

from __future__ import annotations

from sklearn.ensemble import GradientBoostingRegressor
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler


def linear(seed: int) -> Pipeline:
    """Ridge regression: the price is a product, one factor a field. The baseline to read first."""
    return Pipeline([
        ("fields", DictVectorizer(sparse=False)),
        ("scale", StandardScaler()),
        ("log_price", Ridge()),
    ])  # fmt: skip


def trees(seed: int) -> Pipeline:
    """Stochastic gradient boosting (Friedman 2002); the parameters are what `phase1 tune` chose."""
    boosting = GradientBoostingRegressor(
        n_estimators=300,
        learning_rate=0.05,
        max_depth=6,
        min_samples_leaf=5,
        subsample=0.5,
        max_features=0.3,
        random_state=seed,
    )
    return Pipeline([("fields", DictVectorizer(sparse=False)), ("log_price", boosting)])


# A new estimator is a line here; convert.py says what can be served.
ESTIMATORS = {"linear": linear, "trees": trees}
