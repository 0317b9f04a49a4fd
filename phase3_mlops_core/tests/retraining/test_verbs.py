"""Room: retraining. The verbs as a person calls them, against a real registry."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from phase1_docker_api.testing import TODAY
from phase3_mlops_core.cli import cli
from phase3_mlops_core.registry.versions import Registry
from phase3_mlops_core.testing import environment_of, write_sales_table

pytestmark = pytest.mark.usefixtures("few_trees")
Phase3 = Callable[..., str]


@pytest.fixture
def phase3(registry: Registry, seattle_sales: pd.DataFrame) -> Phase3:
    """Run a verb in this process, which has loaded what each verb would load, and give what it printed."""
    settings = registry.settings
    write_sales_table(settings.home, seattle_sales, TODAY)
    given = environment_of(settings)

    def run(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(cli, words, env=given)
        assert done.exit_code == code, done.output
        return done.stderr if code else done.stdout

    return run


def test_a_month_goes_from_the_table_to_champion_by_one_command(phase3: Phase3, tmp_path: Path) -> None:
    words = ("retrain", "--no-prepare", "--month", "2012-01", "--out", str(tmp_path), "--json")

    first, again = json.loads(phase3(*words)), json.loads(phase3(*words))
    history = json.loads(phase3("history", "--json"))
    then = phase3("history", "--at", "2014-05")

    assert (first["version"], first["repeated"], first["month"]) == (1, False, "2012-01")
    assert (again["version"], again["repeated"]) == (1, True)
    assert history["aliases"] == {"champion": 1}
    assert history["disagreements"] == []
    assert then.startswith(f"2014-05: version 1 ({first['model_version']}), since the sales of 2012-01")
    assert list(tmp_path.glob("gate-*/gate.html"))


def test_a_month_that_is_not_there_is_named_with_what_to_do(phase3: Phase3) -> None:
    error = phase3("train", "--month", "2017-03", code=1)

    assert "no sales of 2017-03: make land MONTH=2017-03" in error
    assert "Traceback" not in error
