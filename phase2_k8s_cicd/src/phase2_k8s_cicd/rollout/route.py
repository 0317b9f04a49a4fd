"""A weighted HTTPRoute: which share of callers from outside the cluster reaches which of two Services."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import httpx

from phase2_k8s_cicd.cluster.cluster import Cluster, Object
from phase2_k8s_cicd.errors import RolloutError
from phase2_k8s_cicd.rollout.gateway import SHARE_HEADER

ACCEPT_SECONDS = 30


@dataclass(frozen=True)
class WeightedRoute:
    """The HTTPRoute `name`; its rules lead to the Service `serving`, and for a share of callers to `candidate`.

    A gateway accepts a route before it acts on it. So each answer names the share in a header, and with `url`,
    where this program reaches the gateway, a shift waits until it is the new one.
    """

    cluster: Cluster
    name: str
    serving: str
    candidate: str
    port: int = 80
    url: str = ""

    def shift(self, percent: int) -> None:
        """Let this share of callers reach the candidate; return once the gateway does so.

        Raises:
            RolloutError: there is no such route, or the gateway did not take it in time.

        """
        route = self._route()
        changes = [
            {"op": "add", "path": f"/spec/rules/{number}/{field}", "value": value}
            for number, rule in enumerate(route["spec"]["rules"])
            for field, value in (("backendRefs", self._backends(percent)), ("filters", _filters(rule, percent)))
        ]
        self.cluster.kubectl("patch", "httproute", self.name, "--type=json", f"--patch={json.dumps(changes)}")
        deadline = time.monotonic() + ACCEPT_SECONDS
        while not is_accepted(self._route()):
            if time.monotonic() > deadline:
                raise RolloutError(f"no gateway accepted {percent} % of httproute/{self.name} in {ACCEPT_SECONDS} s")
            time.sleep(0.3)
        while self.url and self._share(route) != str(percent):
            if time.monotonic() > deadline:
                raise RolloutError(f"the gateway at {self.url} does not shift to {percent} % in {ACCEPT_SECONDS} s")
            time.sleep(0.1)

    def _route(self) -> Object:
        route = self.cluster.get("httproute", self.name)
        if route is None:
            raise RolloutError(f"there is no httproute/{self.name} in namespace {self.cluster.namespace}")
        return route

    def _share(self, route: Object) -> str | None:
        names = route["spec"].get("hostnames", [])
        try:
            answer = httpx.get(self.url, headers={"Host": names[0]} if names else {}, trust_env=False, timeout=10)
        except httpx.TransportError:
            return None
        share: str | None = answer.headers.get(SHARE_HEADER)
        return share

    def _backends(self, percent: int) -> list[Object]:
        """At 0 % the candidate is left out: its Service may be gone."""
        serving: Object = {"name": self.serving, "port": self.port, "weight": 100 - percent}
        candidate: Object = {"name": self.candidate, "port": self.port, "weight": percent}
        return [serving, candidate] if percent else [serving]


def _filters(rule: Object, percent: int) -> list[Object]:
    """Keep a rule's filters, and let one of them name the share."""
    kind, field = "ResponseHeaderModifier", "responseHeaderModifier"
    filters = rule.get("filters", [])
    changed: Object = next((each[field] for each in filters if each["type"] == kind), {})  # the API allows one
    headers = [each for each in changed.get("set", []) if each["name"] != SHARE_HEADER]
    headers.append({"name": SHARE_HEADER, "value": str(percent)})
    others = [each for each in filters if each["type"] != kind]
    return [*others, {"type": kind, field: {**changed, "set": headers}}]


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
