"""Room: cluster. On a real Kubernetes: rollouts lose nothing, bad versions never get through, and what dies comes back.

`make test-cluster` runs it on the cluster that kubectl speaks to, which must be one of this machine.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from phase1_docker_api.settings import load_settings
from phase2_k8s_cicd.cluster.cluster import Cluster, current_cluster, render, version_of
from phase2_k8s_cicd.cluster.images import bring, build_rollcheck, build_service
from phase2_k8s_cicd.cluster.workload import HOUSE_PRICE_API
from phase2_k8s_cicd.errors import ToolError
from phase2_k8s_cicd.rollout.deploy import version_here
from phase2_k8s_cicd.rollout.kubernetes import make_ready, wait_until_serving
from phase2_k8s_cicd.rollout.probe import Question, Watch
from phase2_k8s_cicd.rollout.probe_pods import watching
from phase2_k8s_cicd.rollout.reference_houses import expectations, fixed_houses
from phase2_k8s_cicd.rollout.way_back import mark_as_served
from phase2_k8s_cicd.settings import ImageSettings
from phase2_k8s_cicd.tools import ROOT, run

pytestmark = pytest.mark.cluster

APP, LEASE = HOUSE_PRICE_API.name, HOUSE_PRICE_API.lease
RATE = 200
FIGURES = ROOT / "reports" / "test-cluster.txt"
FAULTY = Path(__file__).parent / "faulty"
SERVICE = HOUSE_PRICE_API.image


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = current_cluster("local")
    assert cluster.is_local, f"{cluster.context} is not on this machine"
    cluster.delete(f"namespace/{cluster.namespace}")
    yield cluster
    cluster.delete(f"namespace/{cluster.namespace}")


@pytest.fixture(scope="module")
def good(cluster: Cluster) -> tuple[str, str]:
    """Two versions with the same code; named after it, so that no older image is taken for them."""
    images = build_service(f"{version_here()}-a", "", print), build_service(f"{version_here()}-b", "", print)
    for image in images:
        bring(image, cluster, load_settings(ImageSettings), print)
    return images


@pytest.fixture(scope="module")
def rollcheck(cluster: Cluster) -> str:
    image = build_rollcheck("", print)
    bring(image, cluster, load_settings(ImageSettings), print)
    return image


@pytest.fixture(scope="module")
def houses() -> str:
    return expectations(fixed_houses())


def faulty(cluster: Cluster, good: tuple[str, str], fault: str) -> str:
    version = f"{version_here()}-{fault}"
    image = f"{SERVICE}:{version}"
    arguments = [f"--build-arg=GOOD={good[0]}", f"--build-arg=FAULT={fault}", f"--build-arg=VERSION={version}"]
    run(["docker", "build", "--quiet", f"--tag={image}", *arguments, str(FAULTY)])
    bring(image, cluster, load_settings(ImageSettings), print)
    return image


def put(cluster: Cluster, image: str, change: Callable[[Any], None] | None = None, *components: str) -> None:
    """Apply a version as `kubectl apply` would, without a candidate, and wait until it is there."""
    make_ready(cluster, image)
    manifests = render(cluster.overlay, image, *components)
    cluster.apply(manifests)
    if change:
        deployment = cluster.get("deployment", APP)
        assert deployment
        change(deployment)
        del deployment["metadata"]["resourceVersion"]  # the controller may have written to it meanwhile
        cluster.kubectl("replace", "--filename=-", stdin=json.dumps(deployment))
    wait_until_serving(cluster, 180)
    mark_as_served(cluster, version_of(image))


@pytest.fixture
def serving(cluster: Cluster, good: tuple[str, str]) -> str:
    """The first version, as it came."""
    put(cluster, good[0])
    return good[0]


@contextlib.contextmanager
def asked(cluster: Cluster, rollcheck: str, houses: str, rate: float = RATE, patience_s: float = 5) -> Iterator[Watch]:
    question = Question(HOUSE_PRICE_API.url, rate, 0, houses, timeout_seconds=patience_s)
    with watching(cluster, rollcheck, question, print, name="rollcheck-test") as watch:
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


@pytest.fixture
def deployer(cluster: Cluster, serving: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be who infra/aws/deployers.yaml lets into one namespace, here into that of the tests, where something serves."""
    group, name = f"{cluster.namespace}-deployers", "house-price-tests-deployer"
    text = (ROOT / "infra/aws/deployers.yaml").read_text().replace("house-price-dev", cluster.namespace)
    objects = list(yaml.safe_load_all(text.replace("name: house-price-deployer\n", f"name: {name}\n")))
    ours = [each for each in objects if "prod" not in f"{each['metadata']}" and each["kind"] != "Namespace"]
    assert [each["kind"] for each in ours] == ["ClusterRole", "RoleBinding"]
    # Where images are not pulled from a registry, who brings them asks first which ones the nodes have.
    looks, rbac = {"name": f"{name}-looks"}, "rbac.authorization.k8s.io"
    rule = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}
    ours += [
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": looks, "rules": [rule]},
        ours[1] | {"kind": "ClusterRoleBinding", "metadata": looks, "roleRef": ours[1]["roleRef"] | looks},
    ]
    manifests = json.dumps({"apiVersion": "v1", "kind": "List", "items": ours})
    config = json.loads(cluster.kubectl("config", "view", "--minify", "--flatten", "--raw", "--output=json"))
    config["users"][0]["user"] |= {"as": "somebody", "as-groups": [group]}
    (tmp_path / "kubeconfig").touch(0o600)
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    cluster.apply(manifests)
    try:
        with monkeypatch.context() as patched:
            patched.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
            yield
    finally:
        cluster.kubectl("delete", "--filename=-", stdin=manifests)


