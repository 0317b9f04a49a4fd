"""What `make rollout` and `make rollback` do, from a version's name to an outcome that is kept."""

from __future__ import annotations

import datetime as dt
import fcntl
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from phase1_docker_api.errors import CourseError
from phase1_docker_api.settings import Settings, load_settings

from phase2_k8s_cicd.cluster.cluster import Cluster, version_of
from phase2_k8s_cicd.cluster.images import (
    bring,
    build_rollcheck,
    build_service,
    extract_model,
    fetch,
    require_version,
    service_image,
)
from phase2_k8s_cicd.cluster.lease import only_one
from phase2_k8s_cicd.errors import RolloutError, ToolError
from phase2_k8s_cicd.rollout import history
from phase2_k8s_cicd.rollout import probe_pods as pods
from phase2_k8s_cicd.rollout.kubernetes import Kubernetes, make_ready
from phase2_k8s_cicd.rollout.limits import Plan
from phase2_k8s_cicd.rollout.outcome import Outcome, Result
from phase2_k8s_cicd.rollout.probe import Question, Report
from phase2_k8s_cicd.rollout.processes import Local, Processes, build_rollcheck_binary
from phase2_k8s_cicd.rollout.reference_houses import expectations, fixed_houses
from phase2_k8s_cicd.rollout.rollout import Rollout
from phase2_k8s_cicd.rollout.way_back import WayBack
from phase2_k8s_cicd.settings import PipelineSettings, RolloutSettings
from phase2_k8s_cicd.tools import Say, run

# It is renewed: this is how long a rollout that was killed keeps others out.
LEASE_SECONDS = 90


def deploy(cluster: Cluster, settings: RolloutSettings, say: Say) -> Outcome:
    """Build, bring and roll out a version; with REFERENCE, that very image.

    Raises:
        CourseError: it did not come to a rollout: no image, no cluster, or another rollout is under way.

    """
    registry, plan = settings.registry, load_settings(Plan)
    version = settings.version or version_here()
    if settings.reference:
        image = fetch(service_image(version, registry, cluster.workload), settings.reference)
    else:
        image = bring(build_service(version, registry, say), cluster, settings, say)
    rollcheck = bring(build_rollcheck(registry, say), cluster, settings, say)
    houses = fixed_houses()
    with TemporaryDirectory() as folder:
        expected = expectations(houses, extract_model(image, Path(folder)))
    make_ready(cluster, image)
    with only_one(cluster, f"{settings.by} with {version_of(image)}", LEASE_SECONDS, now, plan.wait_seconds):
        rollout = Rollout(Kubernetes(cluster, image, rollcheck), version_of(image), plan, say)
        outcome = attempt(rollout, expectations(houses), expected, settings.by)
        outcome = outcome.model_copy(update={"image": image, "run": settings.run})
        _record(outcome, cluster, say)
    return outcome


