"""Bring a new version into service so that no caller notices, or leave the old one there and say why.

First the new version runs beside the old one, as a candidate that no caller reaches. It must start, answer 200 fixed
houses with the prices that its model gives offline, and not be slower than the old version, asked at the same time.
Only then are the pods replaced, while somebody keeps asking; what is lost then undoes the rollout.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from phase2_k8s_cicd.asking import Report, arguments, ask, trouble_of, watching
from phase2_k8s_cicd.cluster import APP, CANDIDATE, Cluster, Object, image_of, render
from phase2_k8s_cicd.errors import RolloutError, ToolError
from phase2_k8s_cicd.houses import HOUSES

Say = Callable[[str], None]
COMPONENT = "app.kubernetes.io/component"
REVISION = "deployment.kubernetes.io/revision"


class Plan(BaseSettings):
    """How long a rollout waits and what it tolerates; each can come from ROLLOUT_ and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="ROLLOUT_", frozen=True, extra="ignore")

    start_seconds: int = Field(90, ge=5, description="How long a candidate may take until it is ready.")
    update_seconds: int = Field(240, ge=10, description="How long replacing all pods may take.")
    compare_rate: float = Field(25, gt=0, le=200, description="Requests a second to each of old and new.")
    watch_rate: float = Field(50, gt=0, le=500, description="Requests a second while pods are replaced.")
    settle_seconds: float = Field(5, ge=2, description="How long the new version alone must have answered.")
    slower_times: float = Field(3, ge=1, description="How many times the old version's p50 and p99 are tolerated...")
    p50_slack_ms: float = Field(5, ge=0, description="...and so much on top of p50...")
    p99_slack_ms: float = Field(50, ge=0, description="...and of p99, which is noisy on a small machine.")


class Outcome(BaseModel):
    """What became of a rollout; kept as JSON, and as an event on the Deployment."""

    result: Literal["serving", "refused", "undone", "failed"]
    version: str
    previous: str | None
    reason: str
    by: str
    started_at: dt.datetime
    seconds: float
    candidate: dict[str, Report] = {}
    watch: Report | None = None


