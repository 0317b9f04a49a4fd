"""Room: cluster. On a real Kubernetes: rollouts lose nothing, bad versions never get through, and what dies comes back.

`make test-cluster` runs it on the cluster that kubectl speaks to, which must be one of this machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from phase2_k8s_cicd.asking import Question, Watch
from phase2_k8s_cicd.cluster import APP, Cluster, current_cluster, render, version_of
from phase2_k8s_cicd.errors import ToolError
from phase2_k8s_cicd.houses import expectations, fixed_houses
from phase2_k8s_cicd.images import bring, build_rollcheck, build_service
from phase2_k8s_cicd.kubernetes import make_namespace, wait_until_rolled
from phase2_k8s_cicd.pods import watching
from phase2_k8s_cicd.tools import ROOT, run

pytestmark = pytest.mark.cluster

RATE = 200
FIGURES = ROOT / "reports" / "test-cluster.txt"
FAULTY = Path(__file__).parent / "faulty"
SERVICE = "house-price-service"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = current_cluster("local")
    assert cluster.is_local, f"{cluster.context} is not on this machine"
    cluster.delete(f"namespace/{cluster.namespace}")
    yield cluster
    cluster.delete(f"namespace/{cluster.namespace}")


@pytest.fixture(scope="module")
def good(cluster: Cluster) -> tuple[str, str]:
    """Two versions with the same code."""
    images = build_service("v1", "", print), build_service("v2", "", print)
    for image in images:
        bring(image, cluster, os.environ, print)
    return images


@pytest.fixture(scope="module")
def rollcheck(cluster: Cluster) -> str:
    image = build_rollcheck("", print)
    bring(image, cluster, os.environ, print)
    return image


@pytest.fixture(scope="module")
def houses() -> str:
    return expectations(fixed_houses())


def faulty(cluster: Cluster, good: tuple[str, str], fault: str) -> str:
    image = f"{SERVICE}:{fault}"
    arguments = [f"--build-arg=GOOD={good[0]}", f"--build-arg=FAULT={fault}"]
    run(["docker", "build", "--quiet", f"--tag={image}", *arguments, str(FAULTY)])
    bring(image, cluster, os.environ, print)
    return image


def put(cluster: Cluster, image: str, change: Callable[[Any], None] | None = None, *components: str) -> None:
    """Apply a version as `kubectl apply` would, without a candidate, and wait until it is there."""
    make_namespace(cluster, image)
    manifests = render(cluster.overlay, image, *components)
    cluster.apply(manifests)
    if change:
        deployment = cluster.get("deployment", APP)
        assert deployment
        change(deployment)
        cluster.kubectl("replace", "--filename=-", stdin=json.dumps(deployment))
    wait_until_rolled(cluster, APP, "api", 180)


@pytest.fixture
def serving(cluster: Cluster, good: tuple[str, str]) -> str:
    """The first version, as it came."""
    put(cluster, good[0])
    return good[0]


@contextlib.contextmanager
def asked(cluster: Cluster, rollcheck: str, houses: str, rate: float = RATE) -> Iterator[Watch]:
    with watching(cluster, rollcheck, Question(f"http://{APP}", rate, 0, houses), print) as watch:
        time.sleep(1)
        yield watch


@contextlib.contextmanager
def available_sampled(cluster: Cluster) -> Iterator[list[int]]:
    """How many pods were available, sampled twice a second."""
    samples: list[int] = []
    done = threading.Event()

    def sample() -> None:
        while not done.wait(0.5):
            found = cluster.get("deployment", APP)
            samples.append(found["status"].get("availableReplicas", 0) if found else 0)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()


def phase2(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / ".venv/bin/phase2"), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def pods(cluster: Cluster) -> list[Any]:
    """Those that are not about to go."""
    found = cluster.pods("app.kubernetes.io/component=api")
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def pod_names(cluster: Cluster) -> set[str]:
    return {pod["metadata"]["name"] for pod in pods(cluster)}


def eventually(claim: Callable[[], bool], seconds: float) -> float:
    """Give the seconds until the claim came true."""
    started = time.monotonic()
    while not claim():
        assert time.monotonic() - started < seconds, "it did not come true in time"
        time.sleep(0.2)
    return time.monotonic() - started


def say(figure: str) -> None:
    """Keep a figure; `make test-cluster` shows them at its end."""
    FIGURES.parent.mkdir(exist_ok=True)
    with FIGURES.open("a") as file:
        file.write(f"{figure}\n")


def test_ten_rolling_updates_under_load_lose_nothing(
    cluster: Cluster, good: tuple[str, str], rollcheck: str, houses: str, serving: str
) -> None:
    with available_sampled(cluster) as available, asked(cluster, rollcheck, houses) as watch:
        for number in range(10):
            new = good[(number + 1) % 2]
            put(cluster, new)
            assert answering_versions(cluster) == {version_of(new)}
        report = watch.end()

    say(f"{report.lost} of {report.requests:,} lost in ten updates, p99 {report.p99_ms:.0f} ms")
    assert report.lost == 0, report.why_lost()
    assert report.requests >= 20_000
    assert set(report.versions) == {"v1", "v2"}
    assert min(available) >= 2, "below the replicas"


def answering_versions(cluster: Cluster) -> set[str]:
    """Who answers behind the Service, asked often enough to meet each pod."""
    path = f"/api/v1/namespaces/{cluster.namespace}/services/http:{APP}:80/proxy/metrics"
    metrics = [cluster.kubectl("get", f"--raw={path}") for _ in range(8)]
    return {found[1] for text in metrics if (found := re.search(r'house_service_info{version="(.*?)"}', text))}


def test_without_readiness_and_pre_stop_an_update_does_lose_requests(
    cluster: Cluster, good: tuple[str, str], rollcheck: str, houses: str
) -> None:
    def careless(deployment: Any) -> None:
        deployment["spec"]["minReadySeconds"] = 0
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        for name in ("lifecycle", "readinessProbe", "startupProbe"):
            container.pop(name, None)
        container["env"] = [{"name": "HOUSE_DRAIN_SECONDS", "value": "0"}]

    put(cluster, good[0], careless)
    with asked(cluster, rollcheck, houses) as watch:
        put(cluster, good[1], careless)
        report = watch.end()

    say(report.why_lost())
    assert report.lost > 10


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("crashes", "no such table"),
        ("unready", "503"),
        ("errors", "status"),
        ("slow", "too slow"),
        ("wrong", "price"),
    ],
)
def test_a_bad_version_is_stopped_and_no_caller_notices(
    cluster: Cluster,
    good: tuple[str, str],
    rollcheck: str,
    houses: str,
    serving: str,
    fault: str,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faulty(cluster, good, fault)
    monkeypatch.setenv("ROLLOUT_START_SECONDS", "25")
    before = pod_names(cluster)
    with asked(cluster, rollcheck, houses, rate=50) as watch:
        done = phase2("rollout", "--version", fault)
        report = watch.end()

    say(done.stderr.strip().splitlines()[-2])
    assert done.returncode == 1, done.stdout + done.stderr
    assert reason in done.stderr
    assert report.lost == 0, report.why_lost()
    assert set(report.versions) == {"v1"}
    assert pod_names(cluster) == before, "its pods were left alone"
    events = cluster.kubectl("get", "events", f"--field-selector=involvedObject.name={APP},reason=RolloutRefused")
    assert fault in events
    assert not cluster.pods("app.kubernetes.io/component=candidate")


def test_a_good_version_comes_in_and_goes_back_by_the_commands_that_a_pipeline_calls(
    cluster: Cluster, good: tuple[str, str], rollcheck: str, houses: str, serving: str
) -> None:
    with asked(cluster, rollcheck, houses, rate=50) as watch:
        there = phase2("rollout", "--version", "v2")
        assert there.returncode == 0, there.stderr
        assert cluster.serving() == good[1]
        back = phase2("rollback")
        report = watch.end()

    assert back.returncode == 0, back.stderr
    assert cluster.serving() == good[0]
    assert report.lost == 0, report.why_lost()


def test_a_version_that_fails_while_pods_are_replaced_is_undone(
    cluster: Cluster, good: tuple[str, str], serving: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUT_UPDATE_SECONDS", "10")  # two pods take longer: the update misses its deadline

    done = phase2("rollout", "--version", "v2")

    assert done.returncode == 1, done.stdout
    assert "undone" in done.stderr
    monkeypatch.delenv("ROLLOUT_UPDATE_SECONDS")
    eventually(lambda: cluster.serving() == serving, 60)
    wait_until_rolled(cluster, APP, "api", 60)


def test_two_rollouts_at_once_are_refused(cluster: Cluster, serving: str) -> None:
    first = subprocess.Popen(
        [str(ROOT / ".venv/bin/phase2"), "rollout", "--version", "v2"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: cluster.get("lease", "house-price-rollout") is not None, 60)
        second = phase2("rollout", "--version", "v1")
    finally:
        first.terminate()
        first.wait(120)

    assert second.returncode == 1
    assert "is rolling out here" in second.stderr
    assert cluster.serving() == serving, "the first was told to stop, and left the old version"
    assert cluster.get("lease", "house-price-rollout") is None


def test_an_eviction_leaves_one_pod_serving(cluster: Cluster, rollcheck: str, houses: str, serving: str) -> None:
    first, second = sorted(pod_names(cluster))
    with asked(cluster, rollcheck, houses, rate=50) as watch:
        evict(cluster, first)
        with pytest.raises(ToolError, match="disruption budget"):
            evict(cluster, second)
        wait_until_rolled(cluster, APP, "api", 60)
        report = watch.end()

    assert report.lost == 0, report.why_lost()


def evict(cluster: Cluster, name: str) -> None:
    path = f"/api/v1/namespaces/{cluster.namespace}/pods/{name}/eviction"
    metadata = {"name": name, "namespace": cluster.namespace}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    cluster.kubectl("create", f"--raw={path}", "--filename=-", stdin=json.dumps(body))


@pytest.mark.parametrize(("path", "why"), [("/exit", "Error"), ("/hog", "OOMKilled")])
def test_a_pod_that_dies_is_replaced_and_the_others_answer_on(
    cluster: Cluster, good: tuple[str, str], rollcheck: str, houses: str, path: str, why: str
) -> None:
    put(cluster, faulty(cluster, good, "fragile"))
    # Each its own: what dies a second time waits longer for its next start.
    victim = sorted(pod_names(cluster))[0 if path == "/exit" else 1]
    ask_it = (
        f"import http.client as h; c = h.HTTPConnection('127.0.0.1', 5000); c.request('GET', '{path}'); c.getresponse()"
    )
    with asked(cluster, rollcheck, houses, rate=RATE) as watch:
        with contextlib.suppress(ToolError):  # it dies before it answers
            cluster.kubectl("exec", victim, "--", "python", "-c", ask_it)
        died = time.monotonic()
        eventually(lambda: restarted(cluster, victim) == why, 20)
        back_s = eventually(lambda: ready(cluster) == 2, 30) + time.monotonic() - died
        time.sleep(2)
        report = watch.end()

    say(f"{why}: back after {back_s:.0f} s; {report.why_lost()}")
    # Half of the requests go to it until its Service knows that it is gone, which takes up to two seconds.
    assert report.lost <= 2 * RATE / 2
    assert back_s < 15


def restarted(cluster: Cluster, name: str) -> str | None:
    """Why the container ended before."""
    for pod in pods(cluster):
        if pod["metadata"]["name"] == name:
            ended = pod["status"]["containerStatuses"][0].get("lastState", {}).get("terminated", {})
            reason: str | None = ended.get("reason")
            return reason
    return None


def ready(cluster: Cluster) -> int:
    found = cluster.get("deployment", APP)
    return int(found["status"].get("readyReplicas", 0)) if found else 0


def test_under_load_more_pods_come_and_go_again(
    cluster: Cluster, good: tuple[str, str], rollcheck: str, houses: str
) -> None:
    put(cluster, good[0], None, "autoscale")
    eventually(lambda: ready(cluster) == 2, 120)
    with asked(cluster, rollcheck, houses, rate=1000) as watch:
        up_s = eventually(lambda: ready(cluster) > 2, 120)
        report = watch.end()
    impatient = {"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}}}}  # instead of five minutes
    cluster.kubectl("patch", f"horizontalpodautoscaler/{APP}", f"--patch={json.dumps(impatient)}")
    down_s = eventually(lambda: ready(cluster) == 2, 240)

    say(f"a third pod after {up_s:.0f} s, two again {down_s:.0f} s after the load; {report.why_lost()}")
    cluster.delete(f"horizontalpodautoscaler/{APP}")


def test_a_pod_that_asks_for_more_is_refused_at_the_door(cluster: Cluster, serving: str) -> None:
    image = {"name": "greedy", "image": serving}
    for wish in ({"privileged": True}, {"runAsUser": 0}, {"allowPrivilegeEscalation": True}):
        spec = {"containers": [image | {"securityContext": wish}]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "greedy"}, "spec": spec}

        with pytest.raises(ToolError, match='violates PodSecurity "restricted'):
            cluster.create(pod)


def test_the_image_runs_as_any_user(cluster: Cluster, serving: str, rollcheck: str, houses: str) -> None:
    def another(deployment: Any) -> None:
        deployment["spec"]["template"]["spec"]["securityContext"] |= {"runAsUser": 54321, "runAsGroup": 54321}

    put(cluster, serving, another)
    with asked(cluster, rollcheck, houses, rate=20) as watch:
        time.sleep(3)
        report = watch.end()

    assert report.ok > 40
    assert report.lost == 0, report.why_lost()
