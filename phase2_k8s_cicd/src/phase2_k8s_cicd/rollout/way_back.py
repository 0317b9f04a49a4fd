"""From the version that serves to the one that served before."""

from __future__ import annotations

import json

from phase2_k8s_cicd.cluster.cluster import Cluster, Object, image_of, version_of
from phase2_k8s_cicd.errors import RolloutError
from phase2_k8s_cicd.rollout.kubernetes import APPLIED, patch, revisions_of, wait_until_serving

REVISION = "deployment.kubernetes.io/revision"
# Written once a version has passed; Kubernetes keeps it with that revision, so a rollback knows what has served.
SERVED = "house-price/served"


def mark_as_served(cluster: Cluster, version: str) -> None:
    """Write down that a version has passed."""
    cluster.kubectl("annotate", f"deployment/{cluster.workload.name}", f"{SERVED}={version}", "--overwrite")


class WayBack:
    """From what serves to what served before.

    Only what has passed its rollout comes back, and what was rolled back once does not: the next one goes further.

    Raises:
        RolloutError: nothing else has served here, or all that has was rolled back.

    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster, self._revisions, now = cluster, revisions_of(cluster), cluster.serving()
        before = previous_revision(self._revisions, now)
        if now is None or before is None:
            raise RolloutError(
                "there is nothing to go back to; what was rolled back comes again by:  make rollout VERSION=…"
            )
        self._now, self._before = now, before
        self.gone, self.back = version_of(now), version_of(image_of(before))

    def go(self, timeout_s: float) -> None:
        """Bring the pods back; raise RolloutError when they do not become ready in time."""
        cluster, revision = self._cluster, self._before["metadata"]["annotations"][REVISION]
        cluster.kubectl("rollout", "undo", f"deployment/{cluster.workload.name}", f"--to-revision={revision}")
        for each in self._revisions:
            if image_of(each) == self._now:
                cluster.kubectl("annotate", f"replicaset/{each['metadata']['name']}", f"{SERVED}-")
        self._let_apply_know()
        wait_until_serving(cluster, timeout_s)

    def _let_apply_know(self) -> None:
        """Say what is there now to the next `kubectl apply`, which takes away only what it believes to have brought."""
        deployment = self._cluster.get("deployment", self._cluster.workload.name)
        if deployment and (text := deployment["metadata"]["annotations"].get(APPLIED)):
            applied, template = json.loads(text), self._before["spec"]["template"]
            template["metadata"]["labels"].pop("pod-template-hash", None)
            applied["spec"]["template"] = template
            path = f"/metadata/annotations/{APPLIED.replace('/', '~1')}"
            patch(self._cluster, [{"op": "replace", "path": path, "value": json.dumps(applied)}])


def previous_revision(revisions: list[Object], now: str | None) -> Object | None:
    """Choose the newest revision of another image that has served; one that failed only inherits another's mark."""
    served = [
        each
        for each in revisions
        if image_of(each) != now and each["metadata"]["annotations"].get(SERVED) == version_of(image_of(each))
    ]
    return max(served, key=lambda each: int(each["metadata"]["annotations"][REVISION]), default=None)
