"""The verbs of phase 2; each loads what it needs when it runs, and serving needs none of the tools."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from phase1_docker_api.cli import Verbs, json_option

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

    from phase2_k8s_cicd.cluster.cluster import Cluster
    from phase2_k8s_cicd.rollout.outcome import Outcome

REPORTS = Path("reports/rollout")
Kind = TypeVar("Kind", bound="BaseSettings")


def main() -> None:
    """Run the command line."""
    cli(prog_name="phase2")


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="phase2-k8s-cicd")
def cli() -> None:
    """Phase 1's service where a cluster can watch it, and rollouts that lose nothing.

    Exit codes: 0 done, 1 something is wrong and the message says what, 2 the command line itself is wrong.
    """


@cli.command()
@click.option("--port", type=int, help="Port to listen on.")
def serve(**options: Any) -> None:
    """Serve prices and metrics over HTTP until SIGTERM or Ctrl-C; what is in flight then is still answered."""
    from phase1_docker_api.service.logs import configure_logging
    from phase1_docker_api.service.server import run

    from phase2_k8s_cicd.service.app import create_app
    from phase2_k8s_cicd.settings import Settings

    settings = _settings(Settings, **options)
    app = create_app(settings)
    configure_logging(settings.log_level)
    run(app, settings)


@cli.command()
def gateway() -> None:
    """Become the gateway in front of the two replicas: what the Procfile runs."""
    from phase2_k8s_cicd.rollout.processes import Local, become_gateway

    become_gateway(_settings(Local))


@cli.command()
@click.argument("name", type=click.Choice(["a", "b"]))
def replica(name: str) -> None:
    """Keep one of the two replicas running: what the Procfile runs."""
    from phase2_k8s_cicd.rollout.processes import Local, keep_replica

    keep_replica(name, _settings(Local))


# What an option does not say, the environment says: see settings.py.
overlay_option = click.option(
    "--overlay",
    type=click.Choice(["local", "dev", "prod"]),
    help="Which of k8s/overlays.  [env: OVERLAY; default: local]",
)
context_option = click.option("--context", help="Kube context.  [env: CONTEXT; default: the current one]")
runtime_option = click.option(
    "--runtime",
    type=click.Choice(["k8s", "process"]),
    default="k8s",
    show_default=True,
    help="A cluster, or two processes.",
)
forward_option = click.option(
    "--only-forward",
    is_flag=True,
    default=None,
    help="Do nothing where a newer commit serves already.  [env: ONLY_FORWARD]",
)
yes_option = click.option(
    "--yes", is_flag=True, default=None, help="Do not ask before changing a cluster elsewhere.  [env: YES]"
)
version_option = click.option(
    "--version", help="Tag of the image.  [env: VERSION; default: what git calls these files]"
)


@cli.command()
@version_option
@overlay_option
@context_option
@yes_option
@runtime_option
@forward_option
def rollout(runtime: str, version: str | None, only_forward: bool | None, **target: Any) -> None:
    """Build a version, try it beside the old one, and replace the old one if it passes.

    It is undone when an answer is lost; the reason is printed, and kept in reports/rollout and as an event on
    the Deployment. An image that exists is taken as it is: build once, roll out anywhere.

    \b
      phase2 rollout --version v2
      REGISTRY=123456789012.dkr.ecr.eu-west-1.amazonaws.com YES=1 phase2 rollout --overlay prod --version v2
    """
    from phase2_k8s_cicd.cluster.cluster import version_of
    from phase2_k8s_cicd.delivery.pipeline import give, overtaken_by
    from phase2_k8s_cicd.rollout.deploy import deploy, deploy_processes, version_here
    from phase2_k8s_cicd.rollout.history import read, was_rolled_back
    from phase2_k8s_cicd.settings import RolloutSettings, TargetSettings

    _stop_as_at_ctrl_c()
    settings = _settings(RolloutSettings, version=version, only_forward=only_forward)
    if runtime == "process":
        _tell(deploy_processes(settings.version, _say), _settings(TargetSettings, **target).overlay)
        return
    cluster = _chosen(**target)
    serving = cluster.serving() if settings.only_forward else None
    if serving and (
        overtaken_by(version_of(serving)) or was_rolled_back(read(cluster), settings.version or version_here())
    ):
        give(settings, result="overtaken")
        click.echo(
            f"✓ nothing to do: {version_of(serving)} serves, and came after this or was gone back to; to go back:  "
            "make rollback"
        )
        return
    _tell(deploy(cluster, settings, _say), cluster.overlay)


@cli.command()
@overlay_option
@context_option
@yes_option
def rollback(**target: Any) -> None:
    """Bring the version before back, and see that it answers.

    With FROM=version in the environment nothing is done unless that is what serves; REASON=… is kept.
    """
    from phase2_k8s_cicd.rollout.deploy import go_back
    from phase2_k8s_cicd.settings import RolloutSettings

    settings = _settings(RolloutSettings)
    if version := settings.version:
        raise click.ClickException(f"a rollback takes no VERSION; to have that one:  make rollout VERSION={version}")
    _stop_as_at_ctrl_c()
    cluster = _chosen(**target)
    _tell(go_back(cluster, settings, _say), cluster.overlay)


@cli.command()
@overlay_option
@context_option
@click.option("--last", type=click.IntRange(1, 200), default=20, show_default=True, help="How many to show.")
@json_option
def deployments(last: int, as_json: bool, **target: Any) -> None:
    """Show who brought which version here, what became of it, and why; the newest first."""
    from phase2_k8s_cicd.rollout.history import FIELDS, read, table

    cluster = _named(**target)
    found = read(cluster)[-last:][::-1]
    if as_json:
        click.echo(json.dumps([each.model_dump(mode="json", include=FIELDS) for each in found], indent=1))
    elif found:
        click.echo(table(found))
    else:
        click.echo(f"nothing was rolled out yet in namespace {cluster.namespace}; first:  make rollout")


@cli.command()
@version_option
@click.option("--registry", help="Registry and path, as in host/houses.  [env: REGISTRY]")
@click.option("--push", "to_registry", is_flag=True, help="Push it there too, unless it is there.")
def image(to_registry: bool, **given: Any) -> None:
    """Build the image of a version, unless it exists, and print its name: with its digest once it is pushed.

    \b
      phase2 image --version v2
      REGISTRY=127.0.0.1:5000/houses phase2 image --version v2 --push
    """
    from phase2_k8s_cicd.cluster.images import build_rollcheck, build_service, push
    from phase2_k8s_cicd.delivery.pipeline import give_image
    from phase2_k8s_cicd.rollout.deploy import version_here
    from phase2_k8s_cicd.settings import RolloutSettings

    settings = _settings(RolloutSettings, **given)
    registry = settings.registry
    if to_registry and not registry:
        raise click.ClickException("push where? Say REGISTRY=host/name")
    built = build_service(settings.version or version_here(), registry, _say)
    if to_registry:
        push(build_rollcheck(registry, _say), registry, _say)
        built = push(built, registry, _say)
    give_image(settings, built)
    click.echo(built)


@cli.command()
@overlay_option
@context_option
@yes_option
def remove(**target: Any) -> None:
    """Delete all that was rolled out, with its namespace."""
    cluster = _chosen(**target)
    cluster.delete(f"namespace/{cluster.namespace}")
    click.echo(f"✓ namespace {cluster.namespace} is gone")


@cli.command()
@overlay_option
@context_option
def logs(**target: Any) -> None:
    """Follow what all pods of the service say; Ctrl-C ends the following, not the service."""
    from phase2_k8s_cicd.tools import show

    cluster = _named(**target)
    show(cluster.command("logs", "--follow", "--prefix", "--tail=20", "--selector=app.kubernetes.io/component=api"))


@cli.command()
@overlay_option
@context_option
@runtime_option
@click.option("--exercise", type=click.IntRange(1), help="Check this exercise alone.")
@click.option(
    "--hint", type=click.IntRange(1, 2), is_flag=False, flag_value=1, help="Give its hint; `--hint 2` the plainer one."
)
@json_option
def check(
    overlay: str | None, context: str | None, runtime: str, exercise: int | None, hint: int | None, as_json: bool
) -> None:
    """Check your own running phase: ✓ or ✗ a line, and what helps; – is what could not be checked here.

    Nothing is changed. Ends with 0 when no line of the phase is ✗. An exercise is checked only when asked for by
    number.
    """
    from phase1_docker_api.course.check_verb import check_phase_or_exercise

    from phase2_k8s_cicd.course.check import check_cluster, check_processes
    from phase2_k8s_cicd.course.exercises import EXERCISES
    from phase2_k8s_cicd.rollout.processes import Local
    from phase2_k8s_cicd.settings import TargetSettings

    if runtime == "k8s":
        target = _settings(TargetSettings, overlay=overlay, context=context)
        found = check_cluster(target.overlay, target.context, REPORTS)
    else:
        found = check_processes(_settings(Local), REPORTS)
    raise SystemExit(check_phase_or_exercise(found, EXERCISES, exercise, hint, as_json))


@cli.command()
@click.argument("name", type=click.Choice(["probes", "drain", "strategy", "budget", "replicas"]))
@overlay_option
@context_option
def lab(name: str, **target: Any) -> None:
    """Take away one thing that keeps the service answering, count what is lost without it, and put it back.

    Only on a cluster of this machine. Ctrl-C, SIGTERM or a closed terminal end it early, and put it back too.
    """
    from phase2_k8s_cicd.course.labs import LABS, run_lab
    from phase2_k8s_cicd.settings import RolloutSettings

    _stop_as_at_ctrl_c()
    report = run_lab(name, _chosen(**target, yes=True), _settings(RolloutSettings), _say)
    done = LABS[name]
    happened = report.why_lost() if report.lost else f"none of {report.requests} answers was lost this time"
    click.echo(f"removed   {done.removed}; now it is back\nhappened  {done.event}: {happened}\nwhy       {done.why}")


def _stop_as_at_ctrl_c() -> None:
    """Let whoever is told to stop, or whose terminal is closed, first bring back or write down what was begun."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def _settings(kind: type[Kind], **given: Any) -> Kind:
    """Read settings from the options that were given, else from the environment."""
    from phase1_docker_api.settings import load_settings

    return load_settings(kind, **{name: value for name, value in given.items() if value is not None})