def deploy_processes(version: str | None, say: Say) -> Outcome:
    """Roll a version out to the replicas that run on this machine.

    Raises:
        CourseError: it did not come to a rollout: nothing runs, or another rollout is under way.

    """
    version, plan = version or version_here(), load_settings(Plan)
    require_version(version)
    local, pipeline = load_settings(Local), load_settings(PipelineSettings)
    local.run_folder.mkdir(parents=True, exist_ok=True)
    with (local.run_folder / "rollout.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RolloutError("another rollout is under way here; wait for its end") from None
        place = Processes(local, version, build_rollcheck_binary(local))
        if place.previous is None:
            raise RolloutError(f"nothing answers at {place.url}; first:  make phase2-up RUNTIME=process")
        houses = fixed_houses()
        expected = expectations(houses, load_settings(Settings).model_path)
        rollout = Rollout(place, place.version, plan, say)
        return attempt(rollout, expectations(houses), expected, pipeline.by)


def attempt(rollout: Rollout, houses: str, expected: str, by: str) -> Outcome:
    """Run a rollout, and put down how it ended."""
    started_at, started = now(), time.monotonic()
    result: Result = "serving"
    try:
        reason = rollout.run(houses, expected)
    except (CourseError, KeyboardInterrupt) as error:
        reason = str(error) or "it was told to stop"
        result = "undone" if rollout.begun else "refused"
        if rollout.undo_failed:
            reason, result = f"{reason}\nand the way back failed: {rollout.undo_failed}", "failed"
    return Outcome(
        result=result,
        version=rollout.version,
        previous=rollout.previous,
        reason=reason,
        by=by,
        started_at=started_at,
        seconds=round(time.monotonic() - started, 1),
        candidate=rollout.candidate,
        shares=rollout.shares,
        watch=rollout.watch,
    )


def go_back(cluster: Cluster, settings: RolloutSettings, say: Say) -> Outcome:
    """Bring the version before back, and ask whether it answers; with FROM, only if that is what serves.

    Raises:
        CourseError: there is nothing to go back to, or a rollout is under way; nothing was done.

    """
    plan, by, why = load_settings(Plan), settings.by, settings.reason.strip()
    started_at, started = now(), time.monotonic()
    if cluster.serving() is None:
        raise RolloutError(f"nothing serves in namespace {cluster.namespace}; first:  make phase2-up")
    with only_one(cluster, f"{by} with a rollback", LEASE_SECONDS, now, plan.wait_seconds):
        serving, bad = cluster.serving(), settings.from_version
        if bad and serving and version_of(serving) != bad:
            raise RolloutError(f"{version_of(serving)} serves here, and not {bad}: nothing was done")
        way = WayBack(cluster)
        result: Result = "failed"
        found: Report | None = None
        became = "Kubernetes goes on with it"
        try:
            way.go(plan.update_seconds)
            became = f"{way.back} is back, but was not asked to the end"
            say(f"{way.back} is back in the place of {way.gone}; asking it …")
            houses = expectations(fixed_houses())
            question = Question(
                cluster.workload.url, plan.watch_rate, plan.settle_seconds, houses, [way.back, way.gone]
            )
            found = _asked(cluster, settings, question, say)
            result, how = "failed" if found and found.lost else "serving", _how_it_went(found, way.gone)
        except (CourseError, KeyboardInterrupt) as error:
            how = f"{str(error) or 'it was told to stop'}; {became}"
        outcome = Outcome(
            action="rollback",
            result=result,
            version=way.back,
            previous=way.gone,
            reason=f"{f'{why}: ' if why else ''}{how}",
            by=by,
            run=settings.run,
            started_at=started_at,
            seconds=round(time.monotonic() - started, 1),
            watch=found,
        )
        _record(outcome, cluster, say)
    return outcome


def _asked(cluster: Cluster, settings: RolloutSettings, question: Question, say: Say) -> Report | None:
    """Ask; that nobody can be sent to ask, say because the registry is away, must keep nobody from going back."""
    try:
        rollcheck = bring(build_rollcheck(settings.registry, say), cluster, settings, say)
        return pods.ask(cluster, rollcheck, {"back": question})["back"]
    except CourseError as error:
        say(f"it could not be asked: {error}")
        return None


def _how_it_went(found: Report | None, gone: str) -> str:
    if found is None:
        return f"in place of {gone}; its pods are ready, but it could not be asked"
    return found.why_lost() if found.lost else f"in place of {gone}, asked {found.requests} times, 0 lost"


def _record(outcome: Outcome, cluster: Cluster, say: Say) -> None:
    """Keep it in the cluster; what became of the rollout does not change when that fails."""
    try:
        history.append(cluster, outcome)
        outcome.record(cluster)
    except ToolError as error:
        say(f"could not be recorded in the cluster: {error}")


def now() -> dt.datetime:
    """Give the time of this computer, in UTC."""
    return dt.datetime.now(dt.UTC)


def version_here() -> str:
    """Name what is in the folder: the commit, and with a change or a new file its digest too.

    Raises:
        ToolError: the folder is not git's.

    """
    commit = run(["git", "rev-parse", "--short=12", "HEAD"]).strip()
    with TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}  # git's own stays as it is
        run(["git", "read-tree", "HEAD"], environ=index)
        run(["git", "add", "--all"], environ=index)
        tree = run(["git", "write-tree"], environ=index).strip()
    return commit if tree == run(["git", "rev-parse", "HEAD^{tree}"]).strip() else f"{commit}-{tree[:8]}"
