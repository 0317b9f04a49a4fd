"""Make what the peers serve and are asked: one kind of trees, fitted on one set of sales, in two forms."""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from phase1_docker_api.model.artifact import save_model
from phase1_docker_api.schemas import CATEGORIES, House
from phase1_docker_api.training.estimators import trees
from phase1_docker_api.training.sales import file_digest, load_clean_sales, records_of
from phase1_docker_api.training.train import TrainingPlan, train
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

FIT_UNTIL, ASKED_UNTIL = dt.date(2011, 12, 31), dt.date(2016, 12, 31)
HOUSES = 10_000


def prepare(sales_file: Path, folder: Path) -> None:
    """Train on 2010 and 2011; write `current` (ours), `naive.joblib` and `houses.json` (sold later)."""
    sales = load_clean_sales(sales_file, ASKED_UNTIL).clean
    plan = TrainingPlan(estimator="trees", until=FIT_UNTIL)
    ours = train(sales, plan, trained_at=dt.datetime.now(dt.UTC), data_sha256=file_digest(sales_file))
    save_model(ours, folder)

    fields = ours.card.fields
    complete = sales.dropna(subset=fields)
    later = complete["sale_date"] > pd.Timestamp(FIT_UNTIL)
    naive = fit_naive(complete[~later], fields, plan.seed)
    joblib.dump(naive, folder / "naive.joblib")

    records = records_of(complete[later][fields].sample(HOUSES, random_state=0))
    (folder / "houses.json").write_text(json.dumps(records))
    our_prices = [e.price_usd for e in ours.estimate([House.model_validate(r) for r in records])]
    apart = np.median(np.abs(np.exp(naive.predict(pd.DataFrame(records))) / our_prices - 1))
    print(f"the two price {HOUSES:,} houses of 2012 to 2016 {apart:.1%} apart (median)", file=sys.stderr)


def fit_naive(sales: pd.DataFrame, fields: list[str], seed: int) -> Pipeline:
    """Fit the same estimator on the same sales, behind the encoder that tutorials use."""
    encoder = ColumnTransformer(
        [("categories", OneHotEncoder(handle_unknown="ignore"), list(CATEGORIES))], remainder="passthrough"
    )
    naive = Pipeline([("encode", encoder), ("regress", trees(seed).named_steps["log_price"])])
    return naive.fit(sales[fields], np.log(sales["price"]))


if __name__ == "__main__":
    prepare(Path(sys.argv[1]), Path(sys.argv[2]))
