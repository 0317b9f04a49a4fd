"""Months of raw sales in the landing zone."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from pandas.testing import assert_frame_equal
from phase1_docker_api.testing import SEATTLE
from phase1_docker_api.training.reading import read_sales
from phase1_docker_api.training.sales import clean_sales
from phase3_mlops_core.cli import cli
from phase3_mlops_core.errors import LandingError
from phase3_mlops_core.landing.zone import cut_month, cut_months, land_month, list_deliveries

END = dt.date(2012, 2, 29)


@pytest.fixture(scope="module")
def sales() -> pd.DataFrame:
    return read_sales(SEATTLE)


def test_a_landed_month_says_the_same_as_the_file_it_was_cut_from(sales: pd.DataFrame, tmp_path: Path) -> None:
    month = cut_month(sales, "2012-02")

    landed = land_month(tmp_path, "2012-02", month)

    raw = read_sales(landed.delivery.path(tmp_path)).drop(columns="row")
    assert_frame_equal(clean_sales(raw, END).clean, clean_sales(month, END).clean)
    assert landed.rows == len(month) == 254


def test_a_month_that_lands_again_changes_nothing_and_a_corrected_one_is_the_next(
    sales: pd.DataFrame, tmp_path: Path
) -> None:
    month = cut_month(sales, "2012-02")
    first = land_month(tmp_path, "2012-02", month)

    again = land_month(tmp_path, "2012-02", month)
    corrected = land_month(tmp_path, "2012-02", month.assign(price=month["price"] + 1))
    back = land_month(tmp_path, "2012-02", month)

    assert (again.delivery, again.is_new) == (first.delivery, False)
    assert [first.delivery.number, corrected.delivery.number, back.delivery.number] == [1, 2, 3]
    assert list_deliveries(tmp_path) == {"2012-02": [first.delivery, corrected.delivery, back.delivery]}


def test_all_months_are_cut_and_no_row_is_lost(sales: pd.DataFrame) -> None:
    months = cut_months(sales)

    assert len(months) == 84
    assert sum(map(len, months.values())) == len(sales)
    assert list(cut_months(sales, "2010-03")) == ["2010-01", "2010-02", "2010-03"]


@pytest.mark.parametrize(("month", "message"), [("2012-13", "no month"), ("2019-01", "2010-01 to 2016-12")])
def test_a_month_that_is_not_there_is_refused_with_what_is(sales: pd.DataFrame, month: str, message: str) -> None:
    with pytest.raises(LandingError, match=message):
        cut_month(sales, month)


def test_the_verb_says_what_has_landed_and_is_safe_to_repeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    land = ["land", "2012-02", "--sales", str(SEATTLE)]

    first, again = CliRunner().invoke(cli, land), CliRunner().invoke(cli, land)

    assert first.exit_code == again.exit_code == 0
    assert "2012-02: 254 raw sales, landed" in first.output
    assert "has landed before, nothing changed" in again.output
    assert CliRunner().invoke(cli, ["land"]).exit_code == 2
