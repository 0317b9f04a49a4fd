"""The verbs of the rehearsal: each runs a workflow as a push, or a person, would make GitHub run it."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import click
from phase1_docker_api.cli import Verbs
from phase1_docker_api.errors import CourseError
from phase2_k8s_cicd.cluster.cluster import Cluster, current_cluster, version_of
from phase2_k8s_cicd.errors import ClusterError, ToolError
from phase2_k8s_cicd.tools import ROOT, run

from rehearsal import act, runs
from rehearsal.origin import Origin
from rehearsal.progress import Progress
from rehearsal.registry import Ports, Registry

HOME = ROOT / ".run" / "rehearsal"
KEPT = 20  # folders of runs
# What GitHub tells of one that comes from no fork.
PULL_REQUEST = {"number": 1, "pull_request": {"head": {"repo": {"full_name": act.REPOSITORY}}, "base": {"ref": "main"}}}


@dataclass(frozen=True)
class Stage:
    """What runs need around them: where a push goes, where images go, and where versions serve."""

    cluster: Cluster
    registry: Registry
    origin: Origin

    def serving(self, environment: str = "dev") -> str | None:
        """Name the version in an environment."""
        image = replace(self.cluster, overlay=environment).serving()
        return version_of(image) if image else None


@dataclass(frozen=True)
class Order:
    """A workflow to run, and what to say of it when it went well, given what served before and serves now."""

    commit: str
    workflow: str
    options: Sequence[str]
    done: Callable[[str | None, str | None], str]
    environments: Sequence[str] = ("dev",)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli() -> None:
    """Run this repository's workflows on this computer: no GitHub, no cloud, no account.

    A push goes to a bare repository in .run/rehearsal, and act runs deploy.yml of that commit: tests, image, registry,
    and environment dev, or dev and prod, on the cluster that kubectl speaks to. rehearsal/reference.md
    says what is as on GitHub and what is not.

    Exit codes: 0 the run went well, 1 it did not and the message says why, 130 it was stopped.
    """
    # Told to stop, it stops as at Ctrl-C; and that is heard, with all that is started, even behind a shell's `&`.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


@cli.command()
@click.option("--commit", envvar="COMMIT", default="HEAD", show_default=True, help="What to push.")
@click.option("--worktree", envvar="WORKTREE", is_flag=True, help="Push the files as they are, committed or not.")
@click.option("--prod", envvar="PROD", is_flag=True, help="Let it go on to prod: this is the yes, nobody is asked.")
def push(commit: str, worktree: bool, prod: bool) -> None:
    """Push a commit to main, and wait until its version serves in dev, or does not.

    A commit that main has already is not pushed again; its workflow runs again, as at GitHub's "Re-run all jobs".
    """
    stage = _set()
    with runs.pushing(HOME):
        full = stage.origin.commit_files() if worktree else stage.origin.commit_of(commit)
        new = stage.origin.push(full)
        this = runs.join(HOME, f"deploy of {full[:12]}")
    click.echo(f"• run {this.number}: {full[:12]} is {'pushed to main' if new else 'on main already; once more'}")
    options, done = ["push", *_as_in_aws(stage.registry, prod)], partial(_deployed, stage, full, prod)
    _perform(Order(full, "deploy.yml", options, done, ("dev", "prod") if prod else ("dev",)), this, stage)


@cli.command()
@click.option("--reason", envvar="REASON", default="", help="Why; kept with the deployments.")
@click.option("--from", "bad", envvar="FROM", default="", help="What is bad; nothing is done if something else serves.")
def rollback(reason: str, bad: str) -> None:
    """Run rollback.yml for dev, as by hand on GitHub: the version before comes back."""
    stage = _set()
    with runs.pushing(HOME):
        main = stage.origin.main()
        if main is None:
            raise CourseError("nothing was pushed yet, so there is nothing to go back from:  make rehearse-push")
        this = runs.join(HOME, "rollback of dev")
    click.echo(f"• run {this.number}: rollback of dev")
    inputs = {"environment": "dev", "reason": reason, "version": bad}
    options = [*_as_in_aws(stage.registry), *(f"--input={name}={value}" for name, value in inputs.items())]
    order = Order(
        main, "rollback.yml", ["workflow_dispatch", *options], lambda old, now: f"{now} is back in dev after {old}"
    )
    _perform(order, this, stage)


@cli.command()
@click.argument("workflow", envvar="WORKFLOW")
@click.option("--job", envvar="JOB", help="This one alone, with those it needs.")
@click.option("--commit", envvar="COMMIT", default="HEAD", show_default=True, help="The commit whose workflow it is.")
def workflow(workflow: str, job: str | None, commit: str) -> None:
    """Run any workflow of a commit as its own event would: ci.yml, say, or one job of it."""
    stage = _set()
    with runs.pushing(HOME):
        full = stage.origin.commit_of(commit)
        stage.origin.keep(full)
        this = runs.join(HOME, f"{workflow} of {full[:12]}")
    click.echo(f"• run {this.number}: {workflow} of {full[:12]}")
    event = stage.origin.path.with_name("event.json")
    event.write_text(json.dumps(PULL_REQUEST))
    options = ["--detect-event", f"--eventpath={event}", *_as_in_aws(stage.registry), *[f"--job={job}"] * bool(job)]
    _perform(Order(full, workflow, options, lambda old, now: f"{workflow} of {full[:12]} went well"), this, stage)


@cli.command()
def down() -> None:
    """Stop the registry, and delete the repository that was pushed to; what serves goes on until `make phase2-down`."""
    for path in (HOME / "runs").glob("*"):
        if runs.lives(HOME, int(path.name)):
            raise CourseError(f"run {path.name} is still at it: {(path / 'title').read_text().strip()}")
        runs.tidy(path)
    Registry(HOME / "registry", Ports().registry_port).down()
    shutil.rmtree(HOME, ignore_errors=True)
    click.echo("✓ the rehearsal's repository, registry and logs are gone")


def _set() -> Stage:
    """Look for all that a run needs before anything begins.

    Raises:
        CourseError: something is missing, and the message says what helps.

    """
    cluster = current_cluster("dev", os.environ.get("CONTEXT"))
    if not cluster.is_local:
        where = f"context {cluster.context} ({cluster.server})"
        raise ClusterError(f"{where} is not on this machine; rehearse on one that is:  make cluster-up")
    run(["docker", "version", "--format={{.Server.Version}}"])
    origin = Origin(HOME / "origin.git")
    registry = Registry(HOME / "registry", Ports().registry_port)
    with runs.pushing(HOME):
        act.install()
        origin.make()
        registry.up(cluster)
    return Stage(cluster, registry, origin)


def _as_in_aws(registry: Registry, prod: bool = False) -> list[str]:
    """Give the repository's variables that the workflows read; without a role for prod its jobs are skipped."""
    values = {
        "AWS_REGION": "eu-west-1",
        "AWS_REGISTRY": f"{registry.address}/houses",
        "AWS_CLUSTER": "house",
        "AWS_PUSH_ROLE": "push",
        "AWS_DEV_ROLE": "deploy-dev",
        "AWS_PLAN_ROLE": "plan",
    } | ({"AWS_PROD_ROLE": "deploy-prod"} if prod else {})
    return [f"--var={name}={value}" for name, value in values.items()]


