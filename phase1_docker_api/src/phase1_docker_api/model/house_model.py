"""The model that is trained here and served by every later phase: records in, prices with intervals out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from phase1_docker_api.model.context import ContextFeature, context_values, offsets
from phase1_docker_api.model.fitted import FittedModel, Floats
from phase1_docker_api.model.typical import Record, TypicalHouses
from phase1_docker_api.schemas import CATEGORIES, REQUIRED_FIELDS, Estimate, Fields, Given, House, Warned

# What a model can use of a house's fields, and warnings about the others.
PreparedHouse = tuple[Record, list[Warned]]
# An Estimate as plain data.
PlainEstimate = dict[str, Any]
MINIMAL = frozenset(REQUIRED_FIELDS)
# From 1 USD to 72 billion: far outside of what it has seen, a linear model knows no bounds, and JSON no infinity.
LOG_PRICE_LIMITS = (0.0, 25.0)


class Score(BaseModel):
    """How far prices were off in one period, for one kind of request."""

    model_config = ConfigDict(frozen=True)

    period: str = Field(description="A year, 2012, or a month, 2012-01.")
    request: str = Field(description="complete, minimal (land area and bedrooms alone) or baseline")
    sales: int
    median_abs_error_pct: float
    rmsle: float = Field(description="Root mean square error of the log price.")
    r2: float = Field(description="Share of the price's variance explained, in USD.")
    mae_usd: float
    coverage: float | None = Field(None, description="Share of sales inside their interval.")


# What a card says of the training and of the scores: the same model can be trained again, and scored on other sales.
PROVENANCE = frozenset({"trained_at", "git_commit", "data_sha256", "libraries", "scores"})


class Card(BaseModel):
    """The model's card: what it was made of, where it holds, and how good it was. It is the manifest too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model_version: str
    estimator: str
    parameters: str
    trained_at: dt.datetime
    trained_from: dt.date
    trained_until: dt.date
    trained_sales: int
    calibrated_from: dt.date
    calibrated_sales: int
    interval_level: float
    fields: list[str]
    context: list[ContextFeature] = Field(description="What the model needs beside the fields of a request.")
    ranges: dict[str, tuple[float, float]]
    categories: dict[str, list[str]]
    baseline_usd_per_sqft: dict[str, float] = Field(description="Median a neighborhood; `*` is all of them.")
    data_sha256: str
    git_commit: str | None
    libraries: dict[str, str]
    scores: list[Score] = Field(description="Made by an evaluation; empty before one.")


@dataclass(frozen=True)
class Calibration:
    """The newest sales, and a twin of the served model that was fitted without them.

    The twin's errors on these sales are errors on the future, which the served model's would not be: it
    has learned from them too, because in a moving market the newest months are worth most.
    """

    twin: FittedModel
    records: list[Record]
    log_prices: Floats


