"""Versions as Deployments: how one comes in beside another, replaces it, and goes back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from phase2_k8s_cicd.cluster.cluster import Cluster, Object, image_of, render, version_of
from phase2_k8s_cicd.errors import RolloutError, ToolError
from phase2_k8s_cicd.rollout import probe_pods as pods
from phase2_k8s_cicd.rollout.probe import Question, Report, Watch
from phase2_k8s_cicd.tools import Say

COMPONENT = "app.kubernetes.io/component"
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Kubernetes:
    """One overlay in one cluster, about to get `image`; see rollout.Place."""

    def __init__(self, cluster: Cluster, image: str, rollcheck: str) -> None:
        self.url = cluster.workload.url
        self._cluster, self._image, self._rollcheck = cluster, image, rollcheck
        self._before = cluster.get("deployment", cluster.workload.name)
        self.previous = version_of(image_of(self._before)) if self._before else None
        self._others: list[Object] = []
        self._came: list[str] = []
        # More than one, when a rollout was killed half way.
        self.answering = {version_of(image_of(each)) for each in revisions_of(cluster) if each["spec"]["replicas"]}

    @contextmanager
    def candidate(self, timeout_s: float) -> Iterator[str]:
        """Run one pod of the image behind a Service of its own."""
        cluster = self._cluster
        try:
            cluster.apply(render(cluster.overlay, self._image, "candidate", workload=cluster.workload))
            wait_until_rolled(cluster, cluster.workload.candidate, "candidate", timeout_s)
            yield f"http://{cluster.workload.candidate}"
        finally:
            cluster.delete("deployment,service,serviceaccount,configmap", f"--selector={COMPONENT}=candidate")
            # Nobody is answered by it any more, so it need not drain.
            cluster.delete("pod", f"--selector={COMPONENT}=candidate", "--grace-period=1")

    def ask(self, questions: Mapping[str, Question]) -> dict[str, Report]:
        """Ask from a pod."""
        return pods.ask(self._cluster, self._rollcheck, questions)

    def watching(self, question: Question, say: Say) -> AbstractContextManager[Watch]:
        """Ask from a pod."""
        return pods.watching(self._cluster, self._rollcheck, question, say)

    def replace(self, timeout_s: float) -> None:
        """Apply the overlay; Kubernetes replaces one pod after the other."""
        cluster = self._cluster
        manifests = render(cluster.overlay, self._image, workload=cluster.workload)
        self._remember(manifests)
        cluster.apply(manifests)
        if self._before is None and (autoscaler := cluster.get("horizontalpodautoscaler", cluster.workload.name)):
            # It looks every 15 seconds; until then a first version would be a single pod, and count as all there.
            change = {"op": "replace", "path": "/spec/replicas", "value": autoscaler["spec"]["minReplicas"]}
            patch(cluster, [change])
        wait_until_serving(cluster, timeout_s)

    def _remember(self, manifests: str) -> None:
        """Keep what is about to change beside the Deployment, and the names of what comes new."""
        cluster = self._cluster
        names = cluster.kubectl("create", "--dry-run=client", "--output=name", "--filename=-", stdin=manifests).split()
        found = cluster.kubectl("get", "--ignore-not-found", "--output=json", "--filename=-", stdin=manifests)
        read = json.loads(found or '{"items": []}')
        there: list[Object] = read.get("items", [read])
        others = [each["metadata"].get("annotations", {}) for each in there if each["kind"] != "Deployment"]
        self._others = [json.loads(each[APPLIED]) for each in others if APPLIED in each]
        came = {*names} - {_name_of(each) for each in there}
        self._came = sorted(each for each in came if not each.startswith("namespace/"))  # which holds all else

    def undo(self, timeout_s: float) -> None:
        """Make all that the overlay holds as it was, and take away what was not there."""
        cluster = self._cluster
        if self._others:
            cluster.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": self._others}))
        if self._before:
            metadata, spec = self._before["metadata"], self._before["spec"]
            scaled = any(each["kind"] == "HorizontalPodAutoscaler" for each in self._others)
            if scaled and (now := cluster.get("deployment", cluster.workload.name)):
                spec = spec | {"replicas": now["spec"]["replicas"]}  # as many as the load wants by now
            was = {
                "/spec": spec,
                "/metadata/labels": metadata["labels"],
                "/metadata/annotations": metadata["annotations"],
            }
            patch(cluster, [{"op": "replace", "path": path, "value": value} for path, value in was.items()])
            wait_until_serving(cluster, timeout_s)
        if self._came:
            cluster.delete(*self._came)


def patch(cluster: Cluster, changes: list[Object]) -> None:
    """Change the Deployment by a JSON patch."""
    cluster.kubectl("patch", f"deployment/{cluster.workload.name}", "--type=json", f"--patch={json.dumps(changes)}")


def make_room(cluster: Cluster) -> None:
    """Let pods in again that a quota kept away.

    A ReplicaSet that was refused again and again tries after ever longer pauses, up to 17 minutes; a change of
    anything in it makes it try at once.
    """
    cluster.delete(f"resourcequota/{cluster.workload.quota}")
    for change in ("house-price/room=made", "house-price/room-"):
        cluster.kubectl(
            "annotate", "replicasets", f"--selector={COMPONENT}={cluster.workload.component}", "--overwrite", change
        )


def make_ready(cluster: Cluster, image: str) -> None:
    """Make the namespace, if it is not there yet, since a candidate comes before all else; and make room in it."""
    make_room(cluster)
    if not cluster.get("namespace", cluster.namespace):
        documents = render(cluster.overlay, image, workload=cluster.workload).split("\n---\n")
        cluster.apply(next(text for text in documents if "kind: Namespace" in text))


def wait_until_serving(cluster: Cluster, timeout_s: float) -> None:
    """Return once all pods that callers reach are of the newest template and ready; raises as `wait_until_rolled`."""
    wait_until_rolled(cluster, cluster.workload.name, cluster.workload.component, timeout_s)


def wait_until_rolled(cluster: Cluster, name: str, component: str, timeout_s: float) -> None:
    """Return once all pods of a Deployment are of its newest template and ready.

    Raises:
        RolloutError: a new pod crashes, cannot start, or is not ready in time; with its last words.

    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            deployment = cluster.get("deployment", name)
            found = cluster.pods(f"{COMPONENT}={component},app.kubernetes.io/name={cluster.workload.name}")
        except ToolError:  # the API server may be away for a moment; pods go on without it
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
            continue
        if deployment and is_rolled(deployment):
            return
        new = [pod for pod in found if deployment and _is_new(pod, deployment)]
        for pod in new:
            if why := _hopeless(pod):
                raise RolloutError(f"pod {pod['metadata']['name']} {why}{_last_words(cluster, pod)}")
        if time.monotonic() > deadline:
            raise RolloutError(f"it was not ready after {timeout_s:.0f} s{_complaint(cluster, deployment, new)}")
        time.sleep(0.3)


