"""Another city: the documented columns are those of the code, and the example's converter makes a file that trains."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from phase1_docker_api.cli import cli
from phase1_docker_api.model.artifact import load_model
from phase1_docker_api.schemas import UNITS, House, Sale
from phase1_docker_api.training.reading import read_sales
from phase1_docker_api.training.sales import clean_sales

ROOT = Path(__file__).parents[3]
CITY = ROOT / "docs" / "phase1" / "city"


@pytest.fixture(scope="module")
def jakarta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sales = tmp_path_factory.mktemp("jakarta") / "jakarta.csv"
    subprocess.run([sys.executable, CITY / "convert.py", CITY / "made_up_jakarta.csv", sales], check=True)
    return sales


def train(sales: Path, store: Path) -> int:
    words = ["train", "--sales", sales, "--estimator", "linear", "--until", "2024-06-30", "--store", store]
    return CliRunner().invoke(cli, [str(word) for word in words]).exit_code


def test_the_table_of_columns_states_what_the_code_demands() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (yes)? ?\| ([-\d,]*) ?\| ([-\d,]*) ?\| (\w*) ?\|", card_section(), re.MULTILINE)

    properties = Sale.model_json_schema()["properties"]
    stated = {
        name: (needed == "yes", low.replace(",", ""), high.replace(",", ""), unit)
        for name, needed, low, high, unit in rows
    }
    assert stated == {name: demanded(name, schema) for name, schema in properties.items()}


def card_section() -> str:
    return (ROOT / "data" / "README.md").read_text().partition("## Another city")[2].partition("\n## ")[0]


def demanded(name: str, schema: dict[str, object]) -> tuple[bool, str, str, str]:
    limits = schema.get("anyOf", [schema])[0]  # type: ignore[index]
    low, high = (f"{limits[key]:.0f}" if key in limits else "" for key in ("minimum", "maximum"))
    return Sale.model_fields[name].is_required(), low, high, UNITS.get(name, "")


def test_the_converted_file_trains_and_its_card_and_warnings_are_of_that_city(jakarta: Path, tmp_path: Path) -> None:
    assert train(jakarta, tmp_path) == 0
    model = load_model(tmp_path / "current")

    (estimate,) = model.estimate([House(land_area_sqft=1600, bedrooms=3, neighborhood="A12", build_grade=8)])
    assert model.card.categories == {"neighborhood": ["Cilandak", "Kelapa Gading", "Kemang", "Menteng", "Tebet"]}
    assert 50_000 < estimate.price_usd < 1_000_000
    assert {(w.field, w.code) for w in estimate.warnings} == {
        ("neighborhood", "unknown_category"),
        ("build_grade", "not_used_by_model"),
    }


def test_rupiah_that_were_not_converted_are_refused_with_the_limit(tmp_path: Path) -> None:
    theirs = pd.read_csv(CITY / "made_up_jakarta.csv")
    names = {"harga_idr": "price", "luas_tanah_m2": "land_area_sqft", "kamar_tidur": "bedrooms"}
    forgotten = theirs.rename(columns=names)
    forgotten["sale_date"] = pd.to_datetime(theirs["tanggal"], format="%d/%m/%Y").dt.date
    forgotten.loc[0, ["price", "land_area_sqft"]] = 500_000, 2_000  # a file without one clean row is refused whole
    forgotten.to_csv(tmp_path / "forgotten.csv", index=False)

    cleaned = clean_sales(read_sales(tmp_path / "forgotten.csv"), dt.date(2026, 1, 1))

    assert (
        cleaned.refused["reason"].str.contains("price: Input should be less than or equal to 1000000000").mean() > 0.8
    )
