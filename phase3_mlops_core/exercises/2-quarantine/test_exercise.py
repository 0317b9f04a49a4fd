"""Exercise 2: `phase3 quarantine` counts the refused and repeated rows by their reason."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from phase3_mlops_core.cli import cli
from phase3_mlops_core.sales_table.manifest import Manifest, Month, Part, table_folder, write_manifest

BEDROOMS, PRICE, REPEAT = "bedrooms: more than 20", "price: missing", "repeats a sale_id"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A table with two months, of which the first came twice: its first delivery is not in use."""

    def part(path: str, *reasons: str) -> Part:
        file = table_folder(tmp_path) / path
        file.mkdir(parents=True)
        pq.write_table(pa.table({"row": range(len(reasons)), "reason": reasons}), file / "part-0.parquet")
        return Part(path=path, rows=len(reasons))

    refused = {
        "2012-01-0001-a": part("of=1", PRICE, PRICE, PRICE, PRICE),
        "2012-01-0002-b": part("of=2", BEDROOMS, PRICE),
        "2012-02-0001-c": part("of=3", BEDROOMS, BEDROOMS),
    }
    manifest = Manifest(
        build="1",
        as_of=dt.date(2012, 2, 29),
        rules="",
        months={"2012-01": Month(repeats=part("repeats", REPEAT, REPEAT)), "2012-02": Month()},
        deliveries={},
        in_use={"2012-01": "2012-01-0002-b", "2012-02": "2012-02-0001-c", "2012-03": "2012-03-0001-d"},
        refused=refused,
    )
    write_manifest(tmp_path, manifest)
    return tmp_path


def test_each_reason_has_its_number_of_rows(home: Path) -> None:
    assert "quarantine" in cli.commands, "there is no verb `phase3 quarantine` yet"

    done = CliRunner().invoke(cli, ["quarantine", "--json"], env={"PIPELINE_HOME": str(home)})

    assert done.exit_code == 0, f"`phase3 quarantine --json` fails: {done.stderr.strip() or repr(done.exception)}"
    counts = json.loads(done.stdout)
    assert counts.get(PRICE) != 5, "it counts a delivery that is no longer in use"
    assert counts == {BEDROOMS: 3, REPEAT: 2, PRICE: 1}, f"of 3, 2 and 1 rows it counts {counts}"
    assert list(counts) == [BEDROOMS, REPEAT, PRICE], "the most frequent reason does not come first"


def test_without_json_each_reason_is_a_line(home: Path) -> None:
    done = CliRunner().invoke(cli, ["quarantine"], env={"PIPELINE_HOME": str(home)})

    lines = [line for line in done.stdout.splitlines() if BEDROOMS in line]
    assert lines and "3" in lines[0].replace(BEDROOMS, ""), f"no line says {BEDROOMS} and 3"


def test_without_a_table_it_says_so(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["quarantine"], env={"PIPELINE_HOME": str(tmp_path)})

    assert isinstance(done.exception, SystemExit), f"without a table it ends with a stack trace: {done.exception!r}"
