"""A weighted HTTPRoute: which share of callers from outside the cluster reaches which of two Services."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from phase2_k8s_cicd.cluster.cluster import Cluster, Object
from phase2_k8s_cicd.errors import RolloutError

ACCEPT_SECONDS = 30


@dataclass(frozen=True)
class WeightedRoute:
    """The HTTPRoute `name`; its rules lead to the Service `serving`, and for a share of callers to `candidate`."""

    cluster: Cluster
    name: str
    serving: str
    candidate: str
    port: int = 80

    def shift(self, percent: int) -> None:
        """Let this share of callers reach the candidate; return once the gateway has accepted it.

        Raises:
            RolloutError: there is no such route, or no gateway accepted it in time.

        """
        route = self._route()
        changes = [
            {"op": "replace", "path": f"/spec/rules/{number}/backendRefs", "value": self._backends(percent)}
            for number in range(len(route["spec"]["rules"]))
        ]
        self.cluster.kubectl("patch", "httproute", self.name, "--type=json", f"--patch={json.dumps(changes)}")
        deadline = time.monotonic() + ACCEPT_SECONDS
        while not is_accepted(self._route()):
            if time.monotonic() > deadline:
                raise RolloutError(f"no gateway accepted {percent} % of httproute/{self.name} in {ACCEPT_SECONDS} s")
            time.sleep(0.3)

    def _route(self) -> Object:
        route = self.cluster.get("httproute", self.name)
        if route is None:
            raise RolloutError(f"there is no httproute/{self.name} in namespace {self.cluster.namespace}")
        return route

    def _backends(self, percent: int) -> list[Object]:
        """At 0 % the candidate is left out: its Service may be gone."""
        serving: Object = {"name": self.serving, "port": self.port, "weight": 100 - percent}
        candidate: Object = {"name": self.candidate, "port": self.port, "weight": percent}
        return [serving, candidate] if percent else [serving]


def is_accepted(route: Object) -> bool:
    """Say whether every gateway of a route has accepted it as it is now."""
    parents = route.get("status", {}).get("parents", [])
    newest = route["metadata"]["generation"]
    return bool(parents) and all(
        any(
            each["type"] == "Accepted" and each["status"] == "True" and each.get("observedGeneration", 0) >= newest
            for each in parent.get("conditions", [])
        )
        for parent in parents
    )
