"""The demo's story: what is served goes wrong by itself, and retraining mends it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from phase1_docker_api.cli import cli
from phase1_docker_api.course.replay import Month, replay
from phase1_docker_api.schemas import MAX_BATCH_ROWS
from phase1_docker_api.testing import MIDNIGHT, SEATTLE


def test_a_replay_serves_each_months_sales_and_retrains_each_january(seattle_sales: pd.DataFrame) -> None:
    days = seattle_sales["sale_date"].dt
    sales = seattle_sales[(days.year <= 2011) | ((days.year <= 2013) & days.month.isin([1, 2, 12]))]

    steps = list(
        replay(sales, first_year=2012, window_months=24, estimator="linear", trained_at=MIDNIGHT, data_sha256="0")
    )

    months = [step for step in steps if isinstance(step, Month)]
    assert [m.month for m in months] == ["2012-01", "2012-02", "2012-12", "2013-01", "2013-02", "2013-12"]
    assert sum(m.sales for m in months) == (sales["sale_date"].dt.year >= 2012).sum()
    assert len({m.frozen.model_version for m in months}) == 1
    assert [m.retrained == m.frozen for m in months] == [True] * 3 + [False] * 3


def test_a_month_of_more_sales_than_a_batch_holds_is_served(seattle_sales: pd.DataFrame) -> None:
    past = seattle_sales[seattle_sales["sale_date"].dt.year == 2011]
    january = seattle_sales[seattle_sales["sale_date"].dt.to_period("M") == "2012-01"]
    crowd = january.sample(MAX_BATCH_ROWS + 1, replace=True, random_state=0)
    sales = pd.concat([past, crowd], ignore_index=True)

    *_, month = replay(
        sales, first_year=2012, window_months=12, estimator="linear", trained_at=MIDNIGHT, data_sha256="0"
    )

    assert isinstance(month, Month)
    assert len(month.frozen.abs_errors_pct) == month.sales == MAX_BATCH_ROWS + 1


@pytest.mark.slow
def test_the_demo_shows_a_frozen_model_failing_and_a_retrained_one_holding(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["replay", "--sales", str(SEATTLE), "--out", str(tmp_path)])

    assert done.exit_code == 0, done.output
    figures = json.loads((tmp_path / "figures.json").read_text())
    errors = {name: [m[f"{name}_median_abs_error_pct"] for m in figures] for name in ("frozen", "retrained")}
    assert len(figures) == 60
    assert sum(m["sales"] for m in figures) == 34_623
    assert pd.Series(errors["frozen"][:12]).median() == pytest.approx(11, abs=0.8)
    assert min(errors["frozen"][48:]) >= 33
    assert max(errors["retrained"]) < 20
    assert (tmp_path / "chart.png").stat().st_size > 10_000
    shown = (Path(__file__).parents[3] / "README.md").read_text()
    for line in done.output.splitlines():
        if line.startswith(("  2012-01 ", "  2016-12 ", "The frozen model")):
            assert line in shown, "README.md shows what the demo prints"
    assert "data:image/png;base64," in (tmp_path / "report.html").read_text()
