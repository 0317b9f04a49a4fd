"""What a fitted model is: the names of its columns, and arrays of numbers. Serving it needs numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from phase1_docker_api.model.columns import Columns
from phase1_docker_api.model.typical import Record

Floats = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]
# So many rows are predicted at a time: what lies between the steps then stays in the processor's cache.
ROWS = 64
# Trees are padded when that makes at most so many times their nodes.
MOST_PADDING = 4

# The columns and thresholds of the nodes of a level, and where their children stand if not at twice their place.
Level = tuple[NDArray[np.intp], NDArray[np.floating], NDArray[np.intp] | None]


@dataclass(frozen=True)
class LinearRegressor:
    """A sum of terms, each a coefficient times the product of one or more standardized columns.

    Column c is standardized as (x - means[c]) / scales[c]. `terms` has one row a term with the numbers of its
    columns; where a product has fewer than others, the number of columns stands, for the factor 1.
    """

    means: Floats
    scales: Floats
    terms: NDArray[np.intp]
    coefficients: Floats
    intercept: float

    kind: ClassVar[str] = "linear"
    dtype = np.float64

    def predict(self, table: NDArray[np.floating]) -> Floats:
        """Give one number a row."""
        predicted = np.empty(len(table))
        for first in range(0, len(table), ROWS):
            predicted[first : first + ROWS] = self._sum(table[first : first + ROWS])
        return predicted

    def _sum(self, table: NDArray[np.floating]) -> Floats:
        standardized = np.ones(table.shape)
        standardized[:, :-1] = (table[:, :-1] - self.means) / self.scales
        products = standardized[:, self.terms[:, 0]]
        for columns in self.terms.T[1:]:
            products *= standardized[:, columns]
        return np.asarray(products @ self.coefficients + self.intercept)

    def arrays(self) -> Arrays:
        """Give all that `from_arrays` needs."""
        return {
            "means": self.means,
            "scales": self.scales,
            "terms": self.terms,
            "coefficients": self.coefficients,
            "intercept": np.array(self.intercept),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays, columns: int) -> LinearRegressor:
        """Build it again, and refuse arrays that do not fit each other or the columns."""
        means, scales, terms, coefficients = (arrays[n] for n in ("means", "scales", "terms", "coefficients"))
        _demand_types(arrays, means="f8", scales="f8", terms="i8", coefficients="f8", intercept="f8")
        _demand_finite(means, scales, coefficients, arrays["intercept"])
        _demand(means.shape == scales.shape == (columns,) and (scales != 0).all(), "another number of columns")
        _demand(terms.ndim == 2 and terms.shape[1] > 0 and coefficients.shape == terms.shape[:1], "not one row a term")
        _demand(terms.size == 0 or (terms.min() >= 0 and terms.max() <= columns), "a term of an unknown column")
        return cls(means, scales, terms, coefficients, float(arrays["intercept"]))


class WalkBuffers(NamedTuple):
    """What a step of a walk writes into, one cell a tree and row: to allocate it anew takes as long as the step."""

    nodes: NDArray[np.intp]
    cells: NDArray[np.intp]
    seen: NDArray[np.floating]
    limits: NDArray[np.floating]
    greater: NDArray[np.bool_]

    @classmethod
    def make(cls, trees: int, rows: int, dtype: type[np.floating]) -> WalkBuffers:
        """Allocate buffers for so many trees and rows."""
        return cls(*(np.empty((trees, rows), kind) for kind in (np.intp, np.intp, dtype, dtype, np.bool_)))


@dataclass(frozen=True)
class TreesRegressor:
    """A start, plus what each of many trees says.

    All nodes of all trees stand in one row, the roots first. A node compares the value in its column with its
    threshold: a greater value leads to the node after `first_child`, any other to `first_child` itself. A leaf is its
    own first child and has an infinite threshold, so a walk that has arrived stays there. All trees are
    walked together, one level a step.

    Thresholds are of the type that values are compared in: scikit-learn rounds values to 32 bits before it
    walks, except in its histogram boosting.
    """

    start: float
    roots: int
    columns: NDArray[np.intp]
    thresholds: NDArray[np.floating]
    first_children: NDArray[np.intp]
    values: Floats

    kind: ClassVar[str] = "trees"

    @property
    def dtype(self) -> type[np.floating]:
        """The type that values are compared in."""
        return self.thresholds.dtype.type

    def predict(self, table: NDArray[np.floating]) -> Floats:
        """Give one number a row."""
        predicted = np.empty(len(table))
        rows = min(ROWS, len(table))
        buffers = WalkBuffers.make(self.roots, rows, self.dtype)
        for first in range(0, len(table), ROWS):
            first = min(first, len(table) - rows)  # the last part overlaps the one before, to fit the buffers
            predicted[first : first + rows] = self._walk(table[first : first + rows], buffers)
        return predicted

    def _walk(self, table: NDArray[np.floating], buffers: WalkBuffers) -> Floats:
        levels, values = self._levels
        nodes, cells, seen, limits, greater = buffers
        first_cells = np.arange(len(table)) * table.shape[1]
        nodes[:] = np.arange(self.roots)[:, None]
        for columns, thresholds, first_children in levels:
            columns.take(nodes, out=cells, mode="clip")  # only with this mode does numpy write into `out` at once
            np.add(cells, first_cells, out=cells)
            table.take(cells, out=seen, mode="clip")
            thresholds.take(nodes, out=limits, mode="clip")
            np.greater(seen, limits, out=greater)
            if first_children is None:
                np.add(nodes, nodes, out=cells)
            else:
                first_children.take(nodes, out=cells, mode="clip")
            np.add(cells, greater, out=nodes)
        return np.asarray(values.take(nodes).sum(axis=0) + self.start)

    @cached_property
    def _levels(self) -> tuple[list[Level], Floats]:
        """Give what each step of a walk looks up, and the values of the nodes that the last one leads to.

        Shallow trees are padded to one depth, a leaf repeated downward: the children of the node at i are then
        at 2i and 2i + 1 of the next level and need no look-up, which saves a sixth of the time for many rows.
        Padded, a deep and narrow tree would be too large; it is walked as it is.
        """
        if self.roots << self._depth > MOST_PADDING * len(self.values):
            return [(self.columns, self.thresholds, self.first_children)] * self._depth, self.values
        levels: list[Level] = []
        nodes = np.arange(self.roots)
        for _ in range(self._depth):
            levels.append((self.columns[nodes], self.thresholds[nodes], None))
            first = self.first_children[nodes]
            nodes = np.stack([first, np.where(first == nodes, nodes, first + 1)], axis=1).ravel()
        return levels, self.values[nodes]

    @cached_property
    def _depth(self) -> int:
        depth, level = 0, np.arange(self.roots)
        while len(level := level[self.first_children[level] > level]):
            first = self.first_children[level]
            depth, level = depth + 1, np.concatenate([first, first + 1])
        return depth

    def arrays(self) -> Arrays:
        """Give all that `from_arrays` needs."""
        return {
            "start": np.array(self.start),
            "roots": np.array(self.roots),
            "columns": self.columns,
            "thresholds": self.thresholds,
            "first_children": self.first_children,
            "values": self.values,
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays, columns: int) -> TreesRegressor:
        """Build it again, and refuse arrays that do not fit each other or the columns."""
        tested, thresholds, first, values = (
            arrays[name] for name in ("columns", "thresholds", "first_children", "values")
        )
        _demand_types(arrays, start="f8", roots="i8", columns="i8", thresholds=("f4", "f8"), first_children="i8")
        _demand_types(arrays, values="f8")
        _demand_finite(arrays["start"], values)
        roots, count = int(arrays["roots"]), len(values)
        _demand(0 < roots <= count, "no tree")
        _demand(tested.shape == thresholds.shape == first.shape == values.shape == (count,), "not one row")
        _demand(tested.min() >= 0 and tested.max() < columns, "an unknown column")
        # A child stands after its parent, so a walk ends.
        place = np.arange(count)
        splits = first != place
        _demand((first >= place).all() and (first[splits] < count - 1).all(), "a child elsewhere")
        _demand(np.isfinite(thresholds[splits]).all() and (thresholds[~splits] == np.inf).all(), "a leaf that leads on")
        return cls(float(arrays["start"]), roots, tested, thresholds, first, values)


KINDS: dict[str, type[LinearRegressor] | type[TreesRegressor]] = {
    kind.kind: kind for kind in (LinearRegressor, TreesRegressor)
}


@dataclass(frozen=True)
class FittedModel:
    """Columns and a regressor: complete records in, one number each out."""

    columns: Columns
    regressor: LinearRegressor | TreesRegressor

    def predict(self, records: Sequence[Record]) -> Floats:
        """Give one number a record; records have a value for each field."""
        return self.regressor.predict(self.columns.table(records, self.regressor.dtype))

    def arrays(self) -> Arrays:
        """Give all that `from_arrays` needs: numbers and text."""
        names = np.array(self.columns.names)
        return {"kind": np.array(self.regressor.kind), "names": names, **self.regressor.arrays()}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> FittedModel:
        """Build it again; it predicts the same to the last bit.

        Raises:
            ValueError, KeyError: the arrays are not what `arrays` gave.

        """
        names = arrays["names"]
        _demand(names.dtype.kind == "U" and names.ndim == 1 and len(set(names.tolist())) == len(names), "no names")
        regressor = KINDS[str(arrays["kind"])].from_arrays(arrays, len(names))
        return cls(Columns(tuple(names.tolist())), regressor)


def _demand(holds: object, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def _demand_types(arrays: Arrays, **types: str | tuple[str, ...]) -> None:
    for name, allowed in types.items():
        _demand(arrays[name].dtype.str[1:] in allowed, f"{name} of another type")


def _demand_finite(*arrays: NDArray[Any]) -> None:
    _demand(all(np.isfinite(array).all() for array in arrays), "not finite")
