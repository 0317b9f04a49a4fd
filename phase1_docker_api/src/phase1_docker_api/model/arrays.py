"""Turn a fitted pipeline into plain arrays and back: a file of numbers and text names nothing that could run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor
from sklearn.tree._tree import NODE_DTYPE, TREE_LEAF, Tree

from phase1_docker_api.errors import ArtifactError

Arrays = Mapping[str, NDArray[Any]]


def to_arrays(pipeline: Pipeline) -> Arrays:
    """Take a fitted pipeline apart: its steps with their classes and parameters, and what each has learned.

    Raises:
        ArtifactError: the class of a step is not in FORMS, or a parameter is more than numbers and text.

    """
    for _, step in pipeline.steps:
        if type(step) not in FORMS:
            kind = type(step).__name__
            raise ArtifactError(f"a {kind} cannot be saved yet: add it to FORMS, at the end of arrays.py")
    try:
        steps = json.dumps([(name, type(step).__name__, _chosen_parameters(step)) for name, step in pipeline.steps])
    except TypeError as error:
        raise ArtifactError(f"only numbers and text can be saved, and a parameter is more: {error}") from error
    learned = {
        f"{name}.{part}": array
        for name, step in pipeline.steps
        for part, array in FORMS[type(step)].taken_apart(step).items()
    }
    return {"steps": np.array(steps), **learned}


def from_arrays(arrays: Arrays) -> Pipeline:
    """Build the pipeline again; it predicts the same to the last bit.

    Raises:
        Exception: the arrays are not what `to_arrays` gave; scikit-learn and numpy have many words for that.

    """
    kinds = {kind.__name__: kind for kind in FORMS}
    steps = []
    for name, kind, parameters in json.loads(str(arrays["steps"])):
        step, start = kinds[kind](**parameters), f"{name}."
        parts = {key.removeprefix(start): array for key, array in arrays.items() if key.startswith(start)}
        FORMS[kinds[kind]].put_together(step, parts)
        steps.append((name, step))
    pipeline = Pipeline(steps)
    # It goes through every step: what does not fit together shows now, and not at the first request.
    first = pipeline.predict([{}])
    _demand(first.shape == (1,) and np.isfinite(first).all(), "it predicts no number")
    return pipeline


@dataclass(frozen=True)
class Form:
    """How one class of estimators is taken apart, and how a new one is given the parts."""

    taken_apart: Callable[[Any], Arrays]
    put_together: Callable[[Any, Arrays], None]


def attributes(*names: str) -> Form:
    """The form of an estimator that has learned nothing but these attributes: numbers, or arrays of numbers."""

    def put_together(step: Any, parts: Arrays) -> None:
        for name in names:
            setattr(step, name, parts[name] if parts[name].ndim else parts[name].item())

    return Form(lambda step: {name: np.asarray(getattr(step, name)) for name in names}, put_together)


def _chosen_parameters(step: Any) -> dict[str, Any]:
    defaults = type(step)().get_params()
    return {name: value for name, value in step.get_params().items() if repr(value) != repr(defaults.get(name))}


def _demand(holds: object, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def _columns(vectorizer: DictVectorizer) -> Arrays:
    return {"columns": np.array(vectorizer.feature_names_)}


def _give_columns(vectorizer: DictVectorizer, parts: Arrays) -> None:
    names = parts["columns"].tolist()
    vectorizer.feature_names_, vectorizer.vocabulary_ = names, {name: column for column, name in enumerate(names)}
    _demand(parts["columns"].dtype.kind == "U" and len(vectorizer.vocabulary_) == len(names), "not a name a column")


def _trees(boosting: GradientBoostingRegressor) -> Arrays:
    """All trees in one row, and where each ends."""
    trees = [estimator.tree_ for estimator in boosting.estimators_.ravel()]
    ends = np.cumsum([tree.node_count for tree in trees])
    nodes = np.zeros(ends[-1], NODE_DTYPE)  # not `empty`: the gaps between a node's fields are written too
    for tree, end in zip(trees, ends, strict=True):
        nodes[end - tree.node_count : end] = tree.__getstate__()["nodes"]
    return {
        "columns": np.array(boosting.n_features_in_),
        "start": boosting.init_.constant_[0, 0],
        "nodes": nodes,
        "values": np.concatenate([tree.value.ravel() for tree in trees]),
        "ends": ends,
    }


def _give_trees(boosting: GradientBoostingRegressor, parts: Arrays) -> None:
    columns, nodes, values, ends = int(parts["columns"]), parts["nodes"], parts["values"], parts["ends"]
    depths = _checked_depths(nodes, values, ends, columns)
    trees = np.empty((len(ends), 1), dtype=object)
    for number, (first, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        tree = Tree(columns, np.array([1]), 1)
        tree.__setstate__({
            "max_depth": depths[number],
            "node_count": end - first,
            "nodes": nodes[first:end],
            "values": values[first:end].reshape(-1, 1, 1),
        })  # fmt: skip
        trees[number, 0] = _fitted(DecisionTreeRegressor(), columns, tree_=tree)
    start = _fitted(DummyRegressor(), columns, constant_=np.full((1, 1), parts["start"].item()))
    loss = boosting._get_loss(sample_weight=None)
    _fitted(boosting, columns, estimators_=trees, init_=start, _loss=loss, n_trees_per_iteration_=1)


def _fitted(estimator: Any, columns: int, **learned: Any) -> Any:
    vars(estimator).update(n_features_in_=columns, n_outputs_=1, **learned)
    return estimator


def _checked_depths(nodes: NDArray[Any], values: NDArray[Any], ends: NDArray[Any], columns: int) -> NDArray[np.intp]:
    """Give the depth of each tree.

    scikit-learn follows the numbers in a node without a look at bounds: a wrong one would read any memory, or
    never end. So each node but a root must be the child of exactly one that stands before it in the same tree.
    """
    types = [array.dtype for array in (nodes, values, ends)]
    _demand(types == [NODE_DTYPE, np.dtype(np.float64), np.dtype(np.intp)], "numbers of another type")
    _demand(nodes.shape == values.shape == (len(nodes),) and ends.shape == (len(ends),), "not one row")
    sizes = np.diff(ends, prepend=0)
    _demand((ends > 0).all() and (sizes > 0).all() and ends[-1] == len(nodes), "the ends do not fit the nodes")
    tree = np.repeat(np.arange(len(ends)), sizes)
    roots = ends - sizes
    left, right = (nodes[side] + roots[tree] for side in ("left_child", "right_child"))
    splits = nodes["left_child"] != TREE_LEAF
    children = np.stack([left, right])[:, splits]
    _demand((children > np.flatnonzero(splits)).all() and (children < ends[tree[splits]]).all(), "a child elsewhere")
    _demand(children.size == len(nodes) - len(ends) and np.bincount(children.ravel()).max() == 1, "not one parent")
    _demand((nodes["right_child"][~splits] == TREE_LEAF).all(), "an only child")
    features = nodes["feature"][splits]
    _demand((features >= 0).all() and (features < columns).all(), "an unknown column")
    _demand(np.isfinite(nodes["threshold"]).all() and np.isfinite(values).all(), "not finite")
    depths, level = np.zeros(len(ends), np.intp), roots
    while len(level := level[splits[level]]):
        depths[tree[level]] += 1
        level = np.concatenate([left[level], right[level]])
    return depths


# Every class that a step of a saved pipeline may have. An estimator with other parts gets two functions, as trees do.
FORMS: dict[type[Any], Form] = {
    DictVectorizer: Form(_columns, _give_columns),
    GradientBoostingRegressor: Form(_trees, _give_trees),
    Ridge: attributes("coef_", "intercept_", "n_features_in_"),
    StandardScaler: attributes("mean_", "scale_", "var_", "n_features_in_"),
}