class Rollout:
    """One version's way into one cluster."""

    def __init__(self, cluster: Cluster, image: str, rollcheck: str, plan: Plan, say: Say) -> None:
        self._cluster, self._image, self._rollcheck, self._plan, self._say = cluster, image, rollcheck, plan, say
        self.version = version_of(image)
        self.old_image = cluster.serving()
        self.candidate: dict[str, Report] = {}
        self.watch: Report | None = None
        self.applied = False

    @property
    def previous(self) -> str | None:
        """The version that served before."""
        return version_of(self.old_image) if self.old_image else None

    def run(self, houses: str, expected: str) -> None:
        """Go all the way; `houses` and `expected` are files of rollcheck's, without and with prices.

        Raises:
            RolloutError: the version did not pass; the old one serves.
            ToolError: kubectl failed; the old version serves.

        """
        try:
            self.try_candidate(houses, expected)
            self.replace_pods(houses)
        except BaseException:  # Ctrl-C too
            if self.applied:
                self.undo()
            raise

    def try_candidate(self, houses: str, expected: str) -> None:
        """Run the new version beside the old one, out of every caller's reach, and compare them."""
        cluster, plan = self._cluster, self._plan
        self._say(f"candidate: one pod of {self.version}, which no caller reaches …")
        started = time.monotonic()
        try:
            cluster.apply(render(cluster.overlay, self._image, "candidate"))
            wait_until_rolled(cluster, CANDIDATE, "candidate", plan.start_seconds)
            self._say(f"it is ready after {time.monotonic() - started:.0f} s; asking {HOUSES} houses …")
            asked = {"new": self._asked(CANDIDATE, "expected.json", self.version)}
            if self.old_image:
                asked["old"] = self._asked(APP, "houses.json", version_of(self.old_image))
            files = {"houses.json": houses, "expected.json": expected}
            self.candidate = ask(cluster, self._rollcheck, asked, files, timeout_s=90 + HOUSES / plan.compare_rate)
        finally:
            cluster.delete("deployment,service,serviceaccount,configmap", f"--selector={COMPONENT}=candidate")
        new, old = self.candidate["new"], self.candidate.get("old")
        if new.lost:
            raise RolloutError(f"{self.version} does not answer as it should: {new.why_lost()}")
        self._refuse_slower(new.p50_ms, new.p99_ms, (old.p50_ms, old.p99_ms) if old else None)
        beside = f" (old: {old.p50_ms:.1f} / {old.p99_ms:.1f})" if old else ""
        self._say(f"prices as offline, p50 / p99 {new.p50_ms:.1f} / {new.p99_ms:.1f} ms{beside}")

    def replace_pods(self, houses: str) -> None:
        """Replace the old version's pods while rollcheck keeps asking; all answers must be good."""
        cluster, plan = self._cluster, self._plan
        if not self.old_image:
            self._apply()
            return
        versions = sorted({self.version, version_of(self.old_image)})
        url = f"http://{APP}"
        given = arguments(url, rate=plan.watch_rate, duration="0", houses="/houses/houses.json", versions=versions)
        with watching(cluster, self._rollcheck, given, {"houses.json": houses}, self._say) as watch:
            self._apply()
            time.sleep(plan.settle_seconds)
            self.watch = watch.end()
        self._judge(self.watch)

    def undo(self) -> None:
        """Bring the old version back, or nothing when there was none."""
        if not self.old_image:
            self._cluster.delete(f"deployment/{APP}")
            return
        self._say(f"undoing: back to {self.previous} …")
        self._cluster.kubectl("rollout", "undo", f"deployment/{APP}")
        wait_until_rolled(self._cluster, APP, "api", self._plan.update_seconds)

    def _asked(self, service: str, houses: str, version: str) -> list[str]:
        rate = self._plan.compare_rate
        seconds = f"{HOUSES / rate:.1f}s"
        return arguments(
            f"http://{service}", rate=rate, duration=seconds, houses=f"/houses/{houses}", versions=[version]
        )

    def _apply(self) -> None:
        self._say(f"replacing {self.previous or 'nothing'} by {self.version} …")
        self.applied = True
        self._cluster.apply(render(self._cluster.overlay, self._image))
        wait_until_rolled(self._cluster, APP, "api", self._plan.update_seconds)

    def _judge(self, found: Report) -> None:
        if found.lost:
            raise RolloutError(f"while {self.version} came in, {found.why_lost()}")
        old, new = found.versions.get(str(self.previous)), found.versions.get(self.version)
        if new is None:
            raise RolloutError(f"{self.version} never answered through the Service {APP}")
        if self.previous != self.version and old and old.last_s > found.seconds - self._plan.settle_seconds / 2:
            raise RolloutError(f"{self.previous} still answers after all its pods were replaced")

    def _refuse_slower(self, p50_ms: float, p99_ms: float, old: tuple[float, float] | None) -> None:
        plan = self._plan
        for name, new, before, slack in (
            ("half of its answers take", p50_ms, old[0] if old else 10.0, plan.p50_slack_ms),
            ("one answer in a hundred takes", p99_ms, old[1] if old else 100.0, plan.p99_slack_ms),
        ):
            limit = before * plan.slower_times + slack
            if new > limit:
                than = f"the old version {before:.1f} ms" if old else f"tolerated are {limit:.0f} ms"
                raise RolloutError(f"{self.version} is too slow: {name} more than {new:.1f} ms, {than}")


def make_namespace(cluster: Cluster, image: str) -> None:
    """Make the namespace, if it is not there yet: a candidate comes before everything else."""
    if not cluster.get("namespace", cluster.namespace):
        documents = render(cluster.overlay, image).split("\n---\n")
        cluster.apply(next(text for text in documents if "kind: Namespace" in text))


def wait_until_rolled(cluster: Cluster, name: str, component: str, timeout_s: float) -> None:
    """Return once all pods of a Deployment are of its newest template and ready.

    Raises:
        RolloutError: a new pod crashes, cannot start, or is not ready in time; with the pod's last words.

    """
    deadline = time.monotonic() + timeout_s
    while True:
        deployment = cluster.get("deployment", name)
        if deployment and is_rolled(deployment):
            return
        pods = cluster.pods(f"{COMPONENT}={component},app.kubernetes.io/name={APP}")
        for found in pods:
            if image_of({"spec": {"template": found}}) == image_of(deployment or {}) and (why := _hopeless(found)):
                raise RolloutError(f"{_pod_name(found)} {why}{_last_words(cluster, found)}")
        if time.monotonic() > deadline:
            raise RolloutError(f"it was not ready after {timeout_s:.0f} s{_complaint(cluster, pods)}")
        time.sleep(0.3)


def is_rolled(deployment: Object) -> bool:
    """Say whether the cluster has done all that the Deployment asks for."""
    status, wanted = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")]
    seen = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    return bool(seen and counts == [wanted] * 4)


