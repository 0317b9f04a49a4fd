"""Room: workflows. What can be said of them without GitHub: they are wired well."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / ".github/workflows").glob("*.yml"))}


def steps() -> Iterator[tuple[str, str, Any]]:
    for workflow, content in WORKFLOWS.items():
        for job, described in content["jobs"].items():
            for step in described.get("steps", []):
                yield workflow, job, step


def name_of(step: Any) -> str:
    return str(step.get("name") or step.get("uses", "").partition("@")[0] or step["run"])


def test_every_run_line_is_one_make_target_or_one_program() -> None:
    for workflow, job, step in steps():
        if "run" in step:
            assert "${{" not in step["run"], f"{workflow}, {job}: what people type must not become part of a script"
            assert len(step["run"].strip().splitlines()) == 1, f"{workflow}, {job}"


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