@dataclass(frozen=True)
class HouseModel:
    """A fitted model with what it needs to answer incomplete requests honestly."""

    fitted: FittedModel
    typical: TypicalHouses
    calibration: Calibration
    card: Card
    _half_widths: dict[frozenset[str], float] = field(default_factory=dict, repr=False)
    _factors: dict[frozenset[str], float] = field(default_factory=dict, repr=False)

    def with_scores(self, scores: Sequence[Score]) -> HouseModel:
        """Give the same model with these scores on its card."""
        return replace(self, card=self.card.model_copy(update={"scores": list(scores)}))

    def estimate(self, houses: Sequence[House | Fields]) -> list[Estimate]:
        """Price each house, in USD, with its interval, what was assumed and what to be wary of.

        A model with context features takes each house as a mapping, in which their values stand too.

        Raises:
            MissingContextError: a house lacks the value of a context feature.

        """
        given = [house.__dict__ if isinstance(house, House) else house for house in houses]
        answers = self.price_many([self.prepare(fields) for fields in given])
        return [Estimate.model_validate(answer) for answer in answers]

    def price_many(self, prepared: Sequence[PreparedHouse]) -> list[PlainEstimate]:
        """Give the same as plain data, for fields that were parted: making objects takes longer than predicting."""
        known, warned = zip(*prepared, strict=True)
        every, narrow = self._every, self._factor(frozenset(self.card.fields))
        complete = [record if len(record) == every else self.typical.complete(record) for record in known]
        prices = np.exp(self._log_prices(self.fitted, complete).clip(*LOG_PRICE_LIMITS))
        factors = np.array([narrow if len(r) == every else self._factor(frozenset(r)) for r in known])
        usd = (np.round(amounts, 2).tolist() for amounts in (prices, prices / factors, prices * factors))
        return list(map(self._answer, *usd, known, complete, warned))

    def estimate_log_prices(self, records: Sequence[Record]) -> tuple[Floats, Floats]:
        """The same as `estimate` in bulk: log prices, and half the width of their intervals."""
        known = [self.prepare(record)[0] for record in records]
        half_widths = [self.half_width(frozenset(record)) for record in known]
        log_prices = self._log_prices(self.fitted, [self.typical.complete(record) for record in known])
        return log_prices.clip(*LOG_PRICE_LIMITS), np.array(half_widths)

    def half_width(self, known: frozenset[str]) -> float:
        """Half the interval's width, on the log price, for requests that give just these fields.

        Split conformal prediction (Papadopoulos et al. 2002; Lei et al. 2018, algorithm 2): the calibration
        sales are asked in the same incomplete way, and the ceil((n + 1) · level)-th smallest error is it.
        """
        known = known.union(self._context_names)
        if known not in self._half_widths:
            asked = [{name: r[name] for name in r.keys() & known} for r in self.calibration.records]
            predicted = self._log_prices(self.calibration.twin, [self.typical.complete(record) for record in asked])
            errors = np.abs(self.calibration.log_prices - predicted)
            self._half_widths[known] = conformal_quantile(errors, self.card.interval_level)
        return self._half_widths[known]

    def _log_prices(self, fitted: FittedModel, complete: Sequence[Record]) -> Floats:
        return fitted.predict(complete) + offsets(complete, self.card.context)

    def _factor(self, known: frozenset[str]) -> float:
        """What a price is divided by, and times, to get its interval."""
        if known not in self._factors:
            self._factors[known] = float(np.exp(self.half_width(known)))
        return self._factors[known]

    def uncalibrated_patterns(self, prepared: Sequence[PreparedHouse]) -> list[frozenset[str]]:
        """Name the sets of given fields whose interval was not asked for yet; each takes some milliseconds."""
        patterns = {frozenset(known) for known, _ in prepared if len(known) < self._every}
        return [pattern for pattern in patterns if pattern not in self._half_widths]

    @cached_property
    def _context_names(self) -> frozenset[str]:
        return frozenset(feature.name for feature in self.card.context)

    @cached_property
    def _every(self) -> int:
        """How many values a house has of which nothing is assumed."""
        return len(self.card.fields) + len(self.card.context)

    @cached_property
    def _ranges(self) -> dict[str, tuple[float, float]]:
        numbers = (name for name in self.card.fields if name not in CATEGORIES)
        return {name: self.card.ranges.get(name, (-np.inf, np.inf)) for name in numbers}

    @cached_property
    def _categories(self) -> dict[str, frozenset[Given]]:
        return {name: frozenset(self.card.categories[name]) for name in CATEGORIES if name in self.card.fields}

    def prepare(self, fields: Fields) -> PreparedHouse:
        """Part a house's fields into those the model can use and warnings about the others.

        Raises:
            MissingContextError: the value of a context feature is missing.

        """
        ranges, categories, context = self._ranges, self._categories, self._context_names
        known = context_values(fields, self.card.context)
        warned: list[Warned] = []
        for name, value in fields.items():
            if value is None or name in context:
                continue
            if name in ranges:
                known[name] = value
                low, high = ranges[name]
                if not low <= value <= high:  # type: ignore[operator]  # by the schema it is a number
                    warned.append(_warned(name, "outside_training_range", f"{value:g} is outside {low:g} to {high:g}"))
            elif name not in categories:
                warned.append(
                    _warned(name, "not_used_by_model", "it was not, or hardly ever, known in the training data")
                )
            elif value in categories[name]:
                known[name] = value
            else:
                warned.append(_warned(name, "unknown_category", f"{value!r} was not in the training data"))
        return known, warned

    def prepare_many(self, houses: Sequence[Fields]) -> list[PreparedHouse]:
        """Do the same for many houses with the same fields, column by column: most columns hold no doubtful value."""
        for fields in houses if self.card.context else ():
            context_values(fields, self.card.context)
        columns = zip(*(fields.values() for fields in houses), strict=True)
        doubtful = {
            row for name, column in zip(houses[0], columns, strict=True) for row in self._doubtful(name, column)
        }
        return [
            self.prepare(fields) if row in doubtful else (cast(Record, fields), []) for row, fields in enumerate(houses)
        ]

    def _doubtful(self, name: str, column: Sequence[Any]) -> Iterable[int]:
        """Name the rows whose value is missing, unknown, out of range or of no use."""
        if name in self._context_names:
            return ()
        if name in self._categories:
            known = self._categories[name]
            return () if known.issuperset(column) else (row for row, value in enumerate(column) if value not in known)
        if name not in self._ranges:
            return range(len(column))
        low, high = self._ranges[name]
        values = np.array(column, float)  # what is missing becomes NaN, which lies in no range
        return np.flatnonzero(~((low <= values) & (values <= high))).tolist()

    def _answer(
        self, price: float, low: float, high: float, known: Record, complete: Record, warned: list[Warned]
    ) -> PlainEstimate:
        return {
            "price_usd": price,
            "interval_usd": {"low": low, "high": high, "level": self.card.interval_level},
            "model_version": self.card.model_version,
            "assumed": {} if complete is known else {n: value for n, value in complete.items() if n not in known},
            "warnings": warned,
        }


def conformal_quantile(errors: Floats, level: float) -> float:
    """The ceil((n + 1) · level)-th smallest of n errors; infinite when n is too small for the level."""
    rank = int(np.ceil((len(errors) + 1) * level))
    return float(np.sort(errors)[rank - 1]) if rank <= len(errors) else float("inf")


def _warned(name: str, code: str, message: str) -> Warned:
    return Warned(field=name, code=code, message=f"{name}: {message}")
