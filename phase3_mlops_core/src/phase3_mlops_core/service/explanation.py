"""Share a price out among the fields of a house, in dollars, against a typical house of its area."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import factorial

import numpy as np
from numpy.typing import NDArray
from phase1_docker_api.model.context import offsets
from phase1_docker_api.model.house_model import LOG_PRICE_LIMITS, HouseModel
from phase1_docker_api.model.typical import Record
from phase1_docker_api.schemas import Fields, Given
from pydantic import BaseModel, ConfigDict, Field

Floats = NDArray[np.float64]


class Contribution(BaseModel):
    """What one field adds to the price, or takes from it."""

    model_config = ConfigDict(frozen=True)

    field: str
    value: Given
    typical: Given = Field(description="What the typical house has there.")
    usd: float
    assumed: bool = Field(description="The request left it out.")


class Explanation(BaseModel):
    """A price as the sum of a typical price and what each field adds; the sum is exact to the cent."""

    model_config = ConfigDict(frozen=True)

    model_version: str
    price_usd: float
    typical_price_usd: float
    contributions: list[Contribution] = Field(description="The largest first; fields as typical have none.")


def explain(model: HouseModel, fields: Fields) -> Explanation:
    """Explain the price of one checked house by exact Shapley values, against the typical house of its area.

    The game is the price in dollars, not its logarithm: a coalition of fields has their values, all other fields
    those of the typical house (baseline Shapley: Shapley 1953; Sundararajan and Najmi 2020, section 3). Only the
    fields that differ play, so k of them take 2 to the k predictions, at most 4,096 for twelve.

    Raises:
        MissingContextError: the value of a context feature is missing.

    """
    known, warned = model.prepare(fields)
    estimate = model.price_many([(known, warned)])[0]
    house = {**known, **estimate["assumed"]}
    context = {feature.name: house[feature.name] for feature in model.card.context}
    typical = {**model.typical.of_area(house.get("neighborhood")), **context}
    players = [name for name in model.card.fields if house[name] != typical[name]]
    prices = coalition_prices(model, house, typical, players)
    typical_cents, price_cents = round(float(prices[0]) * 100), round(estimate["price_usd"] * 100)
    cents = _in_cents(shapley_values(prices, len(players)) * 100, price_cents - typical_cents)
    shares = [
        Contribution(field=name, value=house[name], typical=typical[name], usd=cent / 100, assumed=name not in known)
        for name, cent in zip(players, cents, strict=True)
    ]
    return Explanation(
        model_version=model.card.model_version,
        price_usd=estimate["price_usd"],
        typical_price_usd=typical_cents / 100,
        contributions=sorted(shares, key=lambda share: -abs(share.usd)),
    )


def coalition_prices(model: HouseModel, house: Record, typical: Record, players: Sequence[str]) -> Floats:
    """Price every coalition, in USD: in row c, the players whose bit is set in c have the house's values."""
    regressor, columns = model.fitted.regressor, model.fitted.columns
    rows = columns.table([typical, house], regressor.dtype)
    # The last column holds a category that the model has none for, and is read by no model.
    fields = [*(name.partition("=")[0] for name in columns.names), ""]
    owner = np.array([players.index(field) if field in players else len(players) for field in fields])
    members = np.column_stack([_bits(len(players)), np.zeros(1 << len(players), bool)])
    log_prices = regressor.predict(np.where(members[:, owner], rows[1], rows[0]))
    return np.asarray(np.exp((log_prices + offsets([house], model.card.context)).clip(*LOG_PRICE_LIMITS)))


def shapley_values(worth: Floats, players: int) -> Floats:
    """Give each player's Shapley value, from what each coalition is worth; see `coalition_prices` for their order."""
    bits = _bits(players)
    size = bits.sum(axis=1)
    others = np.arange(players)
    weights = np.array([factorial(s) * factorial(players - 1 - s) / factorial(players) for s in others])
    return np.array([weights[size[has] - 1] @ worth[has] - weights[size[~has]] @ worth[~has] for has in bits.T], float)


def _bits(players: int) -> NDArray[np.bool_]:
    return (np.arange(1 << players)[:, None] >> np.arange(players) & 1).astype(bool)


def _in_cents(values: Floats, total: int) -> list[int]:
    """Round to whole cents that add up to the total; the largest share takes what rounding left."""
    cents = [round(value) for value in values.tolist()]
    if cents:
        cents[max(range(len(cents)), key=lambda i: abs(cents[i]))] += total - sum(cents)
    return cents


def lines_of(explanation: Explanation, names: Mapping[str, str] | None = None) -> list[str]:
    """Show an explanation as a list for the terminal, one line a field."""
    shown = names or {}
    width = max((len(shown.get(c.field, c.field)) for c in explanation.contributions), default=0)
    return [
        f"{explanation.typical_price_usd:>14,.2f}  a typical house of the area",
        *(
            f"{c.usd:>+14,.2f}  {shown.get(c.field, c.field):<{width}}  {c.value}"
            f"{' (assumed)' if c.assumed else ''}, typical is {c.typical}"
            for c in explanation.contributions
        ),
        f"{explanation.price_usd:>14,.2f}  the price, {explanation.model_version}",
    ]