def phase2(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder of its own: reports of tests are none of the learner's."""
    command = [str(ROOT / ".venv/bin/phase2"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=400)


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
    assert set(report.versions) == set(map(version_of, good))
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
        ("unready", "statuscode: 503"),
        ("errors", "status 500"),
        ("slow", "too slow"),
        ("wrong", "instead of"),
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
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad = version_of(faulty(cluster, good, fault))
    monkeypatch.setenv("ROLLOUT_START_SECONDS", "25")
    before = pod_names(cluster)
    with asked(cluster, rollcheck, houses, rate=50) as watch:
        done = phase2(tmp_path, "rollout", "--version", bad)
        report = watch.end()

    say(done.stderr.strip().splitlines()[-2])
    assert done.returncode == 1, done.stdout + done.stderr
    assert reason in done.stderr
    assert report.lost == 0, report.why_lost()
    assert set(report.versions) == {version_of(serving)}
    assert pod_names(cluster) == before, "its pods were left alone"
    events = cluster.kubectl("get", "events", f"--field-selector=involvedObject.name={APP},reason=RolloutRefused")
    assert bad in events
    assert not cluster.pods("app.kubernetes.io/component=candidate")


@pytest.mark.usefixtures("deployer")
def test_a_good_version_comes_in_and_goes_back_by_the_commands_and_the_rights_of_a_pipeline(
    cluster: Cluster, good: tuple[str, str], rollcheck: str, houses: str, serving: str, tmp_path: Path
) -> None:
    with asked(cluster, rollcheck, houses, rate=50) as watch:
        there = phase2(tmp_path, "rollout", "--version", version_of(good[1]))
        assert there.returncode == 0, there.stderr
        assert cluster.serving() == good[1]
        back = phase2(tmp_path, "rollback")
        report = watch.end()

    assert back.returncode == 0, back.stderr
    assert cluster.serving() == good[0]
    assert report.lost == 0, report.why_lost()
    # What was rolled back once is not what the next rollback leads to.
    again = phase2(tmp_path, "rollback")
    assert again.returncode == 1 or cluster.serving() not in good, again.stdout


@pytest.mark.usefixtures("deployer")
def test_who_deploys_to_a_namespace_may_nothing_that_leads_out_of_it(cluster: Cluster, serving: str) -> None:
    pod = f"pod/{sorted(pod_names(cluster))[0]}"
    cluster.kubectl("label", pod, "may=yes", "--dry-run=server")  # it is not that nothing is allowed

    for words in (
        "get secrets",
        "create secret generic mine --from-literal=a=b --dry-run=server",
        f"exec {pod} -- true",
        f"label namespace {cluster.namespace} pod-security.kubernetes.io/enforce- --dry-run=server",
        "create rolebinding mine --clusterrole=cluster-admin --user=somebody --dry-run=server",
        "create clusterrole mine --verb=get --resource=secrets --dry-run=server",
        f"create token {APP}",
        "get pods --namespace=default",
        "create configmap mine --namespace=default --dry-run=server",
    ):
        with pytest.raises(ToolError, match="forbidden"):
            cluster.kubectl(*words.split())


def test_a_version_that_fails_while_pods_are_replaced_is_undone_and_no_caller_notices(
    cluster: Cluster,
    good: tuple[str, str],
    rollcheck: str,
    houses: str,
    serving: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ROLLOUT_UPDATE_SECONDS", "10")  # two pods take longer: the update misses its deadline
    # The old version's manifests were others: without a budget, and with another Service and strategy.
    others = render(cluster.overlay, serving).replace("maxSurge: 1", "maxSurge: 2")
    cluster.apply(others.replace("appProtocol: http", "appProtocol: kubernetes.io/h2c"))
    cluster.delete(f"poddisruptionbudget/{APP}")
    before = specs(cluster)
    with asked(cluster, rollcheck, houses, rate=50) as watch:
        done = phase2(tmp_path, "rollout", "--version", version_of(good[1]))
        report = watch.end()

    assert done.returncode == 1, done.stdout
    assert "was undone" in done.stderr
    assert "it was not ready after 10 s" in done.stderr
    assert cluster.serving() == serving
    assert specs(cluster) == before, "not the pods alone are as they were"
    assert answering_versions(cluster) == {version_of(serving)}
    assert report.lost == 0, report.why_lost()
    refused = phase2(tmp_path, "rollback")  # nothing else has served here
    assert version_of(good[1]) not in str(cluster.serving()), refused.stdout


def specs(cluster: Cluster) -> dict[str, Any]:
    found = json.loads(cluster.kubectl("get", "deployments,services,poddisruptionbudgets", "--output=json"))["items"]
    return {f"{each['kind']} {each['metadata']['name']}": each["spec"] for each in found}


def test_two_rollouts_at_once_are_refused(
    cluster: Cluster, good: tuple[str, str], serving: str, tmp_path: Path
) -> None:
    first = subprocess.Popen(
        [str(ROOT / ".venv/bin/phase2"), "rollout", "--version", version_of(good[1])],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: cluster.get("lease", LEASE) is not None, 60)
        second = phase2(tmp_path, "rollout", "--version", version_of(serving))
    finally:
        first.terminate()
        first.wait(120)

    assert second.returncode == 1
    assert "is rolling out here" in second.stderr
    assert cluster.serving() == serving, "the first was told to stop, and left the old version"
    assert cluster.get("lease", LEASE) is None


def test_an_eviction_leaves_one_pod_serving(cluster: Cluster, rollcheck: str, houses: str, serving: str) -> None:
    first, second = sorted(pod_names(cluster))
    with asked(cluster, rollcheck, houses, rate=50) as watch:
        evict(cluster, first)
        with pytest.raises(ToolError, match="disruption budget"):
            evict(cluster, second)
        eventually(lambda: first not in pod_names(cluster) and ready(cluster) == 2, 60)
        evict(cluster, second)
        eventually(lambda: second not in pod_names(cluster) and ready(cluster) == 2, 60)
        report = watch.end()

    assert report.lost == 0, report.why_lost()


def evict(cluster: Cluster, name: str) -> None:
    path = f"/api/v1/namespaces/{cluster.namespace}/pods/{name}/eviction"
    metadata = {"name": name, "namespace": cluster.namespace}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    cluster.kubectl("create", f"--raw={path}", "--filename=-", stdin=json.dumps(body))


@pytest.mark.parametrize(("path", "why"), [("/exit", "Error"), ("/hog", "OOMKilled")])
def test_a_container_that_ends_is_started_again_and_the_others_answer_on(
    cluster: Cluster, good: tuple[str, str], rollcheck: str, houses: str, path: str, why: str
) -> None:
    put(cluster, faulty(cluster, good, "fragile"))
    # Each its own: what ends a second time waits longer for its next start.
    victim = sorted(pod_names(cluster))[0 if path == "/exit" else 1]
    ask_it = (
        f"import http.client as h; c = h.HTTPConnection('127.0.0.1', 5000); c.request('GET', '{path}'); c.getresponse()"
    )
    with asked(cluster, rollcheck, houses) as watch:
        with contextlib.suppress(ToolError):  # it ends before it answers
            cluster.kubectl("exec", victim, "--", "python", "-c", ask_it)
        back_s = eventually(lambda: restarted(cluster, victim) == why and ready(cluster) == 2, 30)
        time.sleep(2)
        report = watch.end()

    say(f"{why}: back after {back_s:.0f} s; {report.why_lost()}")
    # Half of the requests go to it until its Service knows that it is gone, which takes about a second, two at most.
    assert report.lost <= 2 * RATE / 2
    assert back_s < 10


def test_a_pod_killed_under_load_is_back_in_ten_seconds(
    cluster: Cluster, rollcheck: str, houses: str, serving: str
) -> None:
    victim = sorted(pod_names(cluster))[0]
    with asked(cluster, rollcheck, houses) as watch:
        cluster.kubectl("delete", "pod", victim, "--grace-period=0", "--force", "--wait=false")
        back_s = eventually(lambda: victim not in pod_names(cluster) and ready(cluster) == 2, 30)
        time.sleep(1)
        report = watch.end()

    say(f"a pod killed: two again after {back_s:.0f} s; {report.why_lost()}")
    assert report.lost <= RATE / 2 / 10, "more than half of the requests of a tenth of a second: what it had in flight"
    assert back_s < 10


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
    cluster: Cluster, good: tuple[str, str], rollcheck: str, houses: str, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(lambda: cluster.delete(f"horizontalpodautoscaler/{APP}"))
    put(cluster, good[0], None, "autoscale")
    eventually(lambda: ready(cluster) == 2, 120)
    # What a busy machine cannot ask is not asked, and what it asks has time: what is lost then, the service has lost.
    with asked(cluster, rollcheck, houses, rate=1000, patience_s=30) as watch:
        up_s = eventually(lambda: ready(cluster) > 2, 120)
        report = watch.end()
    autoscaler = f"horizontalpodautoscaler/{APP}"
    impatient = {"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}}}}  # instead of five minutes
    cluster.kubectl("patch", autoscaler, f"--patch={json.dumps(impatient)}")
    down_s = eventually(lambda: ready(cluster) == 2, 240)

    say(f"a third pod after {up_s:.0f} s, two again {down_s:.0f} s after the load; {report.why_lost()}")
    assert report.lost == 0, report.why_lost()


def test_a_pod_that_asks_for_more_is_refused_at_the_door(cluster: Cluster, serving: str) -> None:
    modest = {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }

    def create(wish: Any) -> None:
        spec = {"containers": [{"name": "greedy", "image": serving, "securityContext": modest | wish}]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "greedy"}, "spec": spec}
        cluster.kubectl("create", "--dry-run=server", "--filename=-", stdin=json.dumps(pod))

    create({})
    for wish in ({"runAsNonRoot": False}, {"runAsUser": 0}, {"allowPrivilegeEscalation": True}, {"capabilities": {}}):
        with pytest.raises(ToolError, match='violates PodSecurity "restricted'):
            create(wish)


def test_the_image_runs_as_any_user(cluster: Cluster, serving: str, rollcheck: str, houses: str) -> None:
    def another(deployment: Any) -> None:
        deployment["spec"]["template"]["spec"]["securityContext"] |= {"runAsUser": 54321, "runAsGroup": 54321}

    put(cluster, serving, another)
    with asked(cluster, rollcheck, houses, rate=20) as watch:
        time.sleep(3)
        report = watch.end()

    assert report.ok > 40
    assert report.lost == 0, report.why_lost()
