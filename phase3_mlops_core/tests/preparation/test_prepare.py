"""The sales table, made by a real Spark server from what has landed."""

from __future__ import annotations

import datetime as dt
import socket
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal
from phase1_docker_api.testing import SEATTLE
from phase1_docker_api.training.reading import read_sales
from phase1_docker_api.training.sales import clean_sales
from phase3_mlops_core.errors import PreparationError, SparkError
from phase3_mlops_core.landing.zone import cut_months, land_month
from phase3_mlops_core.preparation.prepare import Preparation, prepare
from phase3_mlops_core.preparation.session import spark_session
from phase3_mlops_core.preparation.verbs import counts_of
from phase3_mlops_core.sales_table.files import parts_of
from phase3_mlops_core.sales_table.manifest import Manifest, read_manifest, table_folder
from phase3_mlops_core.sales_table.reading import read_table
from phase3_mlops_core.testing_spark import UNIT_FAULTS, labels_shuffled
from pyspark.sql import SparkSession

Months = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def months() -> Months:
    return cut_months(read_sales(SEATTLE))


@pytest.fixture(scope="module")
def spring(months: Months, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Preparation]:
    home = tmp_path_factory.mktemp("spring")
    for name in ("2014-03", "2014-04", "2014-05", "2014-06", "2014-07", "2014-08"):
        land_month(home, name, months[name])
    return home, prepare(home, spark)


def landed(home: Path, months: Months) -> Path:
    for name, rows in months.items():
        land_month(home, name, rows)
    return home


def test_the_table_is_what_phase_1_cleans_row_by_row_and_in_its_order(
    spring: tuple[Path, Preparation], months: Months
) -> None:
    agrees_with_phase_1(*spring, months)


@pytest.mark.slow  # a minute and a half: the six months above are a tenth of it
def test_the_whole_file_is_what_phase_1_cleans_and_each_row_is_counted_once(
    months: Months, spark: SparkSession, tmp_path: Path
) -> None:
    done = prepare(landed(tmp_path, months), spark)

    agrees_with_phase_1(tmp_path, done, months)
    counts = counts_of(done)
    assert (counts["rows"], counts["clean"], counts["months"]) == (43_313, 43_066, 84)
    assert counts["quarantined_months"] == []


def agrees_with_phase_1(home: Path, done: Preparation, months: Months) -> None:
    raw = pd.concat([months[name] for name in (each[:7] for each in done.manifest.in_use.values())], ignore_index=True)
    expected = clean_sales(raw, done.manifest.as_of)
    assert_frame_equal(read_table(home).frame, expected.clean, check_exact=True)
    assert reasons_of(home) == Counter(zip(expected.refused["sale_id"], expected.refused["reason"], strict=True))


def test_each_raw_row_is_counted_once(spring: tuple[Path, Preparation], months: Months) -> None:
    counts = counts_of(spring[1])

    assert (counts["rows"], counts["months"]) == (sum(len(months[f"2014-{number:02d}"]) for number in range(3, 9)), 6)
    assert counts["rows"] == counts["clean"] + counts["repeats"] + counts["refused"]
    assert counts["repeats"] > 0


def test_the_same_again_writes_nothing(spring: tuple[Path, Preparation], spark: SparkSession) -> None:
    home, first = spring

    again = prepare(home, spark)

    assert again.written == []
    assert again.manifest == first.manifest


def test_a_corrected_month_writes_itself_and_the_31_days_after_it(
    spring: tuple[Path, Preparation], months: Months, spark: SparkSession
) -> None:
    home, first = spring
    corrected = months["2014-05"].astype({"price": object})
    corrected.loc[corrected.index[0], "price"] = "cheap"
    land_month(home, "2014-05", corrected)

    second = prepare(home, spark)

    assert second.written == ["2014-05", "2014-06", "2014-07"]
    others = first.manifest.months.keys() - set(second.written)
    assert all(second.manifest.months[name] == first.manifest.months[name] for name in others)
    assert counts_of(second)["refused"] == 1
    assert "price: Input should be a valid number" in {reason for _, reason in reasons_of(home)}
    assert on_disk(home) == named(home, first.manifest) | named(home, second.manifest)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.pipeline)])
def test_months_in_any_order_late_twice_and_corrected_give_the_table_of_all_at_once(
    seed: int, months: Months, spark: SparkSession, tmp_path: Path
) -> None:
    final = tangled({name: months[name] for name in ("2010-01", "2010-02", "2010-03", "2010-04")})
    deliveries = [(name, rows) for name, rows in final.items()]
    deliveries.append(("2010-02", final["2010-02"].assign(price=250_000)))  # as it was before it was corrected
    order = [deliveries[place] for place in np.random.default_rng(seed).permutation(len(deliveries))]
    order += [("2010-02", final["2010-02"]), order[0]]

    for name, rows in order:
        land_month(tmp_path / "pieces", name, rows)
        prepare(tmp_path / "pieces", spark)
    # The last piece may be the one that was wrong.
    land_month(tmp_path / "pieces", "2010-02", final["2010-02"])
    pieces = prepare(tmp_path / "pieces", spark)
    whole = prepare(landed(tmp_path / "whole", final), spark)

    assert read_table(tmp_path / "pieces").digest == read_table(tmp_path / "whole").digest
    assert reasons_of(tmp_path / "pieces") == reasons_of(tmp_path / "whole")
    assert {month: parts.digest for month, parts in pieces.manifest.months.items()} == {
        month: parts.digest for month, parts in whole.manifest.months.items()
    }


