"""Room: registry. The promotion log."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

from phase3_mlops_core.registry import promotions


def promotion(to_version: int, as_of: str, from_version: int | None = None) -> promotions.Promotion:
    return promotions.Promotion(
        as_of=as_of,
        decided_at=dt.datetime(2017, 1, 1, tzinfo=dt.UTC),
        who="ana",
        from_version=from_version,
        to_version=to_version,
        model_version=f"trees-{as_of}-00000000",
        why="its error is 2.0 % smaller",
        figures={"gate_gain_pct": 2.0},
        data_sha256="0" * 64,
        run_id="1" * 32,
    )


APPEND_TEN = """
import sys
from pathlib import Path
from phase3_mlops_core.registry import promotions

line = promotions.Promotion.model_validate_json(sys.argv[2])
for number in range(int(sys.argv[3]), int(sys.argv[3]) + 10):
    promotions.append(Path(sys.argv[1]), line.model_copy(update={"to_version": number}))
"""


def test_what_was_appended_is_read_in_order(tmp_path: Path) -> None:
    lines = [promotion(1, "2012-01"), promotion(4, "2012-03", 1)]
    for line in lines:
        promotions.append(tmp_path, line)

    assert promotions.read(tmp_path) == lines


def test_a_line_that_a_crash_has_cut_harms_no_other(tmp_path: Path) -> None:
    promotions.append(tmp_path, promotion(1, "2012-01"))
    whole = promotions.log_file(tmp_path).read_bytes()
    promotions.log_file(tmp_path).write_bytes(whole + whole[: len(whole) // 2])

    promotions.append(tmp_path, promotion(3, "2012-03", 1))

    assert [line.to_version for line in promotions.read(tmp_path)] == [1, 3]


def test_processes_that_write_at_once_lose_no_line(tmp_path: Path) -> None:
    line = promotion(1, "2012-01").model_dump_json()
    writers = [
        subprocess.Popen([sys.executable, "-c", APPEND_TEN, tmp_path, line, str(first)]) for first in (0, 10, 20, 30)
    ]
    codes = [writer.wait() for writer in writers]

    assert codes == [0, 0, 0, 0]
    assert sorted(line.to_version for line in promotions.read(tmp_path)) == list(range(40))


def test_the_champion_of_a_month_is_the_newest_decision_up_to_it() -> None:
    log = [promotion(1, "2012-01"), promotion(4, "2012-03", 1), promotion(1, "2012-03", 4)]

    found = [promotions.champion_at(log, month) for month in ("2011-12", "2012-02", "2012-03", "2014-05")]

    assert [line and line.to_version for line in found] == [None, 1, 1, 1]
    assert found[1] is log[0]
    assert found[2] is log[2]


def test_the_log_and_the_alias_are_compared_both_ways() -> None:
    log = [promotion(1, "2012-01"), promotion(4, "2012-03", 1)]

    assert promotions.disagreements(log, {"champion": 4, "staging": 5}) == []
    assert promotions.disagreements([], {}) == []
    assert "promote --version 4" in promotions.disagreements(log, {"champion": 1})[0]
    assert "by hand" in promotions.disagreements([], {"champion": 1})[0]