def _is_new(pod: Object, deployment: Object) -> bool:
    stays = "deletionTimestamp" not in pod["metadata"]
    return stays and bool(pod["spec"]["containers"][0]["image"] == image_of(deployment))


def is_rolled(deployment: Object) -> bool:
    """Say whether the cluster has done all that the Deployment asks for."""
    status, wanted = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")]
    seen = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    return bool(seen and counts == [wanted] * 4)


def revisions_of(cluster: Cluster) -> list[Object]:
    """Read the ReplicaSets, one for each revision of the Deployment."""
    selector = f"--selector={COMPONENT}={cluster.workload.component}"
    found = cluster.kubectl("get", "replicasets", selector, "--output=json")
    items: list[Object] = json.loads(found)["items"]
    return items


def _name_of(found: Object) -> str:
    """Name an object as kubectl does: kind.group/name."""
    group = found["apiVersion"].rpartition("/")[0]
    return f"{found['kind'].lower()}{'.' if group else ''}{group}/{found['metadata']['name']}"


def _hopeless(pod: Object) -> str | None:
    """Say why a pod will not get better by waiting; one that is ready has got over what it had."""
    for container in pod["status"].get("containerStatuses", []):
        if container["ready"]:
            continue
        waiting = container.get("state", {}).get("waiting", {}).get("reason", "")
        if waiting in ("ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"):
            return f"cannot start: {pods.trouble_of(pod)}"
        if container["restartCount"] and (ended := container.get("lastState", {}).get("terminated")):
            return f"crashes: {ended['reason']}, exit code {ended['exitCode']}"
    return None


def _last_words(cluster: Cluster, pod: Object) -> str:
    try:
        words = cluster.kubectl("logs", pod["metadata"]["name"], "--tail=3", "--previous")
    except ToolError:  # it never ran
        return ""
    return f"; its last words: {words.strip()[-500:]}"


def _complaint(cluster: Cluster, deployment: Object | None, new: list[Object]) -> str:
    """Say why pods cannot be made, or give the newest warning about one that is not ready."""
    for condition in (deployment or {}).get("status", {}).get("conditions", []):
        if condition["type"] == "ReplicaFailure":
            return f": {condition['message']}"
    for pod in new:
        if trouble := pods.trouble_of(pod):
            return f": {trouble}"
        about = f"--field-selector=involvedObject.name={pod['metadata']['name']},type=Warning"
        if events := json.loads(cluster.kubectl("get", "events", about, "--output=json"))["items"]:
            return f": {events[-1]['message']}"
    return ""