def _named(**target: Any) -> Cluster:
    """Find the cluster that options or environment name."""
    from phase2_k8s_cicd.cluster.cluster import current_cluster
    from phase2_k8s_cicd.settings import TargetSettings

    chosen = _settings(TargetSettings, **target)
    return current_cluster(chosen.overlay, chosen.context)


def _chosen(**target: Any) -> Cluster:
    """Say which cluster is about to change, and ask first when it is not one of this machine."""
    from phase2_k8s_cicd.settings import TargetSettings

    cluster, yes = _named(**target), _settings(TargetSettings, **target).yes
    where = "on this machine" if cluster.is_local else "NOT on this machine"
    _say(f"context {cluster.context} ({cluster.server}, {where}), namespace {cluster.namespace}")
    if not cluster.is_local and not yes:
        if not sys.stdin.isatty():
            raise click.ClickException("this cluster is not on this machine: say YES=1 if it is the one you mean")
        click.confirm("Change this cluster?", abort=True)
    return cluster


def _tell(outcome: Outcome, overlay: str) -> None:
    """Print the outcome, keep all of it, and end with 1 when it is not the one that was asked for."""
    from phase2_k8s_cicd.delivery.pipeline import give_outcome
    from phase2_k8s_cicd.settings import PipelineSettings

    path = outcome.write(REPORTS)
    give_outcome(_settings(PipelineSettings), outcome, overlay)
    if outcome.result == "serving":
        click.echo(f"✓ {outcome.version} serves: {outcome.reason}\n  all of it: {path}")
        return
    stays = f"; {outcome.previous} serves as before" if outcome.old_serves else ""
    became = outcome.result if outcome.result == "failed" else f"was {outcome.result}"
    raise click.ClickException(f"{outcome.version} {became}{stays}\n{outcome.reason}\nall of it: {path}")


def _say(text: str) -> None:
    with suppress(OSError):  # a terminal that was closed must not keep away what brings the old version back
        click.echo(f"• {text}", err=True)
