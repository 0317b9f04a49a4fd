"""The exercises on delivery: a workflow, a Terraform module and the history; none needs an account anywhere."""

from __future__ import annotations

import datetime as dt
import importlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from click.testing import CliRunner
from phase1_docker_api.course.practice import DONE, Exercise

from phase2_k8s_cicd.course.practice_script import TOOLS, last_line, passes
from phase2_k8s_cicd.errors import ToolError
from phase2_k8s_cicd.rollout.history import KEY
from phase2_k8s_cicd.rollout.outcome import Outcome
from phase2_k8s_cicd.tools import ROOT, run

WORKFLOW = ROOT / "phase2_k8s_cicd/exercises/thanks.yml"
REGISTRY_MODULE = ROOT / "infra/aws/modules/registry"
REGISTRY_TEST = ROOT / "phase2_k8s_cicd/exercises/registry"
NEEDS_PROVIDER = "Terraform's AWS provider cannot be fetched here"


SECRET = "https://chat.example/hooks/s3cr3t"  # noqa: S105 - a made-up one
TITLE = 'A "villa" of 3 beds & $HOME costs 5 %?'
ATTACK = 'Hello"; touch stolen; echo "$(touch stolen)'


def workflow_obeys_nobody(url: str) -> str:
    """The workflow does its work with any title and runs none of it, and zizmor has nothing to say."""
    try:
        yaml = importlib.import_module("yaml")
    except ModuleNotFoundError:
        return f"the tools that check are not installed: {TOOLS}"
    try:
        workflow = yaml.safe_load(WORKFLOW.read_text())
    except yaml.YAMLError as error:
        return f"{WORKFLOW.name} is not YAML: {error}"
    if _handle(workflow, ATTACK)["stolen"]:
        return f"whoever opens an issue called  {ATTACK}  has run a command of theirs on your runner"
    done = _handle(workflow, TITLE)
    for what in ("summary", "told"):
        if TITLE not in done[what]:
            return f"an issue called  {TITLE}  is not {what} as such, but: {last_line(done[what]) or 'nothing'}"
    if SECRET not in done["told"]:
        return "curl does not get the address of the chat any more"
    return passes("zizmor", WORKFLOW, "--offline", "--pedantic", "--quiet", "--no-progress")


def _handle(workflow: dict[str, Any], title: str) -> dict[str, str]:
    """Run the workflow's own steps as GitHub does: fill in each ${{ … }} as text, then let Bash read the result."""
    known = {"github.event.issue.title": title, "secrets.CHAT_ADDRESS": SECRET}

    def fill(text: object) -> str:
        return re.sub(r"\$\{\{\s*(.+?)\s*\}\}", lambda found: known.get(found[1], found[0]), str(text))

    with TemporaryDirectory() as name:
        room = Path(name)
        curl = room / "curl"
        curl.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>"{room}/told"\n')
        curl.chmod(0o755)
        for job in workflow["jobs"].values():
            for step in job["steps"]:
                layers = (workflow.get("env"), job.get("env"), step.get("env"))
                own = {key: fill(value) for layer in layers for key, value in (layer or {}).items()}
                path = f"{room}{os.pathsep}{os.environ['PATH']}"
                subprocess.run(  # noqa: S603 - the learner's own steps
                    ["bash", "-e", "-c", fill(step.get("run", ""))],  # noqa: S607
                    cwd=room,
                    env=own | {"PATH": path, "HOME": name, "GITHUB_STEP_SUMMARY": f"{room}/summary"},
                    capture_output=True,
                    timeout=30,
                    check=False,
                )
        stolen = "yes" if (room / "stolen").exists() else ""
        kept = {what: room / what for what in ("summary", "told")}
        return {what: path.read_text() if path.exists() else "" for what, path in kept.items()} | {"stolen": stolen}


def try_outs_go_sooner(url: str) -> str:
    """The registry module expires what pull requests built, as Terraform's own test of it says."""
    if shutil.which("terraform") is None:
        return "there is no terraform on the PATH: https://developer.hashicorp.com/terraform/install"
    with TemporaryDirectory() as name:
        module = Path(name) / "registry"
        shutil.copytree(REGISTRY_MODULE, module, ignore=shutil.ignore_patterns(".terraform*"))
        shutil.copytree(REGISTRY_TEST, module, dirs_exist_ok=True)
        terraform = ["terraform", f"-chdir={module}"]
        have = ROOT / "infra/aws/.terraform/providers"  # make cloud-plan has fetched it
        known = [f"-plugin-dir={have}"] if have.is_dir() and "TF_CLI_ARGS_init" not in os.environ else []
        try:
            run([*terraform, "init", "-input=false", "-no-color", *known])
        except ToolError as error:
            return (
                f"{NEEDS_PROVIDER}; once you are online:  make cloud-plan" if "provider" in str(error) else str(error)
            )
        if not re.search(r'^variable "pull_request_days"', (module / "variables.tf").read_text(), re.MULTILINE):
            return "the module has no variable pull_request_days yet"
        try:
            run([*terraform, "test", "-no-color"])
        except ToolError as error:
            return _first_problem(str(error))
    return DONE


