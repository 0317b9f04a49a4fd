"""The houses that a new version is asked about, with the prices that its own model gives them offline."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

from phase1_docker_api.model.artifact import load_model
from phase1_docker_api.schemas import REQUIRED_FIELDS, House
from phase1_docker_api.training.sales import load_clean_sales, records_of

from phase2_k8s_cicd.tools import ROOT

SALES = ROOT / "data" / "seattle_sales_2010_2016.parquet"
HOUSES = 200


def fixed_houses() -> list[House]:
    """Take every so-manieth sale, from the first to the last; every fourth gives only what a request must give."""
    sales = load_clean_sales(SALES, dt.date(2017, 1, 1)).clean
    records = records_of(sales.iloc[:: len(sales) // HOUSES][:HOUSES])
    return [
        House(**({name: record[name] for name in REQUIRED_FIELDS} if number % 4 == 0 else record))
        for number, record in enumerate(records)
    ]


def expectations(houses: list[House], model_path: Path | None = None) -> str:
    """Write the houses as rollcheck reads them; with a model, each has the price that is to be answered.

    Raises:
        ArtifactError: there is no whole model in the folder.

    """
    prices = [estimate.price_usd for estimate in load_model(model_path).estimate(houses)] if model_path else None
    entries = [{"house": house.model_dump(exclude_none=True)} for house in houses]
    for entry, price in zip(entries, prices or [], strict=False):
        entry["price_usd"] = price  # type: ignore[assignment]  # a house and its price
    return json.dumps(entries)
