"""A workload that is not the house's is rolled out by the same code, under its own names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from phase2_k8s_cicd.cluster.cluster import Cluster, render
from phase2_k8s_cicd.cluster.images import service_image
from phase2_k8s_cicd.cluster.lease import only_one
from phase2_k8s_cicd.cluster.workload import HOUSE_PRICE_API, Workload
from phase2_k8s_cicd.errors import ToolError
from phase2_k8s_cicd.rollout import history
from phase2_k8s_cicd.rollout.deploy import now
from phase2_k8s_cicd.rollout.kubernetes import Kubernetes
from phase2_k8s_cicd.testing import MemoryCluster

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "toy"},
    "spec": {"template": {"spec": {"containers": [{"name": "toy", "image": "toy-image:unset"}]}}},
}


@pytest.fixture
def toy(tmp_path: Path) -> Workload:
    """A workload with manifests of its own, as a later phase has them."""
    component = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component", "nameSuffix": "-candidate"}
    for path, content in {
        "overlays/here/kustomization.yaml": {"resources": ["deployment.yaml"]},
        "overlays/here/deployment.yaml": DEPLOYMENT,
        "components/candidate/kustomization.yaml": component,
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(json.dumps(content))
    return Workload("toy", "toy-image", tmp_path, {"here": "toys"}, lease="toy-rollout", component="predictor")


class Noted(Cluster):
    """A cluster that has nothing, and notes what it is told."""

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout_s: float = 120) -> str:
        NOTES.append(f"{' '.join(arguments)} {stdin or ''}")
        if arguments[:2] == ("get", "deployment"):
            raise ToolError("it is enough to know what was asked")
        return '{"items": []}' if arguments[1] == "replicasets" else ""


NOTES: list[str] = []


def test_another_workload_has_its_own_image_namespace_and_manifests(toy: Workload) -> None:
    rendered = render("here", "registry/toy-image:v2", "candidate", workload=toy)

    assert "image: registry/toy-image:v2\n" in rendered
    assert "name: toy-candidate\n  namespace: toys\n" in rendered
    assert service_image("v2", "registry", toy) == "registry/toy-image:v2"
    assert Cluster("mine", "https://127.0.0.1", "here", toy).namespace == "toys"


def test_a_place_asks_for_the_names_of_its_workload(toy: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Noted, "get", lambda *_: None)
    NOTES.clear()
    place = Kubernetes(Noted("mine", "https://127.0.0.1", "here", toy), "registry/toy-image:v2", "rollcheck")
    monkeypatch.undo()

    with pytest.raises(ToolError), place.candidate(0):
        pytest.fail("it cannot be ready")

    assert place.url == "http://toy"
    assert "app.kubernetes.io/component=predictor" in NOTES[0]
    assert any(note.startswith("get deployment toy-candidate ") for note in NOTES)
    assert not [note for note in NOTES if "house" in note]


def test_a_lease_and_a_history_belong_to_their_workload(toy: Workload) -> None:
    objects: dict[str, Any] = {}
    cluster = MemoryCluster(overlay="here", workload=toy, objects=objects)

    with only_one(cluster, "ada", 60, now), only_one(MemoryCluster(objects=objects), "eve", 60, now):
        assert {"lease/toy-rollout", f"lease/{HOUSE_PRICE_API.lease}"} <= objects.keys()
    assert history.read(cluster) == []
    assert toy.history == "toy-deployments"
