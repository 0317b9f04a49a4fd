"""Room: manifests. What every rendering must keep, whatever is added to it; this needs no cluster."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from phase1_docker_api.model.house_model import HouseModel
from phase2_k8s_cicd.service.app import create_app
from phase2_k8s_cicd.settings import Settings
from starlette.routing import Route

ROOT = Path(__file__).parents[3]
K8S = ROOT / "phase2_k8s_cicd/k8s"
IMAGE = "registry.example/house-price-service:4f2c9a1"
NAMESPACES = {"local": "house-price", "dev": "house-price-dev", "prod": "house-price-prod"}
ADDED = {"local": ("autoscale", "gateway"), "dev": ("autoscale", "gateway"), "prod": ()}  # prod has both

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("kubectl", "kustomize", "go"))), reason="rendering needs kubectl, kustomize or Go"
)


def combinations() -> Iterator[tuple[str, ...]]:
    """Every overlay with every choice of the components it may still get."""
    for overlay, components in ADDED.items():
        for chosen in product((False, True), repeat=len(components)):
            yield overlay, *(name for name, added in zip(components, chosen, strict=True) if added)


every_rendering = pytest.mark.parametrize("parts", list(combinations()), ids="+".join)


@cache
def rendered(*parts: str) -> list[dict[str, Any]]:
    """Render an overlay with components on top and an image, as a rollout does."""
    overlay, *components = parts
    with TemporaryDirectory() as folder:
        here, (image, tag) = Path(folder).resolve(), IMAGE.split(":")
        kustomization: dict[str, Any] = {
            "resources": [os.path.relpath(K8S / "overlays" / overlay, here)],
            "components": [os.path.relpath(K8S / "components" / name, here) for name in components],
            "images": [{"name": "house-price-service", "newName": image, "newTag": tag}],
        }
        if components:  # what one adds comes without a namespace
            kustomization["namespace"] = NAMESPACES[overlay]
        (here / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        run = subprocess.run([ROOT / "scripts/kustomize.sh", here], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return list(yaml.safe_load_all(run.stdout))


def only(kind: str, objects: list[dict[str, Any]]) -> dict[str, Any]:
    found = [each for each in objects if each["kind"] == kind]
    assert len(found) == 1, f"{len(found)} of {kind}"
    return found[0]


def pod_of(objects: list[dict[str, Any]]) -> dict[str, Any]:
    template: dict[str, Any] = only("Deployment", objects)["spec"]["template"]
    return template


def container_of(objects: list[dict[str, Any]]) -> dict[str, Any]:
    containers = pod_of(objects)["spec"]["containers"]
    assert [each["name"] for each in containers] == ["api"]
    container: dict[str, Any] = containers[0]
    return container


def selects(selector: dict[str, str], pod: dict[str, Any]) -> bool:
    return bool(selector) and selector.items() <= pod["metadata"]["labels"].items()


@every_rendering
def test_a_pod_is_gone_before_it_is_killed(parts: tuple[str, ...]) -> None:
    objects = rendered(*parts)
    settings = only("ConfigMap", objects)["data"]
    stopping_seconds = (
        container_of(objects)["lifecycle"]["preStop"]["sleep"]["seconds"]
        + float(settings["HOUSE_DRAIN_SECONDS"])
        + float(settings["HOUSE_GRACE_SECONDS"])
    )

    assert stopping_seconds + 5 <= pod_of(objects)["spec"]["terminationGracePeriodSeconds"]


@every_rendering
def test_the_settings_are_some_that_the_service_knows_and_a_change_of_one_rolls_out(parts: tuple[str, ...]) -> None:
    settings = only("ConfigMap", rendered(*parts))
    known = {f"HOUSE_{name.upper()}" for name in Settings.model_fields}

    assert settings["data"].keys() <= known
    assert container_of(rendered(*parts))["envFrom"] == [{"configMapRef": {"name": settings["metadata"]["name"]}}]
    assert (
        only("ConfigMap", rendered("local"))["metadata"]["name"]
        != only("ConfigMap", rendered("dev"))["metadata"]["name"]
    )


@every_rendering
def test_service_and_budget_see_the_pods_that_serve_and_never_a_candidate(parts: tuple[str, ...]) -> None:
    objects, candidate = rendered(*parts), rendered(*parts, "candidate")
    serving, tried = pod_of(objects), pod_of(candidate)
    of_service = only("Service", objects)["spec"]["selector"]
    of_deployment = only("Deployment", objects)["spec"]["selector"]["matchLabels"]
    of_budget = only("PodDisruptionBudget", objects)["spec"]["selector"]["matchLabels"]

    for selector in (of_service, of_deployment, of_budget):
        assert selects(selector, serving)
        assert not selects(selector, tried)
    for of_candidate in (
        only("Service", candidate)["spec"]["selector"],
        only("Deployment", candidate)["spec"]["selector"]["matchLabels"],
    ):
        assert selects(of_candidate, tried)
        assert not selects(of_candidate, serving)


@every_rendering
def test_a_candidate_is_one_pod_and_its_service_beside_all_that_serves(parts: tuple[str, ...]) -> None:
    objects, candidate = rendered(*parts), rendered(*parts, "candidate")
    named = {(each["kind"], each["metadata"]["name"]) for each in candidate}

    assert {kind for kind, _ in named} == {"ConfigMap", "Deployment", "Service", "ServiceAccount"}
    assert {("Deployment", "house-price-api-candidate"), ("Service", "house-price-api-candidate")} <= named
    assert not named & {(each["kind"], each["metadata"]["name"]) for each in objects}
    assert only("Deployment", candidate)["spec"]["replicas"] == 1


@every_rendering
def test_all_objects_are_in_the_one_namespace_that_enforces_restricted(parts: tuple[str, ...]) -> None:
    objects = rendered(*parts)
    namespace = only("Namespace", objects)["metadata"]

    assert namespace["name"] == NAMESPACES[parts[0]]
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for each in [*objects, *rendered(*parts, "candidate")]:
        assert each["kind"] == "Namespace" or each["metadata"]["namespace"] == namespace["name"], each["metadata"]


@every_rendering
@pytest.mark.parametrize("component", [(), ("candidate",)], ids=["serving", "candidate"])
def test_no_pod_may_do_more_than_restricted_grants_write_or_speak_to_the_cluster(
    parts: tuple[str, ...], component: tuple[str, ...]
) -> None:
    objects = rendered(*parts, *component)
    pod, container = pod_of(objects)["spec"], container_of(objects)

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert only("ServiceAccount", objects)["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == only("ServiceAccount", objects)["metadata"]["name"]
    assert not {"volumes", "hostNetwork", "hostPID", "hostIPC"} & pod.keys()


@every_rendering
@pytest.mark.parametrize("component", [(), ("candidate",)], ids=["serving", "candidate"])
def test_the_image_is_the_one_rolled_out(parts: tuple[str, ...], component: tuple[str, ...]) -> None:
    assert container_of(rendered(*parts, *component))["image"] == IMAGE


def test_without_a_rollout_the_image_is_one_that_nobody_can_pull() -> None:
    base = yaml.safe_load((K8S / "base/deployment.yaml").read_text())

    assert container_of([base])["image"] == "house-price-service:unset"


@every_rendering
def test_the_probes_ask_different_things(parts: tuple[str, ...]) -> None:
    objects = rendered(*parts)
    container, deployment = container_of(objects), only("Deployment", objects)["spec"]
    startup, ready, alive = (container[f"{name}Probe"] for name in ("startup", "readiness", "liveness"))

    def patience_seconds(probe: dict[str, Any]) -> int:
        return int(probe["periodSeconds"] * probe["failureThreshold"])

    assert ready["httpGet"]["path"] == "/readyz"
    assert alive["httpGet"]["path"] == startup["httpGet"]["path"] == "/healthz", "one that drains must not be restarted"
    assert patience_seconds(ready) < patience_seconds(alive) < patience_seconds(startup)
    assert patience_seconds(startup) < deployment["progressDeadlineSeconds"], "or a start that never ends looks late"


@every_rendering
def test_there_are_two_pods_at_least_and_one_owner_of_their_number(parts: tuple[str, ...]) -> None:
    objects = rendered(*parts)
    deployment = only("Deployment", objects)["spec"]
    scalers = [each["spec"] for each in objects if each["kind"] == "HorizontalPodAutoscaler"]

    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    if scalers:
        assert "replicas" not in deployment
        assert scalers[0]["scaleTargetRef"]["name"] == only("Deployment", objects)["metadata"]["name"]
        assert scalers[0]["minReplicas"] >= 2
    else:
        assert deployment["replicas"] >= 2


def test_the_gateway_lets_every_route_in_but_those_of_operations(linear_model: HouseModel) -> None:
    rules = only("HTTPRoute", rendered("prod"))["spec"]["rules"]
    matches = [match["path"] for rule in rules for match in rule["matches"]]

    def is_let_in(path: str) -> bool:
        return any(
            path == match["value"] or (match["type"] == "PathPrefix" and path.startswith(f"{match['value']}/"))
            for match in matches
        )

    app = create_app(Settings(), linear_model)
    paths = {route.path for route in app.routes if isinstance(route, Route)} | app.openapi()["paths"].keys()

    assert {path for path in paths if not is_let_in(path)} == {"/metrics", "/healthz", "/readyz"}
