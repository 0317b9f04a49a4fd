"""Turn records into the table of numbers that was fitted: a number is one column, a category one column a value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from phase1_docker_api.model.typical import Record
from phase1_docker_api.schemas import Given


@dataclass(frozen=True)
class Columns:
    """The names of the columns, as scikit-learn's DictVectorizer writes them: `bedrooms`, `neighborhood=A12`."""

    names: tuple[str, ...]

    def table(self, records: Sequence[Record], dtype: type[np.floating]) -> NDArray[np.floating]:
        """Give one row a record, and a last column that no model reads: it takes the categories without a column.

        `records` have a value for each field.
        """
        table = np.zeros((len(records), len(self.names) + 1), dtype)
        if self._numbers:
            numbers = np.fromiter(chain.from_iterable(map(self._numbers_of, records)), dtype)
            table[:, self._number_columns] = numbers.reshape(len(records), -1)
        rows, unknown = range(len(records)), len(self.names)
        for name, columns in self._categories.items():
            table[rows, [columns.get(record[name], unknown) for record in records]] = 1
        return table

    @cached_property
    def _numbers(self) -> list[str]:
        return [name for name in self.names if "=" not in name]

    @cached_property
    def _number_columns(self) -> NDArray[np.intp]:
        return np.array([column for column, name in enumerate(self.names) if "=" not in name])

    @cached_property
    def _numbers_of(self) -> Callable[[Record], Iterable[Given]]:
        """Get the numbers of a record; `itemgetter` is the quickest way, and gives no tuple for a single name."""
        get = itemgetter(*self._numbers)
        return get if len(self._numbers) > 1 else lambda record: (get(record),)

    @cached_property
    def _categories(self) -> dict[str, dict[Given, int]]:
        categories: dict[str, dict[Given, int]] = {}
        for column, key in enumerate(self.names):
            name, is_category, value = key.partition("=")
            if is_category:
                categories.setdefault(name, {})[value] = column
        return categories