def test_a_month_in_a_wrong_unit_is_quarantined_whole_and_shuffled_prices_are_not(
    months: Months, spark: SparkSession, tmp_path: Path
) -> None:
    spoilt = {"2010-01": months["2010-01"], "2010-02": labels_shuffled(months["2010-02"])}
    for name, (_, fault) in zip(list(months)[2:], UNIT_FAULTS.values(), strict=False):
        spoilt[name] = fault(months[name])

    done = prepare(landed(tmp_path, spoilt), spark)

    assert sorted(done.manifest.months) == ["2010-01", "2010-02"]
    held = {name[:7]: record.held or "" for name, record in done.manifest.deliveries.items() if record.held}
    for month, (field, _) in zip(list(months)[2:], UNIT_FAULTS.values(), strict=False):
        assert held[month].startswith(f"{field}: "), held[month]
        assert "Mend the file" in held[month]


def test_a_spoilt_delivery_leaves_the_good_one_of_its_month_in_use(
    months: Months, spark: SparkSession, tmp_path: Path
) -> None:
    first = prepare(landed(tmp_path, {"2010-01": months["2010-01"]}), spark)
    land_month(tmp_path, "2010-01", months["2010-01"].assign(price=1))

    second = prepare(tmp_path, spark)

    assert second.manifest.in_use == first.manifest.in_use
    assert second.manifest.months == first.manifest.months
    assert [record["rows"] for record in counts_of(second)["quarantined_months"]] == [len(months["2010-01"])]


def test_a_sale_after_the_day_of_preparation_waits_for_its_day(
    months: Months, spark: SparkSession, tmp_path: Path
) -> None:
    early = months["2010-01"].copy()
    early.loc[early.index[0], "sale_date"] = "2010-02-03"
    landed(tmp_path, {"2010-01": early})

    before = prepare(tmp_path, spark)
    later = prepare(tmp_path, spark, dt.date(2010, 2, 28))
    back = prepare(tmp_path, spark, dt.date(2010, 1, 31))

    assert counts_of(before)["refused"] == 1
    assert counts_of(later)["refused"] == 0
    assert sorted(later.manifest.months) == ["2010-01", "2010-02"]
    assert {month: parts.digest for month, parts in back.manifest.months.items()} == {
        month: parts.digest for month, parts in before.manifest.months.items()
    }


def test_nothing_landed_says_what_to_do(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match="make land MONTH"):
        prepare(tmp_path, spark)


@pytest.mark.parametrize("listens", [False, True])
def test_a_spark_that_does_not_answer_is_named_within_ten_seconds(listens: bool) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listens:
            silent.listen()
        started = time.monotonic()

        with (
            pytest.raises(SparkError, match="make phase3-up"),
            spark_session(f"sc://127.0.0.1:{silent.getsockname()[1]}"),
        ):
            pass

    assert time.monotonic() - started < 10


def tangled(months: Months) -> Months:
    """Give rows of one month the sale_id, or the parcel and the price, of rows of another one."""
    names = list(months)
    for number, name in enumerate(names):
        rows, before = months[name].copy(), months[names[number - 1]]
        for place in range(0, 12, 2):
            rows.loc[rows.index[place], "sale_id"] = before["sale_id"].iloc[place + number]
            twin = ["property_id", "price"]
            rows.loc[rows.index[place + 1], twin] = before[twin].iloc[-1 - place].to_numpy()
        months[name] = rows
    return months


def reasons_of(home: Path) -> Counter[tuple[str, str]]:
    """Count the quarantine's rows by sale_id and reason."""
    manifest = read_manifest(home)
    assert manifest
    parts = [*(month.repeats for month in manifest.months.values() if month.repeats), *manifest.refused.values()]
    tables = [pq.read_table(table_folder(home) / part.path, partitioning=None) for part in parts]
    return Counter(
        pair for table in tables for pair in zip(table["sale_id"].to_pylist(), table["reason"].to_pylist(), strict=True)
    )


def on_disk(home: Path) -> set[Path]:
    return {path.parent for path in table_folder(home).rglob("*.parquet")}


def named(home: Path, manifest: Manifest) -> set[Path]:
    paths = (table_folder(home) / part.path for part in parts_of(manifest))
    return {path if path.is_dir() else path.parent for path in paths}
