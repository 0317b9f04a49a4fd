"""Exercise 3: in production a pod answers for 12 s after it is told to stop, and ends before it is killed."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
import yaml
from phase2_k8s_cicd.cluster.cluster import render

if not shutil.which("kubectl"):
    pytest.skip("it needs kubectl: https://kubernetes.io/docs/tasks/tools/", allow_module_level=True)

LOAD_BALANCER_SECONDS = 10


def objects(overlay: str) -> dict[str, dict[str, Any]]:
    """The overlay's objects by kind; the last one of a kind."""
    rendered = yaml.safe_load_all(render(overlay, "house-price-service:exercise"))
    return {each["kind"]: each for each in rendered}


def seconds(overlay: str, name: str) -> float:
    return float(objects(overlay)["ConfigMap"]["data"][name])


def test_a_pod_in_production_answers_until_the_load_balancer_has_noticed() -> None:
    drain = seconds("prod", "HOUSE_DRAIN_SECONDS")

    needed = f"the load balancer needs {LOAD_BALANCER_SECONDS}, and 2 to spare"
    assert drain >= LOAD_BALANCER_SECONDS + 2, f"HOUSE_DRAIN_SECONDS is {drain:g}; {needed}"


def test_a_pod_in_production_ends_before_it_is_killed() -> None:
    drain, grace = (seconds("prod", name) for name in ("HOUSE_DRAIN_SECONDS", "HOUSE_GRACE_SECONDS"))
    pod = objects("prod")["Deployment"]["spec"]["template"]["spec"]
    pre_stop = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    killed = pod["terminationGracePeriodSeconds"]

    needed = f"you took it from preStop ({pre_stop}) or the grace ({grace:g}), which are needed for something else"
    assert grace >= 15 and pre_stop >= 2, needed
    total = f"{pre_stop} + {drain:g} + {grace:g} s"
    assert pre_stop + drain + grace + 5 <= killed, f"a pod is killed after {killed} s, within 5 s of {total} or before"


def test_the_other_overlays_stay_as_they_are() -> None:
    drain = seconds("dev", "HOUSE_DRAIN_SECONDS")

    assert drain == 3, "the other overlays drain longer too: state the difference in production's"
