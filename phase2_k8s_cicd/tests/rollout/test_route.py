"""Room: cluster. A weighted HTTPRoute on a real gateway: each share of callers reaches its Service at once."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from phase1_docker_api.settings import load_settings
from phase2_k8s_cicd.cluster.cluster import Object, current_cluster
from phase2_k8s_cicd.cluster.images import bring
from phase2_k8s_cicd.cluster.workload import HOUSE_PRICE_API
from phase2_k8s_cicd.errors import RolloutError, ToolError
from phase2_k8s_cicd.rollout.route import WeightedRoute
from phase2_k8s_cicd.settings import ImageSettings
from phase2_k8s_cicd.tools import run

pytestmark = pytest.mark.cluster

NAMESPACE, HOST = "house-price-route", "houses.example.com"
CALLS = 400
SERVER = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Named(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{name}")
    def log_message(self, *_): pass
ThreadingHTTPServer(("", 8080), Named).serve_forever()
"""


def backend(name: str, image: str) -> list[Object]:
    """A pod that answers with its name, and its Service."""
    meta = {"name": name, "namespace": NAMESPACE}
    container = {
        "name": "named",
        "image": image,
        "command": ["python", "-c", SERVER.replace("{name}", name)],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1, "timeoutSeconds": 5},
        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
    }
    pod = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    service = {"selector": {"named": name}, "ports": [{"port": 80, "targetPort": 8080}]}
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": meta | {"labels": {"named": name}}, "spec": pod},
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": service},
    ]


@pytest.fixture(scope="module")
def gateway() -> tuple[Object, str]:
    """The first gateway of the cluster, and the address at which this machine reaches it."""
    cluster = current_cluster("local")
    assert cluster.is_local, f"{cluster.context} is not on this machine"
    try:
        found = json.loads(cluster.kubectl("get", "gateways.gateway.networking.k8s.io", "-A", "--output=json"))["items"]
    except ToolError:
        found = []
    if not found or "GATEWAY_URL" not in os.environ:
        pytest.skip("this cluster has no gateway of the Gateway API at a GATEWAY_URL")
    return found[0], os.environ["GATEWAY_URL"]


@pytest.fixture(scope="module")
def route(gateway: tuple[Object, str]) -> Iterator[WeightedRoute]:
    found, url = gateway
    cluster = current_cluster("local", workload=replace(HOUSE_PRICE_API, namespaces={"local": NAMESPACE}))
    image = "house-price-route:test"
    run(["docker", "build", "--quiet", f"--tag={image}", "-"], "FROM python:3.11-slim-bookworm\nUSER 10001\n")
    bring(image, cluster, load_settings(ImageSettings), print)
    parent = {"name": found["metadata"]["name"], "namespace": found["metadata"]["namespace"]}
    rules = [{"backendRefs": [{"name": "champion", "port": 80}]}]
    objects: list[Any] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        *backend("champion", image),
        *backend("challenger", image),
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "houses", "namespace": NAMESPACE},
            "spec": {"hostnames": [HOST], "parentRefs": [parent], "rules": rules},
        },
    ]
    cluster.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    try:
        cluster.kubectl("wait", "pod", "--all", "--for=condition=Ready", "--timeout=120s", timeout_s=130)
        yield WeightedRoute(cluster, "houses", serving="champion", candidate="challenger", url=url)
    finally:
        cluster.delete(f"namespace/{NAMESPACE}")


def test_each_share_of_callers_reaches_its_service_from_the_first_caller_on(route: WeightedRoute) -> None:
    seen = {}

    for percent in (0, 5, 25, 100, 0):
        route.shift(percent)
        seen[percent] = answers(route.url)["challenger"] * 100 / CALLS

    assert seen == {percent: pytest.approx(percent, abs=1) for percent in seen}


def test_a_gateway_that_does_not_take_the_shift_is_named(route: WeightedRoute, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phase2_k8s_cicd.rollout.route.ACCEPT_SECONDS", 1)
    nowhere = WeightedRoute(route.cluster, "houses", "champion", "challenger", url="http://127.0.0.1:1")

    with pytest.raises(RolloutError, match="does not shift to 5 %"):
        nowhere.shift(5)
    route.shift(0)


def answers(url: str) -> Counter[str]:
    """Count who answers, one caller after the other."""
    with httpx.Client(base_url=url, headers={"Host": HOST}, trust_env=False, timeout=10) as client:
        return Counter(client.get("/").raise_for_status().text for _ in range(CALLS))
