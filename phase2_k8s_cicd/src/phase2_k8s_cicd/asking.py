"""Ask a service from inside the cluster, by pods that run rollcheck."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from pydantic import BaseModel

from phase2_k8s_cicd.cluster import Cluster, Object
from phase2_k8s_cicd.errors import ToolError

LABEL = "app.kubernetes.io/name=rollcheck"
# What PodSecurity `restricted` wants of every pod.
POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "runAsGroup": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
RESOURCES = {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}}


class OfVersion(BaseModel):
    """The good answers of one version; seconds count from the report's start."""

    ok: int
    p50_ms: float
    p99_ms: float
    first_s: float
    last_s: float


class Report(BaseModel):
    """What rollcheck found; its README explains each field."""

    url: str
    started_at: str
    seconds: float
    requests: int
    ok: int
    lost: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    versions: dict[str, OfVersion]
    lost_by_kind: dict[str, int]
    losses: list[dict[str, Any]]

    def why_lost(self) -> str:
        """Count what was lost by kind, with the first one's own words."""
        kinds = ", ".join(f"{number} {kind}" for kind, number in self.lost_by_kind.items())
        first = f" (the first: {self.losses[0]['detail']})" if self.losses else ""
        return f"{self.lost} of {self.requests} answers were lost: {kinds}{first}"


class Watch(Protocol):
    """A rollcheck that goes on until it is ended."""

    def end(self) -> Report:
        """Stop asking, and give what was found."""


def arguments(url: str, *, rate: float, duration: str, houses: str, versions: Sequence[str] = ()) -> list[str]:
    """Give rollcheck's arguments."""
    known = [f"-versions={','.join(versions)}"] if versions else []
    return [f"-rate={rate}", f"-duration={duration}", f"-houses={houses}", "-report=-", *known, url]


def report_in(output: str) -> Report:
    """Find the report in what rollcheck printed; it is the last line.

    Raises:
        ToolError: there is none; what it printed instead is in the message.

    """
    last = next((line for line in reversed(output.splitlines()) if line.startswith("{")), None)
    if last is None:
        raise ToolError(f"rollcheck ended without a report: {output.strip()[-500:] or 'it said nothing'}")
    return Report.model_validate_json(last)


def pod(name: str, image: str, asked: Mapping[str, Sequence[str]]) -> Object:
    """Describe a pod in which each of `asked` is a container that runs rollcheck with these arguments."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict([LABEL.split("=")])},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 15,
            "securityContext": POD_SECURITY,
            "volumes": [{"name": "houses", "configMap": {"name": name}}],
            "containers": [
                {
                    "name": container,
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "args": list(given),
                    "resources": RESOURCES,
                    "securityContext": CONTAINER_SECURITY,
                    "volumeMounts": [{"name": "houses", "mountPath": "/houses", "readOnly": True}],
                }
                for container, given in asked.items()
            ],
        },
    }


def start(cluster: Cluster, manifest: Object, houses: Mapping[str, str]) -> None:
    """Start a pod beside the files of houses that it reads, in the place of an older one of the same name."""
    name = manifest["metadata"]["name"]
    sweep(cluster, name)
    metadata = {"name": name, "labels": manifest["metadata"]["labels"]}
    cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(houses)})
    cluster.create(manifest)


def sweep(cluster: Cluster, name: str) -> None:
    """Remove a pod and its houses."""
    cluster.delete(f"pod/{name}", f"configmap/{name}")


def ask(
    cluster: Cluster, image: str, asked: Mapping[str, Sequence[str]], houses: Mapping[str, str], timeout_s: float
) -> dict[str, Report]:
    """Ask services side by side for a bounded time; give each one's report.

    Raises:
        ToolError: the pod did not run to its end in time.

    """
    name = "rollcheck-compare"
    start(cluster, pod(name, image, asked), houses)
    try:
        deadline = time.monotonic() + timeout_s
        while _phase(cluster, name) not in ("Succeeded", "Failed"):
            if time.monotonic() > deadline:
                raise ToolError(f"pod {name} did not end within {timeout_s:.0f} s: {why_waiting(cluster, name)}")
            time.sleep(0.5)
        return {each: report_in(cluster.kubectl("logs", name, f"--container={each}")) for each in asked}
    finally:
        sweep(cluster, name)


@contextmanager
def watching(
    cluster: Cluster, image: str, given: Sequence[str], houses: Mapping[str, str], show: Callable[[str], None]
) -> Iterator[Watch]:
    """Keep asking from a pod until `end` is called; its live lines go to `show`.

    Raises:
        ToolError: the pod did not start within a minute.

    """
    name = "rollcheck-watch"
    start(cluster, pod(name, image, {"rollcheck": given}), houses)
    try:
        deadline = time.monotonic() + 60
        while _phase(cluster, name) == "Pending":
            if time.monotonic() > deadline:
                raise ToolError(f"pod {name} did not start: {why_waiting(cluster, name)}")
            time.sleep(0.3)
        watch = _PodWatch(cluster, name, show)
        try:
            yield watch
        finally:
            watch.stop_reading()
    finally:
        sweep(cluster, name)


class _PodWatch:
    """Follows the log of the watching pod."""

    def __init__(self, cluster: Cluster, name: str, show: Callable[[str], None]) -> None:
        self._cluster, self._name, self._show = cluster, name, show
        command = cluster.command("logs", name, "--follow")
        self._logs = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own kubectl
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._logs.stdout  # noqa: S101 - it was asked for
        for line in self._logs.stdout:
            self._lines.append(line)
            if not line.startswith("{"):
                self._show(line.rstrip())

    def end(self) -> Report:
        """Ask the pod to stop; its last line is the report."""
        self._cluster.kubectl("delete", "pod", self._name, "--wait=false")
        self._reader.join(20)
        return report_in("".join(self._lines))

    def stop_reading(self) -> None:
        self._logs.terminate()
        self._logs.wait(10)
        self._reader.join(10)


def _phase(cluster: Cluster, name: str) -> str:
    found = cluster.get("pod", name)
    phase: str = found["status"]["phase"] if found else "gone"
    return phase


def why_waiting(cluster: Cluster, name: str) -> str:
    """Say what a pod waits for, in the cluster's own words."""
    found = cluster.get("pod", name)
    return "it is gone" if found is None else trouble_of(found) or found["status"]["phase"]


def trouble_of(found: Object) -> str | None:
    """Name what keeps a pod from running, or None when nothing does."""
    status = found["status"]
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message") or condition.get("reason"))
    for container in status.get("containerStatuses", []):
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason", "ContainerCreating") not in ("ContainerCreating", "PodInitializing"):
            return f"{waiting['reason']}: {waiting.get('message', 'no more is known')}"
    return None