def previous_image(cluster: Cluster) -> tuple[str, str]:
    """Find what served before: the newest revision of another image, and that image.

    Raises:
        RolloutError: nothing else has served here.

    """
    now = cluster.serving()
    found = json.loads(cluster.kubectl("get", "replicasets", f"--selector={COMPONENT}=api", "--output=json"))["items"]
    older = [
        (int(each["metadata"]["annotations"][REVISION]), image_of(each)) for each in found if image_of(each) != now
    ]
    if now is None or not older:
        raise RolloutError("nothing else has served here, so there is nothing to roll back to")
    revision, image = max(older)
    return str(revision), image


def roll_back(cluster: Cluster, rollcheck: str, plan: Plan, houses: str, say: Say) -> tuple[str, str, Report]:
    """Bring the version before back; give its name, the one that was replaced, and what rollcheck found after it.

    Raises:
        RolloutError: nothing else has served here, or its pods do not become ready.

    """
    revision, image = previous_image(cluster)
    replaced = version_of(str(cluster.serving()))
    say(f"back from {replaced} to {version_of(image)} …")
    cluster.kubectl("rollout", "undo", f"deployment/{APP}", f"--to-revision={revision}")
    wait_until_rolled(cluster, APP, "api", plan.update_seconds)
    seconds = f"{plan.settle_seconds:.0f}s"
    given = arguments(
        f"http://{APP}",
        rate=plan.watch_rate,
        duration=seconds,
        houses="/houses/houses.json",
        versions=[version_of(image)],
    )
    found = ask(cluster, rollcheck, {"back": given}, {"houses.json": houses}, 60 + plan.settle_seconds)["back"]
    return version_of(image), replaced, found


def keep(outcome: Outcome, cluster: Cluster, folder: Path) -> Path:
    """Write the outcome as JSON, and as an event on the Deployment, which `kubectl describe` shows."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{outcome.started_at:%Y%m%dT%H%M%SZ}-{outcome.version}.json"
    path.write_text(outcome.model_dump_json(indent=1) + "\n")
    deployment = cluster.get("deployment", APP)
    if deployment:
        cluster.create(_event(outcome, deployment))
        cause = f"{outcome.result}: {outcome.version} by {outcome.by}"
        if outcome.result == "serving":
            cluster.kubectl("annotate", f"deployment/{APP}", f"kubernetes.io/change-cause={cause}", "--overwrite")
    return path


def _event(outcome: Outcome, deployment: Object) -> Object:
    now = (outcome.started_at + dt.timedelta(seconds=outcome.seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = deployment["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{APP}-rollout-"},
        "involvedObject": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            **{name: metadata[name] for name in ("name", "namespace", "uid")},
        },
        "type": "Normal" if outcome.result == "serving" else "Warning",
        "reason": f"Rollout{outcome.result.capitalize()}",
        "message": f"{outcome.version} by {outcome.by}: {outcome.reason}"[:1000],
        "source": {"component": "phase2"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }


def version_of(image: str) -> str:
    """Name the version, which is the image's tag."""
    return image.rpartition(":")[2]


def _hopeless(found: Object) -> str | None:
    """Say why a pod will not get better by waiting."""
    for container in found["status"].get("containerStatuses", []):
        waiting = container.get("state", {}).get("waiting", {}).get("reason", "")
        if waiting.startswith(("Err", "ImagePull", "InvalidImage", "CreateContainer")):
            return f"cannot start: {trouble_of(found)}"
        if container["restartCount"] and (ended := container.get("lastState", {}).get("terminated")):
            return f"crashes: {ended['reason']}, exit code {ended['exitCode']}"
    return None


def _pod_name(found: Object) -> str:
    return f"pod {found['metadata']['name']}"


def _last_words(cluster: Cluster, found: Object) -> str:
    try:
        words = cluster.kubectl("logs", found["metadata"]["name"], "--tail=3", "--previous")
    except ToolError:
        return ""
    return f"; its last words: {words.strip()[-500:]}"


def _complaint(cluster: Cluster, pods: list[Object]) -> str:
    """Give the newest warning about a pod that is not ready."""
    for found in pods:
        if trouble := trouble_of(found):
            return f": {trouble}"
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in found["status"].get("conditions", []))
        if not ready:
            name = found["metadata"]["name"]
            about = f"--field-selector=involvedObject.name={name},type=Warning"
            events = json.loads(cluster.kubectl("get", "events", about, "--output=json"))["items"]
            if events:
                return f": {events[-1]['message']}"
    return ""
