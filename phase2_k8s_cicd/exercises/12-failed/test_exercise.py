"""Exercise 12: `phase2 deployments --failed` shows what did not come to serve, of all that is kept."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from phase2_k8s_cicd.cli import cli
from phase2_k8s_cicd.rollout.history import KEY
from phase2_k8s_cicd.rollout.outcome import Outcome

RESULTS = {"v0": "failed", "v1": "refused", "v2": "undone"}
HISTORY = [
    Outcome.model_validate(
        {
            "result": RESULTS.get(f"v{number}", "serving"),
            "version": f"v{number}",
            "previous": None,
            "reason": "so",
            "by": "ada",
            "started_at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=number),
            "seconds": 1,
        }
    )
    for number in range(40)
]


def shown(folder: Path, kept: list[Outcome], *options: str) -> str:
    """Run the verb with a kubectl on the PATH that knows this history; name the versions it shows."""
    history = {"data": {KEY: "\n".join(outcome.model_dump_json() for outcome in kept)}}
    config = {"current-context": "exercise", "clusters": [{"cluster": {"server": "https://127.0.0.1"}}]}
    for file, content in (("history", history), ("config", config)):
        (folder / file).write_text(json.dumps(content))
    kubectl = folder / "kubectl"
    kubectl.write_text(
        f'#!/bin/sh\ncase "$*" in *configmap*) cat "{folder}/history" ;; *) cat "{folder}/config" ;; esac\n'
    )
    kubectl.chmod(0o755)
    environ = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "CONTEXT": None}
    done = CliRunner().invoke(cli, ["deployments", "--json", *options], env=environ)
    assert done.exit_code == 0, f"`phase2 deployments` fails: {done.stderr.strip() or repr(done.exception)}"
    found = json.loads(done.stdout) if done.stdout.startswith("[") else []
    return ", ".join(each["version"] for each in found) or "none"


@pytest.fixture(autouse=True)
def option_is_there() -> None:
    options = {option for parameter in cli.commands["deployments"].params for option in parameter.opts}
    assert "--failed" in options, "`phase2 deployments` has no option --failed yet"


@pytest.mark.parametrize(
    ("options", "wanted"), [("--failed", "v2, v1, v0"), ("--failed --last 2", "v2, v1"), ("--last 2", "v39, v38")]
)
def test_what_did_not_come_to_serve_is_shown(tmp_path: Path, options: str, wanted: str) -> None:
    versions = shown(tmp_path, HISTORY, *options.split())

    assert versions == wanted, f"`phase2 deployments {options}` shows {versions}, not {wanted}"


def test_where_nothing_failed_nothing_is_shown(tmp_path: Path) -> None:
    assert shown(tmp_path, HISTORY[3:], "--failed") == "none", "with nothing that failed, --failed shows something"
