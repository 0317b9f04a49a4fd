"""Turn a fitted scikit-learn pipeline into what is served: the same predictions from arrays and numpy alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.feature_extraction import DictVectorizer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from phase1_docker_api.errors import TrainingError
from phase1_docker_api.model.columns import Columns
from phase1_docker_api.model.fitted import FittedModel, Floats, LinearRegressor, TreesRegressor
from phase1_docker_api.model.typical import Record

# The most by which the log price of what is served may differ from the pipeline's.
TOLERANCE = 1e-9
NO_CHILD = -1


def convert(pipeline: Pipeline, records: Sequence[Record]) -> FittedModel:
    """Give the pipeline in the form that is served, once it was seen to predict the same for `records`.

    The first step is a DictVectorizer. Trees follow it at once: gradient boosting, histogram boosting, random
    forest, extra trees or a single tree. Before a linear regressor there may be a StandardScaler, then
    PolynomialFeatures.

    Raises:
        TrainingError: the pipeline has another form, or does something that is not converted.

    """
    vectorizer, *between, estimator = pipeline.named_steps.values()
    if not isinstance(vectorizer, DictVectorizer):
        raise _not_served(vectorizer, "the first step has to be a DictVectorizer")
    columns = Columns(tuple(vectorizer.feature_names_))
    fitted = FittedModel(columns, _regressor(between, estimator, len(columns.names)))
    apart = np.abs(fitted.predict(records) - pipeline.predict(records)).max(initial=0.0)
    if not apart <= TOLERANCE:
        raise _not_served(estimator, f"what is served would be off by {apart:.2g} in the log price")
    return fitted


def _regressor(between: list[Any], estimator: Any, columns: int) -> LinearRegressor | TreesRegressor:
    if hasattr(estimator, "coef_"):
        return _linear(between, estimator, columns)
    if between:
        raise _not_served(between[0], "trees need no step between them and the DictVectorizer")
    if isinstance(estimator, GradientBoostingRegressor):
        trees = [_tree(each.tree_) for each in estimator.estimators_.ravel()]
        return _trees(trees, estimator.learning_rate, _constant(estimator), np.float32)
    if isinstance(estimator, RandomForestRegressor | ExtraTreesRegressor):
        return _trees([_tree(each.tree_) for each in estimator.estimators_], 1 / len(estimator), 0.0, np.float32)
    if isinstance(estimator, DecisionTreeRegressor):
        return _trees([_tree(estimator.tree_)], 1.0, 0.0, np.float32)
    if isinstance(estimator, HistGradientBoostingRegressor):
        # scikit-learn has no public name for what its histogram boosting has learned.
        trees = [_histogram_tree(each.nodes) for (each,) in estimator._predictors]
        return _trees(trees, 1.0, float(np.ravel(estimator._baseline_prediction)[0]), np.float64)
    raise _not_served(estimator, "add it to convert.py")


def _not_served(step: object, why: str) -> TrainingError:
    return TrainingError(f"a {type(step).__name__} in this place cannot be served: {why}")


def _linear(between: list[Any], estimator: Any, columns: int) -> LinearRegressor:
    means, scales = np.zeros(columns), np.ones(columns)
    if between and isinstance(between[0], StandardScaler):
        scaler, *between = between
        means = scaler.mean_ if scaler.with_mean else means
        scales = scaler.scale_ if scaler.with_std else scales
    terms = np.arange(columns)[:, None]
    if between and isinstance(between[0], PolynomialFeatures):
        products, *between = between
        terms = _terms(products.powers_)
    if between:
        raise _not_served(between[0], "a linear pipeline may have a StandardScaler, then PolynomialFeatures")
    return LinearRegressor(
        np.array(means), np.array(scales), terms, np.ravel(estimator.coef_), float(np.ravel(estimator.intercept_)[0])
    )


def _terms(powers: NDArray[np.intp]) -> NDArray[np.intp]:
    """Name the columns of each product; the number of columns stands for the factor 1."""
    columns = powers.shape[1]
    terms = np.full((len(powers), max(1, int(powers.sum(axis=1).max()))), columns)
    for term, of_term in zip(terms, powers, strict=True):
        factors = np.repeat(np.arange(columns), of_term)
        term[: len(factors)] = factors
    return terms


def _constant(boosting: GradientBoostingRegressor) -> float:
    """Give what the boosting starts from; an estimator that it starts from is noticed by the comparison."""
    return float(np.ravel(getattr(boosting.init_, "constant_", 0.0))[0])


@dataclass(frozen=True)
class Tree:
    """One tree, its nodes in any order; a leaf has NO_CHILD on the left."""

    left: NDArray[np.intp]
    right: NDArray[np.intp]
    columns: NDArray[np.intp]
    thresholds: Floats
    values: Floats


def _tree(tree: Any) -> Tree:
    return Tree(tree.children_left, tree.children_right, tree.feature, tree.threshold, tree.value.ravel())


def _histogram_tree(nodes: Any) -> Tree:
    leaf = nodes["is_leaf"].astype(bool)
    left, right = (np.where(leaf, NO_CHILD, nodes[side].astype(np.intp)) for side in ("left", "right"))
    return Tree(left, right, nodes["feature_idx"], nodes["num_threshold"], nodes["value"])


def _trees(trees: Sequence[Tree], weight: float, start: float, dtype: type[np.floating]) -> TreesRegressor:
    """Put the nodes of all trees into one row, level by level, so that the two children of a node are neighbours."""
    firsts = np.cumsum([0, *(len(tree.left) for tree in trees)])[:-1]
    left, right = (_shifted([getattr(tree, side) for tree in trees], firsts) for side in ("left", "right"))
    old = np.concatenate(list(_levels(firsts, left, right)))
    new = np.empty(len(left), np.intp)
    new[old] = np.arange(len(old))
    leaf = left[old] == NO_CHILD
    columns, thresholds, values = (
        np.concatenate([getattr(tree, name) for tree in trees])[old] for name in ("columns", "thresholds", "values")
    )
    return TreesRegressor(
        start=start,
        roots=len(trees),
        columns=np.where(leaf, 0, columns).astype(np.intp),
        thresholds=np.where(leaf, np.inf, _rounded_down(thresholds, dtype)).astype(dtype),
        first_children=np.where(leaf, np.arange(len(old)), new[left[old]]),
        values=np.asarray(values * weight, np.float64),
    )


def _shifted(children: list[NDArray[np.intp]], firsts: NDArray[np.intp]) -> NDArray[np.intp]:
    """Number the children of each tree from its first node on."""
    pairs = zip(children, firsts, strict=True)
    return np.concatenate([np.where(of_tree == NO_CHILD, NO_CHILD, of_tree + first) for of_tree, first in pairs])


def _levels(roots: NDArray[np.intp], left: NDArray[np.intp], right: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    level = roots
    while len(level):
        yield level
        splits = level[left[level] != NO_CHILD]
        level = np.stack([left[splits], right[splits]], axis=1).ravel()


def _rounded_down(thresholds: Floats, dtype: type[np.floating]) -> NDArray[np.floating]:
    """Give the largest number of that type that is not above the threshold: the same values lie above both."""
    rounded = thresholds.astype(dtype)
    return np.where(rounded > thresholds, np.nextafter(rounded, dtype(-np.inf)), rounded)
