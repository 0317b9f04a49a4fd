"""Exercise 6: `phase1 train --interval-level 0.8` makes a model whose intervals promise 80 %, and keep it."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner
from phase1_docker_api.cli import cli

LEVEL = 0.8
QUARTER = ("2012-01", "2012-02", "2012-03")


def phase1(*words: str) -> str:
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, f"`phase1 {words[0]}` fails: {done.stderr.strip() or repr(done.exception)}"
    return done.stdout


def test_the_intervals_promise_what_was_asked_for_and_keep_it(tmp_path: Path) -> None:
    options = {option for parameter in cli.commands["train"].params for option in parameter.opts}
    assert "--interval-level" in options, "`phase1 train` has no option --interval-level yet"
    training = ("--estimator", "linear", "--until", "2011-12-31", "--store", str(tmp_path), "--json")
    evaluation = ("--model", str(tmp_path / "current"), "--by", "month", "--out", str(tmp_path / "report"), "--json")

    card = json.loads(phase1("train", "--interval-level", str(LEVEL), *training))
    scores = json.loads(phase1("evaluate", *evaluation))["scores"]

    assert card["interval_level"] == LEVEL, f"with --interval-level {LEVEL} the card says {card['interval_level']}"
    soon = [s for s in scores if s["period"] in QUARTER and s["request"] == "complete"]
    covered = sum(s["coverage"] * s["sales"] for s in soon) / sum(s["sales"] for s in soon)
    assert abs(covered - LEVEL) < 0.06, f"intervals that promise {LEVEL:.0%} cover {covered:.0%} of the next quarter"
