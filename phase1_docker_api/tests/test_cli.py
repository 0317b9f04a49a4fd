"""Code: the command line does what its help says, and says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from phase1_docker_api.cli import cli
from phase1_docker_api.testing import SEATTLE


def phase1(*words: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], input=stdin)


@pytest.fixture(scope="module")
def sales_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sales of ten months, one of which no rule allows."""
    sales = pd.read_parquet(SEATTLE).head(4000)
    sales.loc[0, "price"] = 300
    path = tmp_path_factory.mktemp("sales") / "sales.csv"
    sales.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def store(sales_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("cli") / "models"
    done = phase1("train", "--sales", sales_file, "--estimator", "linear", "--until", "2010-09-30", "--store", store)
    assert done.exit_code == 0, done.output
    return store


def test_train_makes_a_current_model_and_keeps_refused_rows_with_their_reasons(store: Path) -> None:
    refused = pd.read_csv(store / "refused.csv")

    assert (store / "current" / "card.json").is_file()
    assert refused.loc[refused["row"] == 1, "reason"].item().startswith("price: ")


def test_train_with_json_prints_the_card_and_the_counts_alone(sales_file: Path, tmp_path: Path) -> None:
    done = phase1("train", "--sales", sales_file, "--estimator", "linear", "--store", tmp_path, "--json")

    card = json.loads(done.stdout)
    assert card["model_version"].startswith("linear-2010-")
    assert card["sales"]["read"] == 4000
    assert Path(card["path"]).is_dir()


def test_train_says_what_it_refused_used_and_ignored(sales_file: Path, tmp_path: Path) -> None:
    sales = pd.read_csv(sales_file).rename(columns={"living_area_sqft": "Living_Area_Sqft"})
    sales["year_built"] = None
    sales.loc[:1, "year_built"] = 1950
    sales.to_csv(tmp_path / "sales.csv", index=False)

    done = phase1("train", "--sales", tmp_path / "sales.csv", "--estimator", "linear", "--store", tmp_path / "store")

    assert "  1 refused for price: Input should be greater than or equal to 10000\n" in done.stderr
    assert f"each with its reason in {tmp_path / 'store' / 'refused.csv'}" in done.stderr
    assert "used the fields land_area_sqft, bedrooms, bathrooms, " in done.stderr
    assert "left out year_built: more than half of the sales lack it" in done.stderr
    assert "ignored the columns Living_Area_Sqft (did you mean living_area_sqft?)" in done.stderr


def test_train_keeps_the_reasons_when_every_row_is_refused(tmp_path: Path) -> None:
    sales = pd.read_parquet(SEATTLE).head(3).assign(price=[1, 2, 3])
    sales.to_csv(tmp_path / "sales.csv", index=False)

    done = phase1("train", "--sales", tmp_path / "sales.csv", "--store", tmp_path / "store")

    assert done.exit_code == 1
    assert f"equal to 10000 (3); see {tmp_path / 'store' / 'refused.csv'}" in done.output
    assert len(pd.read_csv(tmp_path / "store" / "refused.csv")) == 3


def test_evaluate_warns_when_no_sale_is_in_an_area_of_the_model(store: Path, sales_file: Path, tmp_path: Path) -> None:
    pd.read_csv(sales_file).assign(neighborhood="Kemang").to_csv(tmp_path / "sales.csv", index=False)
    words = ("evaluate", "--model", store / "current", "--out", tmp_path, "--sales")

    elsewhere, here = phase1(*words, tmp_path / "sales.csv"), phase1(*words, sales_file)

    assert "warning: no sale is in a neighborhood of the model (A06, " in elsewhere.stderr
    assert "they have Kemang" in elsewhere.stderr
    assert "warning" not in here.stderr


def test_predict_takes_a_name_as_it_is_written_and_skips_a_byte_order_mark(store: Path) -> None:
    model = ("--model", store / "current", "--json")
    words = phase1("predict", *model, "land_area_sqft=5000", "bedrooms=3", "neighborhood=12730")
    line = phase1(
        "predict", *model, "-", stdin='\ufeff{"land_area_sqft": 5000, "bedrooms": 3, "neighborhood": "12730"}'
    )

    assert json.loads(words.stdout)["warnings"][0]["code"] == "unknown_category"
    assert line.stdout == words.stdout


def test_evaluate_writes_metrics_and_a_chart(store: Path, sales_file: Path, tmp_path: Path) -> None:
    done = phase1(
        "evaluate", "--model", store / "current", "--sales", sales_file, "--by", "month", "--out", tmp_path, "--json"
    )

    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert json.loads(done.stdout) == metrics
    assert {score["request"] for score in metrics["scores"]} == {"complete", "minimal", "baseline"}
    assert (tmp_path / "chart.png").stat().st_size > 10_000


def test_predict_takes_words_or_lines_of_json_and_answers_alike(store: Path) -> None:
    model = ("--model", store / "current")
    words = phase1("predict", *model, "--json", "land_area_sqft=5000", "bedrooms=3", "neighborhood=A12")
    lines = phase1("predict", *model, "-", stdin='{"land_area_sqft": 5000, "bedrooms": 3, "neighborhood": "A12"}\n' * 2)

    assert json.loads(words.stdout)["price_usd"] > 0
    assert lines.stdout == words.stdout * 2


def test_predict_for_people_shows_price_interval_and_assumptions(store: Path) -> None:
    shown = phase1("predict", "--model", store / "current", "land_area_sqft=5000", "bedrooms=3").stdout

    assert shown.startswith("$")
    assert "90% between $" in shown
    assert "living_area_sqft=" in shown


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["train", "--sales", "nowhere.csv"], 1, "no sales file at nowhere.csv"),
        (["train", "--estimator", "magic"], 2, "'magic' is not one of"),
        (["predict", "--model", "nowhere", "bedrooms=3"], 1, 'add for example "land_area_sqft": 5000'),
        (["predict", "--model", "nowhere", "land_area_sqft=5000", "bedrooms=3"], 1, "make one with `phase1 train`"),
        (["predict", "bedrooms"], 2, "is not FIELD=VALUE"),
        (["predict"], 2, "Missing argument"),
        (["serve", "--port", "99999"], 1, "HOUSE_PORT"),
        (["replay", "--first-year", "2030"], 1, "no sales from 2030 on"),
    ],
)
def test_what_is_wrong_is_told_with_its_code_and_without_a_trace(words: list[str], code: int, message: str) -> None:
    done = phase1(*words)

    assert done.exit_code == code
    assert message in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize("verb", sorted(cli.commands))
def test_help_tells_what_each_verb_and_each_of_its_options_is_for(verb: str) -> None:
    shown = phase1(verb, "--help")

    assert shown.exit_code == 0
    for parameter in cli.commands[verb].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.name} of {verb} has no help"
