"""Exercise 5: each version says in a tag by how much it was off, and `phase3 history` shows it."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest
from phase1_docker_api.cli import SEATTLE
from phase1_docker_api.training.sales import load_clean_sales
from phase3_mlops_core.registry.versions import Version
from phase3_mlops_core.retraining.recording import version_tags
from phase3_mlops_core.retraining.sales import KnownSales
from phase3_mlops_core.retraining.story import history_lines
from phase3_mlops_core.training.monthly import Trained, train_month
from phase3_mlops_core.training.plan import MonthlyPlan

MONTH = pd.Period("2012-02", "M")


@pytest.fixture(scope="module")
def known() -> KnownSales:
    return KnownSales(load_clean_sales(SEATTLE, dt.date(2012, 2, 29)).clean, "0" * 64, "a file")


@pytest.fixture(scope="module")
def trained(known: KnownSales) -> Trained:
    few_trees = MonthlyPlan("trees", 6, parameters={"log_price__n_estimators": 15, "log_price__learning_rate": 0.3})
    when = dt.datetime(2012, 3, 1, tzinfo=dt.UTC)
    return train_month(
        known.frame, MONTH, few_trees, search=False, data_sha256="", trained_at=when, say=lambda text: None
    )


def test_a_version_has_the_tag(trained: Trained, known: KnownSales) -> None:
    tags = version_tags(trained, known)

    errors = trained.trials[0].off_by_pct.values()
    wanted = f"{sum(errors) / len(errors):.1f}"
    assert "off_by_pct" in tags, "a version has no tag off_by_pct yet"
    assert tags["off_by_pct"] == wanted, f"the tag is {tags['off_by_pct']!r}; the best trial's mean is {wanted!r}"


def test_history_shows_it_and_still_lists_versions_without_it() -> None:
    old = {"month": "2012-01", "model_version": "trees-2012-01-0a"}
    new = {"month": "2012-02", "model_version": "trees-2012-02-0b", "off_by_pct": "11.3"}

    try:
        heading, first, second, *_ = history_lines([Version(1, "", old), Version(2, "", new)], {}, [], []).splitlines()
    except KeyError as error:
        pytest.fail(f"a version that has no tag {error} cannot be listed")

    assert "off_by_pct" in heading, "`phase3 history` has no column off_by_pct"
    assert "11.3" in second and "trees-2012-01-0a" in first, "`phase3 history` does not show the tag"
    assert "None" not in first, "a version without the tag shows None"
    place = heading.index("off_by_pct")
    assert "11.3" in second[place : place + len("off_by_pct")], "11.3 does not stand below its heading"
