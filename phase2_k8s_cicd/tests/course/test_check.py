"""The check of a learner's own phase 2: it believes a sound one, and each fault has its line and what helps."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from phase1_docker_api.model.artifact import save_model
from phase1_docker_api.model.house_model import HouseModel
from phase2_k8s_cicd.cli import cli
from phase2_k8s_cicd.course.check import (
    OF_DEPLOYMENT,
    all_pods_are_ready,
    budget_lets_one_go,
    counts_go_up,
    last_rollout,
    pods_run_on,
    replicas_stop_gently,
    served_is_offline,
)
from phase2_k8s_cicd.rollout.outcome import Outcome
from phase2_k8s_cicd.rollout.processes import Local


def test_without_a_cluster_it_says_what_to_run_and_ends_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kubectl").write_text("#!/bin/sh\necho '{}'\n")
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    done = CliRunner().invoke(cli, ["check", "--json"])

    *findings, _ = json.loads(done.stdout)
    assert done.exit_code == 1
    assert [f["holds"] for f in findings] == [False] + [None] * (1 + len(OF_DEPLOYMENT))
    assert "make cluster-up" in findings[0]["hint"]


def pod(restarts: int = 0, ready: bool = True, **state: Any) -> dict[str, Any]:
    container = {"restartCount": restarts, "ready": ready, "state": state}
    if restarts:
        container["lastState"] = {"terminated": {"reason": "OOMKilled"}}
    return {"metadata": {"name": "api-1", "namespace": "here"}, "status": {"containerStatuses": [container]}}


@pytest.mark.parametrize(
    ("found", "holds", "word"),
    [
        ([pod(), pod()], True, "2 pods"),
        ([pod(), pod(restarts=2)], None, "2 ×, last after OOMKilled"),
        ([pod(restarts=5, ready=False)], False, "5 ×"),
        ([pod(ready=False, waiting={"reason": "ErrImagePull", "message": "no such image"})], False, "no such image"),
    ],
)
def test_a_pod_that_was_started_again_is_told_apart_from_one_that_cannot_run(
    found: list[Any], holds: bool | None, word: str
) -> None:
    finding = pods_run_on(found)

    assert finding.holds is holds
    assert word in finding.seen


@pytest.mark.parametrize(
    ("budget", "holds"),
    [
        (None, False),
        ({"status": {"disruptionsAllowed": 1, "expectedPods": 2}}, True),
        ({"status": {"disruptionsAllowed": 0, "expectedPods": 2}}, False),
        ({"status": {"disruptionsAllowed": 2, "expectedPods": 2}}, False),
    ],
)
def test_a_budget_must_let_one_pod_go_and_not_all(budget: Any, holds: bool) -> None:
    assert budget_lets_one_go(budget).holds is holds


def test_a_deployment_that_is_half_replaced_is_not_ready() -> None:
    status = {"readyReplicas": 2, "replicas": 3, "updatedReplicas": 1, "availableReplicas": 2, "observedGeneration": 1}

    finding = all_pods_are_ready({"metadata": {"generation": 1}, "spec": {"replicas": 2}, "status": status}, "v2")

    assert finding.holds is False
    assert "2 of 2 pods ready, 1 not replaced yet" in finding.seen


@pytest.mark.parametrize(
    ("result", "version", "serves", "holds"),
    [
        ("serving", "v2", "v2", True),
        ("refused", "v2", "v1", True),
        ("undone", "v2", "v1", True),
        ("failed", "v2", "v2", False),
        ("serving", "v2", "v3", None),
    ],
)
def test_the_last_rollout_explains_what_serves(
    tmp_path: Path, result: Any, version: str, serves: str, holds: bool | None
) -> None:
    assert last_rollout(tmp_path, serves).holds is None
    for day, name in ((1, "v0"), (2, version)):
        when = dt.datetime(2026, 1, day, tzinfo=dt.UTC)
        kept: Any = result if name == version else "failed"
        Outcome(result=kept, version=name, previous="v1", reason="so", by="me", started_at=when, seconds=1).write(
            tmp_path
        )

    assert last_rollout(tmp_path, serves).holds is holds


def test_a_gateway_that_looks_too_seldom_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASE2_RUN_FOLDER", str(tmp_path))
    for interval, holds in (("1s", True), ("5s", False)):
        health = {"interval": interval, "timeout": "1s"}
        routes = {"http": {"services": {"serving": {"loadBalancer": {"healthCheck": health}}}}}
        (tmp_path / "routes.yaml").write_text(json.dumps(routes))

        assert replicas_stop_gently(Local()).holds is holds


def test_metrics_that_do_not_count_are_found() -> None:
    standing = 'house_http_requests_total{method="POST",path="/predict",status="200"} 4.0\n'
    answer = httpx.MockTransport(lambda _: httpx.Response(200, text=standing))

    with httpx.Client(base_url="http://standing", transport=answer) as client:
        assert counts_go_up(client).holds is False


def test_another_model_than_the_one_here_is_not_compared(tmp_path: Path, linear_model: HouseModel) -> None:
    ready = httpx.MockTransport(lambda _: httpx.Response(200, json={"model_version": "trees-of-an-image"}))
    here = save_model(linear_model, tmp_path)

    with httpx.Client(base_url="http://other", transport=ready) as client:
        none, other = (served_is_offline(client, path) for path in (tmp_path / "nothing", here))

    assert none.holds is None
    assert other.holds is None
    assert "the service has trees-of-an-image" in other.seen
