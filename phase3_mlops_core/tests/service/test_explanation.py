"""An explanation adds up to the price to the cent, and is what Shapley's axioms say."""

from __future__ import annotations

import itertools
import math
from statistics import fmean

import numpy as np
import pandas as pd
import pytest
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.schemas import FULL_EXAMPLE, MINIMAL_EXAMPLE, House
from phase1_docker_api.training.sales import records_of
from phase3_mlops_core.service.explanation import coalition_prices, explain, lines_of, shapley_values


def test_contributions_add_up_to_the_price_to_the_cent_over_500_houses(
    trees_model: HouseModel, seattle_sales: pd.DataFrame
) -> None:
    records = records_of(seattle_sales.iloc[::86].head(500))
    required = [{name: record[name] for name in MINIMAL_EXAMPLE} for record in records[::5]]

    for fields in [*records, *required]:
        found = explain(trees_model, House(**fields).__dict__)
        cents = [round(share.usd * 100) for share in found.contributions]
        assert round(found.typical_price_usd * 100) + sum(cents) == round(found.price_usd * 100)
        assert found.price_usd == trees_model.estimate([House(**fields)])[0].price_usd


@pytest.mark.parametrize("seed", range(5))
def test_shapley_values_are_the_mean_of_what_a_player_adds_over_all_orders(seed: int) -> None:
    players = 5
    worth = np.random.default_rng(seed).normal(size=1 << players)

    def added(player: int, order: tuple[int, ...]) -> float:
        before = sum(1 << other for other in order[: order.index(player)])
        return float(worth[before | 1 << player] - worth[before])

    orders = list(itertools.permutations(range(players)))
    by_definition = [fmean(added(player, order) for order in orders) for player in range(players)]

    assert shapley_values(worth, players) == pytest.approx(by_definition, abs=1e-12)
    assert len(orders) == math.factorial(players)


def test_each_coalition_is_priced_as_the_house_it_makes(trees_model: HouseModel) -> None:
    house, typical = FULL_EXAMPLE, trees_model.typical.of_area("A12")
    players = ["bedrooms", "neighborhood", "latitude"]

    prices = coalition_prices(trees_model, house, typical, players)

    mixed = [
        {**typical, **{name: house[name] for bit, name in enumerate(players) if number >> bit & 1}}
        for number in range(8)
    ]
    assert prices == pytest.approx([trees_model.estimate([each])[0].price_usd for each in mixed], abs=0.01)


def test_a_typical_house_has_nothing_to_explain_and_assumptions_are_marked(trees_model: HouseModel) -> None:
    typical = explain(trees_model, trees_model.typical.of_area("A12"))
    minimal = explain(trees_model, House(**MINIMAL_EXAMPLE).__dict__)

    assert typical.contributions == []
    assert typical.price_usd == typical.typical_price_usd
    assert {share.field for share in minimal.contributions if not share.assumed} <= {"land_area_sqft", "bedrooms"}
    assert any(line.endswith("(assumed), typical is 1.75") or "(assumed)" in line for line in lines_of(minimal))
