"""Exercise 5: the linear estimator is off by 11.5 % at most in 2012, and can be saved and loaded."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner
from phase1_docker_api.cli import cli

GOAL_PCT = 11.5


def phase1(*words: str) -> str:
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, f"`phase1 {words[0]}` fails: {done.stderr.strip() or repr(done.exception)}"
    return done.stdout


def test_the_linear_model_is_better_and_can_be_saved(tmp_path: Path) -> None:
    model = str(tmp_path / "current")

    phase1("train", "--estimator", "linear", "--until", "2011-12-31", "--store", str(tmp_path))
    scores = json.loads(phase1("evaluate", "--model", model, "--out", str(tmp_path / "report"), "--json"))["scores"]

    off = next(s["median_abs_error_pct"] for s in scores if (s["period"], s["request"]) == ("2012", "complete"))
    assert off <= GOAL_PCT, f"it is off by {off:.1f} %"
