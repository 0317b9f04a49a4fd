"""Exercise 1: the local overlay alone asks for three pods; one may be evicted at a time, a candidate is still one."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
import yaml
from phase2_k8s_cicd.cluster.cluster import render

if not shutil.which("kubectl"):
    pytest.skip("it needs kubectl: https://kubernetes.io/docs/tasks/tools/", allow_module_level=True)


def spec(overlay: str, kind: str, *components: str) -> dict[str, Any]:
    """The spec of the overlay's first object of this kind."""
    objects = yaml.safe_load_all(render(overlay, "house-price-service:exercise", *components))
    return next((each["spec"] for each in objects if each["kind"] == kind), {})


def test_only_the_local_overlay_asks_for_three_pods() -> None:
    local, dev = (spec(overlay, "Deployment").get("replicas", "no number of") for overlay in ("local", "dev"))

    assert local == 3, f"OVERLAY=local asks for {local} pods"
    assert dev == 2, f"OVERLAY=dev asks for {dev} pods now: state the difference in the overlay, not in the base"


def test_a_candidate_is_still_one_pod() -> None:
    pods = spec("local", "Deployment", "candidate").get("replicas")

    assert pods == 1, f"a candidate would be {pods} pods"


def test_one_pod_may_be_evicted_at_a_time() -> None:
    budget = spec("local", "PodDisruptionBudget")

    may_go = 3 - budget["minAvailable"] if "minAvailable" in budget else budget.get("maxUnavailable")
    assert may_go == 1, f"the budget lets {may_go} of three pods go at a time, not one"
