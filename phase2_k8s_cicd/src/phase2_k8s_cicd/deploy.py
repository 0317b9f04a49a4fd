"""What `make rollout` and `make rollback` do, from an image to an outcome that is kept."""

from __future__ import annotations

import datetime as dt
import getpass
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from phase2_k8s_cicd.cluster import Cluster
from phase2_k8s_cicd.errors import Phase2Error
from phase2_k8s_cicd.houses import expectations, fixed_houses
from phase2_k8s_cicd.images import Say, bring, build_rollcheck, build_service, extract_model
from phase2_k8s_cicd.lock import only_one
from phase2_k8s_cicd.rollout import Outcome, Plan, Rollout, keep, make_namespace, roll_back, version_of
from phase2_k8s_cicd.tools import run

# Longer than a rollout can take by its plan's defaults.
LEASE_SECONDS = 900


def deploy(
    cluster: Cluster, version: str | None, environ: Mapping[str, str], reports: Path, say: Say
) -> tuple[Outcome, Path]:
    """Build, bring and roll out a version; give the outcome and where it is kept.

    Raises:
        Phase2Error: it did not come to a rollout: no image, no cluster, or another rollout is under way.

    """
    registry, plan = environ.get("REGISTRY", ""), Plan()
    image = build_service(version or version_here(), registry, say)
    rollcheck = build_rollcheck(registry, say)
    for each in (image, rollcheck):
        bring(each, cluster, environ, say)
    with TemporaryDirectory() as folder:
        fixed = fixed_houses()
        houses, expected = expectations(fixed), expectations(fixed, extract_model(image, Path(folder)))
    make_namespace(cluster, image)
    now, by = dt.datetime.now(dt.UTC), who(environ)
    with only_one(cluster, f"{by} with {version_of(image)}", LEASE_SECONDS, now):
        rollout = Rollout(cluster, image, rollcheck, plan, say)
        started, result = time.monotonic(), "serving"
        try:
            rollout.run(houses, expected)
            reason = _praise(rollout)
        except Phase2Error as error:
            reason, result = str(error), "undone" if rollout.applied else "refused"
        except KeyboardInterrupt:
            reason, result = "it was told to stop", "undone" if rollout.applied else "refused"
        outcome = Outcome(
            result=result,
            version=rollout.version,
            previous=rollout.previous,
            reason=reason,
            by=by,
            started_at=now,
            seconds=round(time.monotonic() - started, 1),
            candidate=rollout.candidate,
            watch=rollout.watch,
        )
        return outcome, keep(outcome, cluster, reports)


def go_back(cluster: Cluster, environ: Mapping[str, str], reports: Path, say: Say) -> tuple[Outcome, Path]:
    """Roll back to the version before; give the outcome and where it is kept.

    Raises:
        Phase2Error: it did not come to a rollback: nothing to go back to, or another rollout is under way.

    """
    rollcheck = build_rollcheck(environ.get("REGISTRY", ""), say)
    bring(rollcheck, cluster, environ, say)
    now, by = dt.datetime.now(dt.UTC), who(environ)
    with only_one(cluster, f"{by} with a rollback", LEASE_SECONDS, now):
        started = time.monotonic()
        version, replaced, found = roll_back(cluster, rollcheck, Plan(), expectations(fixed_houses()), say)
        outcome = Outcome(
            result="failed" if found.lost else "serving",
            version=version,
            previous=replaced,
            reason=found.why_lost() if found.lost else f"back from {replaced}; asked {found.requests} times, 0 lost",
            by=by,
            started_at=now,
            seconds=round(time.monotonic() - started, 1),
            watch=found,
        )
        return outcome, keep(outcome, cluster, reports)


def who(environ: Mapping[str, str]) -> str:
    """Name who is at it: in a pipeline whoever pushed, else the user of this machine."""
    return environ.get("GITHUB_ACTOR") or getpass.getuser()


def version_here() -> str:
    """Name what is in the folder: the commit, and after a change not yet committed its digest too."""
    commit = run(["git", "rev-parse", "--short=12", "HEAD"]).strip()
    changed = run(["git", "stash", "create"]).strip()  # a commit that no branch holds; the files stay as they are
    if not changed:
        return commit
    return f"{commit}-{run(['git', 'rev-parse', '--short=8', f'{changed}^{{tree}}']).strip()}"


def _praise(rollout: Rollout) -> str:
    watched = rollout.watch
    if watched is None:
        return "nothing was there before"
    return f"asked {watched.requests} times while pods were replaced, 0 lost, p99 {watched.p99_ms:.1f} ms"
