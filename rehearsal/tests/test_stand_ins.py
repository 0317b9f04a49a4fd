"""The stand-ins: each step of a workflow has its line in the page, and each action its stand-in."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
REHEARSAL = ROOT / "rehearsal"
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / ".github/workflows").glob("*.yml"))}
PAGE = (REHEARSAL / "reference.md").read_text()


def steps() -> Iterator[tuple[str, str, Any]]:
    for workflow, content in WORKFLOWS.items():
        for job, described in content["jobs"].items():
            for step in described.get("steps", []):
                yield workflow, job, step


def name_of(step: Any) -> str:
    return str(step.get("name") or step.get("uses", "").partition("@")[0] or step["run"])


def test_the_page_has_a_line_for_every_make_target() -> None:
    visible = re.findall(r"^([a-z0-9-]+):.* ## ", (REHEARSAL / "Makefile").read_text(), re.MULTILINE)

    assert re.findall(r"^\| `make ([a-z0-9-]+)` \|", PAGE, re.MULTILINE) == visible


def test_the_page_has_a_line_for_every_step() -> None:
    table = re.findall(r"^\| (\w+) \| (\w+) \| `(.+?)` \| (.+) \|$", PAGE, re.MULTILINE)

    assert sorted(row[:3] for row in table) == sorted((flow, job, name_of(step)) for flow, job, step in steps())


def test_a_step_is_called_as_it_is_only_if_no_stand_in_takes_its_place() -> None:
    table = dict(re.findall(r"^\| \w+ \| \w+ \| `(.+?)` \| (as it is|stand-in)", PAGE, re.MULTILINE))
    programs = {path.name for path in (REHEARSAL / "bin").iterdir()}

    for _, _, step in steps():
        replaced = "uses" in step or step["run"].split()[0] in programs
        assert table[name_of(step)] == ("stand-in" if replaced else "as it is"), name_of(step)


def test_what_a_step_gives_to_an_action_its_stand_in_takes() -> None:
    for workflow, job, step in steps():
        if "uses" in step:
            action = step["uses"].partition("@")[0]
            described = yaml.safe_load((REHEARSAL / "actions" / action / "action.yml").read_text())
            known = described.get("inputs", {})
            given = step.get("with", {})
            assert given.keys() <= known.keys(), f"{workflow}, {job}: {action}"
            assert {name for name, each in known.items() if each.get("required")} <= given.keys(), f"{workflow}, {job}"


def test_the_variables_that_workflows_read_are_those_of_the_page() -> None:
    texts = [path.read_text() for path in (ROOT / ".github/workflows").glob("*.yml")]

    table = re.findall(r"^\| `(AWS_\w+)` \| .+ \| (?:`(\w+)`|none.*) \| .+ \|$", PAGE, re.MULTILINE)

    assert {name for name, _ in table} == {found for text in texts for found in re.findall(r"vars\.(\w+)", text)}
    outputs = re.findall(r'^output "(\w+)"', (ROOT / "infra/aws/outputs.tf").read_text(), re.MULTILINE)
    assert {output for _, output in table if output} <= set(outputs)
    assert not re.search(r"secrets\.", "".join(texts)), "there is none to keep"


@pytest.mark.parametrize(
    ("program", "words"), [("aws", ["s3", "rm", "--recursive", "s3://x"]), ("gh", ["repo", "delete", "x"])]
)
def test_a_stand_in_refuses_what_no_workflow_calls(program: str, words: list[str]) -> None:
    done = subprocess.run([REHEARSAL / "bin" / program, *words], capture_output=True, text=True)

    assert done.returncode == 2
    assert "nothing stands in for it" in done.stderr


def test_an_image_is_looked_up_with_who_may_have_signed_it() -> None:
    (line,) = [step["run"] for _, _, step in steps() if step.get("run", "").startswith("gh attestation")]
    loose = line.partition(" --signer-workflow")[0]

    code = {words: _of_stand_in(words) for words in (line, loose)}

    assert code == {line: 0, loose: 2}


def _of_stand_in(line: str) -> int:
    """Run a line with the rehearsal's stand-ins, and a docker that has every image."""
    environ = {
        "GITHUB_REPOSITORY": "me/houses",
        "REFERENCE": "here/houses@sha256:0",
        "PATH": f"{REHEARSAL}/bin:/usr/bin:/bin",
    }
    script = f"docker() {{ true; }}; export -f docker; {line}"
    return subprocess.run(["bash", "-c", script], env=environ, capture_output=True).returncode
