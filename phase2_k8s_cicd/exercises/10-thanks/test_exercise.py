"""Exercise 10: the workflow does its work with any title and runs none of it, and zizmor has no finding."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

WORKFLOW = Path(__file__).parent / "thanks.yml"
SECRET = "https://chat.example/hooks/s3cr3t"  # noqa: S105 - a made-up one
TITLE = 'A "villa" of 3 beds & $HOME costs 5 %?'
ATTACK = 'Hello"; touch stolen; echo "$(touch stolen)'
ZIZMOR = ["--offline", "--pedantic", "--quiet", "--no-progress"]


@pytest.fixture
def workflow() -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())
    except yaml.YAMLError as error:
        raise AssertionError(f"{WORKFLOW.name} is not YAML: {error}") from None
    return loaded


def run_as_github_does(workflow: dict[str, Any], title: str, folder: Path) -> None:
    """Fill in each ${{ … }} of the workflow's steps as text, then let Bash read the result in this folder."""
    known = {"github.event.issue.title": title, "secrets.CHAT_ADDRESS": SECRET}

    def fill(text: object) -> str:
        return re.sub(r"\$\{\{\s*(.+?)\s*\}\}", lambda found: known.get(found[1], found[0]), str(text))

    curl = folder / "curl"
    curl.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>"{folder}/told"\n')
    curl.chmod(0o755)
    own = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder)}
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            layers = (workflow.get("env"), job.get("env"), step.get("env"))
            variables = {key: fill(value) for layer in layers for key, value in (layer or {}).items()}
            environ = variables | own | {"GITHUB_STEP_SUMMARY": f"{folder}/summary"}
            command = ["bash", "-e", "-c", fill(step.get("run", ""))]
            subprocess.run(command, cwd=folder, env=environ, capture_output=True, timeout=30)


def test_a_title_runs_no_command(workflow: dict[str, Any], tmp_path: Path) -> None:
    run_as_github_does(workflow, ATTACK, tmp_path)

    stolen = f"an issue with the title  {ATTACK}  has run a command of its author's on your runner"
    assert not (tmp_path / "stolen").exists(), stolen


def test_a_title_reaches_the_summary_and_the_chat_as_it_is(workflow: dict[str, Any], tmp_path: Path) -> None:
    run_as_github_does(workflow, TITLE, tmp_path)

    for name in ("summary", "told"):
        text = (tmp_path / name).read_text() if (tmp_path / name).exists() else "nothing"
        assert TITLE in text, f"an issue with the title  {TITLE}  is not {name} as such, but: {text.splitlines()[-1]}"
    assert SECRET in (tmp_path / "told").read_text(), "curl does not get the address of the chat any more"


def test_zizmor_has_no_finding() -> None:
    done = subprocess.run([Path(sys.executable).parent / "zizmor", *ZIZMOR, WORKFLOW], capture_output=True)

    more = f".venv/bin/zizmor {' '.join(ZIZMOR)} {WORKFLOW}"
    assert done.returncode == 0, f"it does its work; now zizmor has a finding: {more}"
