"""Room: gate. The file of thresholds."""

from __future__ import annotations

from pathlib import Path

import pytest
from phase3_mlops_core.errors import GateError
from phase3_mlops_core.gate.report import MEANINGS
from phase3_mlops_core.gate.thresholds import FIGURES, Threshold, read_thresholds


def test_each_threshold_has_a_reason_and_a_meaning() -> None:
    thresholds = read_thresholds()

    assert set(thresholds) == set(FIGURES) == set(MEANINGS)
    assert all(len(threshold.why.split()) >= 8 for threshold in thresholds.values())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "sales"),
        ("[gain_pct]\nleast = 1\nmost = 2\nwhy = 'x'", "give one of"),
        ("[gain_pct]\nleast = 1", "why"),
        ("[gain", "cannot be used"),
    ],
)
def test_a_file_that_leaves_a_bound_open_is_refused(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "gate.toml"
    file.write_text(content)

    with pytest.raises(GateError, match=message):
        read_thresholds(file)


@pytest.mark.parametrize(("value", "holds"), [(-0.1, False), (0.0, False), (0.1, True)])
def test_no_gain_is_not_a_gain(value: float, holds: bool) -> None:
    assert Threshold(least=0, why="a reason").holds(value) is holds
