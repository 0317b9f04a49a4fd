"""Ask services from inside the cluster, by pods that run rollcheck."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from phase2_k8s_cicd.cluster.cluster import Cluster, Object
from phase2_k8s_cicd.errors import ToolError
from phase2_k8s_cicd.rollout.probe import Question, Report, report_in

LABELS = {"app.kubernetes.io/name": "rollcheck"}
COMPARE, WATCH = "rollcheck-compare", "rollcheck-watch"
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


def ask(cluster: Cluster, image: str, questions: Mapping[str, Question]) -> dict[str, Report]:
    """Ask side by side, each question in a container of its own; give each one's report.

    Raises:
        ToolError: the pod did not run to its end in time.

    """
    timeout_s = 90 + max(question.seconds for question in questions.values())
    with _running(cluster, COMPARE, image, questions):
        deadline = time.monotonic() + timeout_s
        while _phase(cluster, COMPARE) not in ("Succeeded", "Failed"):
            if time.monotonic() > deadline:
                raise ToolError(f"pod {COMPARE} did not end within {timeout_s:.0f} s: {_why_waiting(cluster, COMPARE)}")
            time.sleep(0.5)
        return {name: report_in(cluster.kubectl("logs", COMPARE, f"--container={name}")) for name in questions}


@contextmanager
def watching(
    cluster: Cluster, image: str, question: Question, show: Callable[[str], None], name: str = WATCH
) -> Iterator[PodWatch]:
    """Keep asking until `end` is called; the live lines go to `show`.

    Raises:
        ToolError: the pod did not start within a minute.

    """
    with _running(cluster, name, image, {"rollcheck": question}):
        deadline = time.monotonic() + 60
        while _phase(cluster, name) == "Pending":
            if time.monotonic() > deadline:
                raise ToolError(f"pod {name} did not start: {_why_waiting(cluster, name)}")
            time.sleep(0.3)
        watch = PodWatch(cluster, name, show)
        try:
            yield watch
        finally:
            watch.stop_reading()


class PodWatch:
    """Follows the log of a pod that keeps asking."""

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
        """End kubectl, if the pod has not."""
        self._logs.terminate()
        self._reader.join(10)
        with self._logs:  # closes the pipe, and waits
            pass


@contextmanager
def _running(cluster: Cluster, name: str, image: str, questions: Mapping[str, Question]) -> Iterator[None]:
    """Run a pod, with its houses in a ConfigMap beside it; one that was left behind gives way."""
    houses = {f"{each}.json": question.houses for each, question in questions.items()}
    metadata = {"name": name, "labels": LABELS}
    _sweep(cluster, name)
    try:
        cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": houses})
        cluster.create(_pod(name, image, questions))
        yield
    finally:
        _sweep(cluster, name)


def _sweep(cluster: Cluster, name: str) -> None:
    cluster.delete(f"pod/{name}", f"configmap/{name}")


def _pod(name: str, image: str, questions: Mapping[str, Question]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": LABELS},
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": 1800,  # whoever started it may have been killed
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 15,
            "securityContext": POD_SECURITY,
            "volumes": [{"name": "houses", "configMap": {"name": name}}],
            "containers": [
                {
                    "name": each,
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "args": question.arguments(f"/houses/{each}.json"),
                    "resources": RESOURCES,
                    "securityContext": CONTAINER_SECURITY,
                    "volumeMounts": [{"name": "houses", "mountPath": "/houses", "readOnly": True}],
                }
                for each, question in questions.items()
            ],
        },
    }


def _phase(cluster: Cluster, name: str) -> str:
    found = cluster.get("pod", name)
    phase: str = found["status"]["phase"] if found else "gone"
    return phase


def _why_waiting(cluster: Cluster, name: str) -> str:
    found = cluster.get("pod", name)
    return "it is gone" if found is None else trouble_of(found) or str(found["status"]["phase"])


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