def _perform(order: Order, this: runs.Run, stage: Stage) -> None:
    show = Progress()
    environ = act.environment(this, stage.origin.path, stage.registry.address, os.environ)
    try:
        runs.wait_for_turn(HOME, this, show.say)
        _forget_old(this.number)
        before = stage.serving()
        show.say(f"all of it: {this.log}")
        work = act.prepare(this, stage.origin.path, order.commit)
        options = [*order.options, f"--actor={getpass.getuser()}"]
        code = act.perform(this, work, order.workflow, options, environ, show)
    except KeyboardInterrupt:
        click.echo(f"✗ run {this.number} was stopped; {_what_serves(stage, order)}")
        raise click.exceptions.Exit(130) from None
    if show.summary:
        (this.folder / "summary.md").write_text(show.summary)
    if code:
        raise click.ClickException(f"run {this.number}: {show.why}\n{_what_serves(stage, order)}")
    click.echo(f"✓ {order.done(before, stage.serving())}")


def _deployed(stage: Stage, commit: str, prod: bool, before: str | None, now: str | None) -> str:
    said = _served(stage, commit, "dev", now)
    if now != commit[:12]:  # what dev did not take does not go on to prod
        return said
    further = _served(stage, commit, "prod", stage.serving("prod")) if prod else "prod waits for a yes:  PROD=1"
    return (
        f"{said}, in the place of {before or 'nothing'}; who brought what:  make deployments OVERLAY=dev\n  {further}"
    )


def _served(stage: Stage, commit: str, environment: str, now: str | None) -> str:
    if now == commit[:12]:
        return f"{now} serves in {environment}"
    if now and stage.origin.follows(now, commit):
        return f"nothing was to be done: {now} serves in {environment}, and came after {commit[:12]}"
    raise CourseError(f"the run went well, and yet {now or 'nothing'} serves in {environment} instead of {commit[:12]}")


def _what_serves(stage: Stage, order: Order) -> str:
    try:
        return ", ".join(f"{stage.serving(each) or 'nothing'} serves in {each}" for each in order.environments)
    except ToolError as error:
        return f"what serves in {' and '.join(order.environments)} is not known: {error}"


def _forget_old(number: int) -> None:
    for path in (HOME / "runs").glob("*"):
        if int(path.name) <= number - KEPT:
            shutil.rmtree(path, ignore_errors=True)
        elif int(path.name) < number:  # one that was killed did not tidy up
            runs.tidy(path)
