"""Exercise 6: `phase3 history --since 2013-06` shows the decisions from then on, by the promotion log alone."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from phase1_docker_api.service.launch import free_port
from phase3_mlops_core.cli import cli
from phase3_mlops_core.registry.promotions import Promotion, append

MONTHS = ["2012-06", "2013-05", "2013-06", "2014-01"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for number, month in enumerate(MONTHS, 1):
        line = Promotion(
            as_of=month,
            decided_at=dt.datetime(2017, 1, number, tzinfo=dt.UTC),
            who="learner",
            from_version=number - 1 or None,
            to_version=number,
            model_version=f"trees-{month}-0a",
            why=f"reason {number}",
            figures={},
            data_sha256="",
            run_id="",
        )
        append(tmp_path, line)
    return tmp_path


def history(home: Path, *options: str) -> Result:
    nowhere = f"http://127.0.0.1:{free_port()}"
    environment = {"PIPELINE_HOME": str(home), "PIPELINE_MLFLOW_URL": nowhere, "PIPELINE_MLFLOW_SECONDS": "1"}
    return CliRunner().invoke(cli, ["history", *options], env=environment)


def test_the_option_is_there() -> None:
    options = {option for parameter in cli.commands["history"].params for option in parameter.opts}
    assert "--since" in options, "`phase3 history` has no option --since yet"


@pytest.mark.parametrize(("since", "wanted"), [("2013-06", [3, 4]), ("2012-01", [1, 2, 3, 4]), ("2015-01", [])])
def test_decisions_of_that_month_and_later_ones_are_listed(home: Path, since: str, wanted: list[int]) -> None:
    done = history(home, "--since", since, "--json")

    assert done.exit_code == 0, f"while MLflow is down it fails: {done.stderr.strip() or repr(done.exception)}"
    found = [line["to_version"] for line in json.loads(done.stdout)]
    assert found == wanted, f"since {since} it lists the promotions of the versions {found}, not {wanted}"


def test_each_decision_is_a_line_with_its_reason(home: Path) -> None:
    lines = history(home, "--since", "2013-06").stdout

    for number, month in enumerate(MONTHS, 1):
        assert (f"reason {number}" in lines) == (month >= "2013-06"), f"reason {number} of {month}: {lines!r}"
