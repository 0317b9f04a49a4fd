"""Take one thing away that keeps a service answering, see under load what it was for, and put it back.

Each lab changes the service that runs, on a cluster of this machine only, and leaves it as it was, even when stopped.
What is taken away is something that the manifests state: where a lab is killed, `make phase2-up` puts it back.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from phase2_k8s_cicd.cluster.cluster import Cluster, Object
from phase2_k8s_cicd.cluster.images import bring, build_rollcheck
from phase2_k8s_cicd.cluster.lease import only_one
from phase2_k8s_cicd.cluster.workload import HOUSE_PRICE_API
from phase2_k8s_cicd.errors import ClusterError
from phase2_k8s_cicd.rollout.deploy import LEASE_SECONDS, now
from phase2_k8s_cicd.rollout.kubernetes import COMPONENT, is_rolled, make_room, patch, wait_until_rolled
from phase2_k8s_cicd.rollout.probe import Question, Report
from phase2_k8s_cicd.rollout.probe_pods import watching
from phase2_k8s_cicd.rollout.reference_houses import expectations, fixed_houses
from phase2_k8s_cicd.settings import RolloutSettings
from phase2_k8s_cicd.tools import Say, undisturbed

APP, QUOTA = HOUSE_PRICE_API.name, HOUSE_PRICE_API.quota
# A second, which leaves a small machine time for the pods to start.
RATE = 150
# As long as somebody in front of a page waits.
PATIENCE_SECONDS = 2
# So long nothing happens before and after: who looks sees that it had been well, and that it is again.
CALM_SECONDS = 3
UPDATE_SECONDS = 240
# How long an emptied node's pods find no room elsewhere: longer than it takes them to go. Kubernetes tries again after
# twice the time each time, so it takes some seconds more until it has found that there is room again.
FULL_SECONDS = 6
CONTAINER = "/spec/template/spec/containers/0"
SERVING = f"{COMPONENT}=api"


@dataclass(frozen=True)
class Lab:
    """What is removed, what then happens to the pods, and why that loses requests."""

    removed: str
    without: Callable[[Cluster, Say], AbstractContextManager[None]]
    event: str
    happen: Callable[[Cluster], None]
    why: str
    rate: float = RATE


def run_lab(name: str, cluster: Cluster, settings: RolloutSettings, say: Say) -> Report:
    """Do one lab from the removal to the putting back; give what rollcheck saw in between.

    Raises:
        ClusterError: the cluster is not on this machine, nothing is deployed, or a rollout is under way.

    """
    if not cluster.is_local:
        raise ClusterError(f"a lab loses requests on purpose, and {cluster.context} is not a cluster of this machine")
    if not is_rolled(_found(cluster, "deployment")):
        raise ClusterError(
            f"a lab needs all pods ready, and in namespace {cluster.namespace} they are not:  make phase2-check"
        )
    lab, houses = LABS[name], expectations(fixed_houses())
    rollcheck = bring(build_rollcheck(settings.registry, say), cluster, settings, say)
    with only_one(cluster, f"{settings.by} with lab {name}", LEASE_SECONDS, now):
        say(f"removing {lab.removed} …")
        question = Question(f"http://{APP}", lab.rate, 0, houses, timeout_seconds=PATIENCE_SECONDS)
        with lab.without(cluster, say), watching(cluster, rollcheck, question, say) as watch:
            time.sleep(CALM_SECONDS)
            say(f"now {lab.event}, while {lab.rate:g} requests a second go on …")
            lab.happen(cluster)
            time.sleep(CALM_SECONDS)
            return watch.end()


def changed(*changes: Object) -> Callable[[Cluster, Say], AbstractContextManager[None]]:
    """Change the Deployment by a JSON patch for a while."""

    @contextmanager
    def without(cluster: Cluster, say: Say) -> Iterator[None]:
        before = _found(cluster, "deployment")["spec"]
        try:
            patch(cluster, list(changes))
            wait_until_rolled(cluster, APP, "api", UPDATE_SECONDS)
            yield
        finally:
            say("putting it back …")
            with undisturbed():
                patch(cluster, [{"op": "replace", "path": "/spec", "value": before}])
                wait_until_rolled(cluster, APP, "api", UPDATE_SECONDS)

    return without


@contextmanager
def without_budget(cluster: Cluster, say: Say) -> Iterator[None]:
    """Take the PodDisruptionBudget away for a while."""
    budget = _found(cluster, "poddisruptionbudget")
    metadata = {name: budget["metadata"].get(name) for name in ("name", "labels")}
    try:
        cluster.delete(f"poddisruptionbudget/{APP}")
        yield
    finally:
        say("putting it back …")
        with undisturbed():
            make_room(cluster)
            cluster.apply(json.dumps({**budget, "metadata": metadata, "status": None}))
            wait_until_rolled(cluster, APP, "api", UPDATE_SECONDS)


def update(cluster: Cluster) -> None:
    """Replace all pods by new ones of the same version, as a rollout does."""
    cluster.kubectl("rollout", "restart", f"deployment/{APP}")
    wait_until_rolled(cluster, APP, "api", UPDATE_SECONDS)


def update_four_times(cluster: Cluster) -> None:
    """Update until eight pods have stopped: on one node each of them loses only a few requests, or none."""
    for _ in range(4):
        update(cluster)


def empty_node(cluster: Cluster) -> None:
    """Evict all pods, as `kubectl drain` does, while there is no room for others.

    The quota stands for a cluster whose other nodes are full; a node that is really closed would close it to everybody.
    """
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": QUOTA}, "spec": {"hard": {"pods": "0"}}}
    cluster.apply(json.dumps(quota))
    for name in _staying(cluster):
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
        path = f"/api/v1/namespaces/{cluster.namespace}/pods/{name}/eviction"
        cluster.kubectl("create", f"--raw={path}", "--filename=-", stdin=json.dumps(body))
    time.sleep(FULL_SECONDS)
    make_room(cluster)
    wait_until_rolled(cluster, APP, "api", UPDATE_SECONDS)


def lose_a_pod(cluster: Cluster) -> None:
    """Kill one pod at once, as a node does whose power fails."""
    cluster.kubectl("delete", "pod", _staying(cluster)[0], "--grace-period=0", "--force")
    time.sleep(2)  # until the Deployment's status has noticed
    wait_until_rolled(cluster, APP, "api", UPDATE_SECONDS)


LABS = {
    "probes": Lab(
        "readinessProbe and startupProbe",
        changed(
            {"op": "remove", "path": f"{CONTAINER}/readinessProbe"},
            {"op": "remove", "path": f"{CONTAINER}/startupProbe"},
        ),
        "a rolling update",
        update,
        "without a probe a container counts as ready as soon as it runs, and is asked while it still loads its model",
    ),
    "drain": Lab(
        "preStop and HOUSE_DRAIN_SECONDS",
        changed(
            {"op": "remove", "path": f"{CONTAINER}/lifecycle"},
            {"op": "remove", "path": f"{CONTAINER}/envFrom"},  # all settings: to the service, none is 0 s of draining
        ),
        "four rolling updates",
        update_four_times,
        "a pod is told to stop and taken out of its Service at the same time: it hangs up while some still come; with "
        "many nodes, more do",
        rate=400,
    ),
    "strategy": Lab(
        "the rolling update: strategy Recreate in its place",
        changed({"op": "replace", "path": "/spec/strategy", "value": {"type": "Recreate"}}),
        "an update",
        update,
        "all old pods go before the first new one starts, so nobody answers until that has loaded its model",
    ),
    "budget": Lab(
        "the PodDisruptionBudget",
        without_budget,
        "a node is emptied, and the others are full",
        empty_node,
        "whoever empties a node evicts all its pods at once; the budget lets the next go when the first is back",
    ),
    "replicas": Lab(
        "the second replica",
        changed({"op": "replace", "path": "/spec/replicas", "value": 1}),
        "a pod dies without a warning, as its node would",
        lose_a_pod,
        "nobody answers until the one pod is replaced; with two, the other one answers on",
    ),
}


def _found(cluster: Cluster, kind: str) -> Object:
    found = cluster.get(kind, APP)
    if found is None:
        raise ClusterError(f"there is no {kind}/{APP} in namespace {cluster.namespace}:  make phase2-up")
    return found


def _staying(cluster: Cluster) -> list[str]:
    """Name the pods that have not been told to stop."""
    pods = [pod["metadata"] for pod in cluster.pods(SERVING)]
    return [pod["name"] for pod in pods if "deletionTimestamp" not in pod]