def _first_problem(words: str) -> str:
    """Give the message of the first assertion that failed, or what Terraform says else."""
    failed = re.search(r"Error: Test assertion failed\n.*?\n\n(.+?)\n\n", f"{words}\n\n", re.DOTALL)
    if failed:
        return failed[1].strip().splitlines()[-1]
    if "Missing expected failure" in words:
        return "pull_request_days = 0 is not refused: give the variable a validation"
    found = re.search(r"Error: (.+)", words)
    return found[1] if found else last_line(words)


def deployments_show_failures(url: str) -> str:
    """`phase2 deployments --failed` shows what did not come to serve, of all that is kept and not of the last few."""
    from phase2_k8s_cicd.cli import cli

    if not any("--failed" in parameter.opts for parameter in cli.commands["deployments"].params):
        return "`phase2 deployments` has no option --failed yet"
    day = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    results = {"v0": "failed", "v1": "refused", "v2": "undone"}
    kept = [
        Outcome.model_validate(
            {"result": results.get(f"v{number}", "serving"), "version": f"v{number}", "previous": None, "reason": "so"}
            | {"by": "ada", "started_at": day + dt.timedelta(days=number), "seconds": 1}
        )
        for number in range(40)
    ]
    for options, wanted in (
        (["--failed"], ["v2", "v1", "v0"]),
        (["--failed", "--last", "2"], ["v2", "v1"]),
        (["--last", "2"], ["v39", "v38"]),
    ):
        shown = _deployments(kept, options)
        if shown != wanted:
            return (
                f"`phase2 deployments {' '.join(options)}` shows {', '.join(shown) or 'none'}, not {', '.join(wanted)}"
            )
    if _deployments(kept[3:], ["--failed"]):
        return "with nothing that failed, --failed shows something"
    return DONE


def _deployments(kept: list[Outcome], options: list[str]) -> list[str]:
    """Ask the learner's verb, with a kubectl in front that knows this history and no cluster."""
    from phase2_k8s_cicd.cli import cli

    history = {"data": {KEY: "\n".join(outcome.model_dump_json() for outcome in kept)}}
    config = {"current-context": "exercise", "clusters": [{"cluster": {"server": "https://127.0.0.1"}}]}
    with TemporaryDirectory() as name:
        kubectl = Path(name) / "kubectl"
        for file, content in (("history", history), ("config", config)):
            (Path(name) / file).write_text(json.dumps(content))
        kubectl.write_text(
            f'#!/bin/sh\ncase "$*" in *configmap*) cat "{name}/history" ;; *) cat "{name}/config" ;; esac\n'
        )
        kubectl.chmod(0o755)
        path = f"{name}{os.pathsep}{os.environ['PATH']}"
        done = CliRunner().invoke(cli, ["deployments", "--json", *options], env={"PATH": path, "CONTEXT": None})
    if done.exit_code:
        raise RuntimeError(done.stderr.strip() or repr(done.exception))
    return [each["version"] for each in json.loads(done.stdout)] if done.stdout.startswith("[") else []


EXERCISES = {
    10: Exercise(
        "thanks.yml obeys nobody but you",
        "first-push",
        workflow_obeys_nobody,
        (
            "${{ … }} is filled in as text before Bash reads the line, so a title can hold commands. An environment "
            "variable is read by Bash as a value. Compare with how .github/workflows/cluster.yml hands values over.",
            'Give the step env: TITLE: ${{ github.event.issue.title }} and CHAT_ADDRESS, use "$TITLE" and '
            '"$CHAT_ADDRESS", with --data-urlencode. Then what zizmor says: permissions: {}, concurrency, a name for '
            "the job, and the checkout, which nothing here needs.",
        ),
    ),
    11: Exercise(
        "images of pull requests go after a week",
        "cloud",
        try_outs_go_sooner,
        (
            "infra/aws/modules/registry/main.tf has a policy with two rules; a variable wants a type, a description, "
            "a default and a validation, as its neighbours have. AWS reads rules by priority, and has one demand on "
            "the rule about any image.",
            'A rule with selection = { tagStatus = "tagged", tagPrefixList = ["pr-"], countType = "sinceImagePushed", '
            'countUnit = "days", countNumber = var.pull_request_days } and priority 2; the rule about any image gets '
            "3, because it must be the last. The variable: number, default 7, 1 to 30.",
        ),
    ),
    12: Exercise(
        "`phase2 deployments --failed`",
        "reference",
        deployments_show_failures,
        (
            "deployments in cli.py reads all that is kept and cuts it to the last few. What did not come to serve has "
            'a result other than "serving", for rollouts and rollbacks alike.',
            '@click.option("--failed", is_flag=True, help=…) and an argument failed. Filter before [-last:]: '
            "otherwise a failure older than 20 deployments is never shown.",
        ),
    ),
}
