"""Room: workflows. What can be said of them without GitHub: they are wired well, and rehearsed as the page says."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
REHEARSAL = ROOT / "phase2_k8s_cicd" / "rehearsal"
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / ".github/workflows").glob("*.yml"))}
PAGE = (REHEARSAL / "reference.md").read_text()


def steps() -> Iterator[tuple[str, str, Any]]:
    for workflow, content in WORKFLOWS.items():
        for job, described in content["jobs"].items():
            for step in described.get("steps", []):
                yield workflow, job, step


def name_of(step: Any) -> str:
    return str(step.get("name") or step.get("uses", "").partition("@")[0] or step["run"])


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


def test_every_run_line_is_one_make_target_or_one_program() -> None:
    for workflow, job, step in steps():
        if "run" in step:
            assert "${{" not in step["run"], f"{workflow}, {job}: what people type must not become part of a script"
            assert len(step["run"].strip().splitlines()) == 1, f"{workflow}, {job}"


def test_the_variables_that_workflows_read_are_those_of_the_page() -> None:
    texts = [path.read_text() for path in (ROOT / ".github/workflows").glob("*.yml")]

    table = re.findall(r"^\| `(AWS_\w+)` \| .+ \| (?:`(\w+)`|none.*) \| .+ \|$", PAGE, re.MULTILINE)

    assert {name for name, _ in table} == {found for text in texts for found in re.findall(r"vars\.(\w+)", text)}
    outputs = re.findall(r'^output "(\w+)"', (ROOT / "infra/aws/outputs.tf").read_text(), re.MULTILINE)
    assert {output for _, output in table if output} <= set(outputs)
    assert not re.search(r"secrets\.", "".join(texts)), "there is none to keep"


def test_without_variables_no_job_but_those_of_ci_runs() -> None:
    def skipped(job: Any) -> bool:
        return bool(re.match(r"vars\.AWS_\w+_ROLE != ''", job.get("if", "")))

    for workflow in ("deploy", "infra"):
        jobs = WORKFLOWS[workflow]["jobs"]
        for name, job in jobs.items():
            assert skipped(job) or any(skipped(jobs[needed]) for needed in [job["needs"]]), f"{workflow}, {name}"
    assert [job for job in WORKFLOWS["ci"]["jobs"].values() if "if" in job] == []


@pytest.mark.parametrize("page", ["first-push.md", "first-push.id.md"])
def test_a_job_that_waits_for_a_yes_holds_nothing_that_others_wait_for(page: str) -> None:
    made = dict(re.findall(r"^environment (\S+) (.+)$", (ROOT / "docs/phase2" / page).read_text(), re.MULTILINE))
    asking = {name for name, reviewers in made.items() if "User" in reviewers}
    jobs = [job for content in WORKFLOWS.values() for job in content["jobs"].values()]

    asked = [job for job in jobs if job.get("environment") in asking]

    assert asked
    assert all("concurrency" not in job and job["permissions"] == {} and "uses" not in job for job in asked)
    called = {job["with"]["environment"] for job in jobs if "cluster.yml" in job.get("uses", "")}
    assert called == made.keys() - asking, "a rollback waits for nobody"


def test_no_step_of_a_job_holds_a_key_while_others_look_into_the_image() -> None:
    order = [name_of(step) for _, _, step in steps() if _of_image(step)]

    assert order.index("aws-actions/configure-aws-credentials") > max(
        index for index, name in enumerate(order) if name.startswith(("List", "Refuse"))
    )


def _of_image(step: Any) -> bool:
    return step in WORKFLOWS["image"]["jobs"]["image"]["steps"]


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
