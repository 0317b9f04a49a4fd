"""Look at the learner's own running phase 2, and say a line for each thing whether it holds and what helps if not."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
from phase1_docker_api.course.check import (
    SEED_REQUEST,
    compared_with_offline,
    errors_explained,
    seed_answered,
    service_ready,
)
from phase1_docker_api.course.findings import Finding
from phase1_docker_api.errors import ArtifactError, CourseError
from phase1_docker_api.model.artifact import load_model
from phase1_docker_api.settings import load_settings
from pydantic import ValidationError

from phase2_k8s_cicd.cluster.cluster import Cluster, Object, current_cluster, image_of, version_of
from phase2_k8s_cicd.cluster.workload import HOUSE_PRICE_API
from phase2_k8s_cicd.errors import ToolError
from phase2_k8s_cicd.rollout.kubernetes import COMPONENT, is_rolled
from phase2_k8s_cicd.rollout.outcome import Outcome
from phase2_k8s_cicd.rollout.probe_pods import trouble_of
from phase2_k8s_cicd.rollout.processes import DRAIN_SECONDS, HEADER, HOST, REPLICAS, Local, answering, gateway_of
from phase2_k8s_cicd.rollout.reference_houses import SALES
from phase2_k8s_cicd.settings import Settings

APP = HOUSE_PRICE_API.name
UP, AGAIN = "make phase2-up", "make phase2-up   (it applies the manifests again)"
UP_PROCESS = "make phase2-up RUNTIME=process"
ANSWERS = ("seed request", "errors", "served is offline", "version")
OF_DEPLOYMENT = ("pods", "service", "stopping", "budget", "restricted", "last rollout", *ANSWERS, "metrics")
INFO = re.compile(r'^house_service_info\{version="([^"]+)"\} 1', re.MULTILINE)
PRICED = re.compile(r'^house_http_requests_total\{method="POST",path="/predict",status="200"\} (\S+)$', re.MULTILINE)
# Runs as root as far as it says: `restricted` refuses it, and `baseline` does not.
CARELESS_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "careless"},
    "spec": {"containers": [{"name": "careless", "image": "careless"}]},
}


def check_cluster(overlay: str, context: str | None, reports: Path) -> Iterator[Finding]:
    """Look at an overlay in the cluster that kubectl speaks to; one finding after the other."""
    try:
        cluster = current_cluster(overlay, context)
    except CourseError as error:
        hint = f"make cluster-up   (without a cluster: {UP_PROCESS})"
        yield Finding("cluster", False, _first_line(error), hint)
        yield from _not_looked_at("the cluster", ("deployment", *OF_DEPLOYMENT))
        return
    where = "on this machine" if cluster.is_local else "NOT on this machine"
    yield Finding("cluster", True, f"context {cluster.context} answers, {where}; namespace {cluster.namespace}")
    deployment = cluster.get("deployment", APP)
    if deployment is None:
        yield Finding("deployment", False, f"nothing is deployed in namespace {cluster.namespace}", UP)
        yield from _not_looked_at("the Deployment", OF_DEPLOYMENT)
        return
    version = version_of(image_of(deployment))
    yield all_pods_are_ready(deployment, version)
    yield pods_run_on(cluster.pods(f"{COMPONENT}=api"))
    yield service_finds_pods(cluster)
    yield pods_stop_gently(cluster, deployment)
    yield budget_lets_one_go(cluster.get("poddisruptionbudget", APP))
    yield careless_pods_are_refused(cluster)
    yield last_rollout(reports, version)
    yield from _answers_of_cluster(cluster, version)


def all_pods_are_ready(deployment: Object, version: str) -> Finding:
    """Whether the cluster has done all that the Deployment asks for."""
    status, wanted = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    seen = f"{version}, {status.get('readyReplicas', 0)} of {wanted} pods ready"
    if (behind := wanted - status.get("updatedReplicas", 0)) > 0:
        seen += f", {behind} not replaced yet"
    hint = "is a rollout or a lab under way?  make phase2-logs"
    return Finding("deployment", is_rolled(deployment), seen, hint)


def pods_run_on(found: list[Object]) -> Finding:
    """Whether no container had to be started again; None when one had to, but is ready by now."""
    for pod in found:
        name = pod["metadata"]["name"]
        for container in pod["status"].get("containerStatuses", []):
            if not (restarts := container["restartCount"]):
                continue
            ended = container.get("lastState", {}).get("terminated", {})
            seen = f"{name} was started again {restarts} ×, last after {ended.get('reason', 'an unknown end')}"
            hint = f"kubectl --namespace {pod['metadata']['namespace']} logs {name} --previous"
            return Finding("pods", None if container["ready"] else False, seen, hint)
        if trouble := trouble_of(pod):
            return Finding("pods", False, f"{name}: {trouble}", "make phase2-logs")
    return Finding("pods", True, f"{len(found)} pods, none was ever started again")


def service_finds_pods(cluster: Cluster) -> Finding:
    """Whether two pods at least stand behind the Service."""
    selector = f"--selector=kubernetes.io/service-name={APP}"
    slices = json.loads(cluster.kubectl("get", "endpointslices", selector, "--output=json"))["items"]
    ends = [end for each in slices for end in each.get("endpoints") or ()]
    ready = sum(bool(end["conditions"].get("ready")) for end in ends)
    hint = f"{AGAIN}; are the Service's selector and the pods' labels the same?"
    return Finding("service", ready >= 2, f"{ready} ready pods behind http://{APP}", hint)


def pods_stop_gently(cluster: Cluster, deployment: Object) -> Finding:
    """Whether a pod that is told to stop answers on for a while, and is gone before it is killed."""
    pod = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    settings = _settings_of(cluster, container)
    pre_stop = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    drain = float(settings.get("HOUSE_DRAIN_SECONDS", Settings.model_fields["drain_seconds"].default))
    grace = float(settings.get("HOUSE_GRACE_SECONDS", Settings.model_fields["grace_seconds"].default))
    killed = pod.get("terminationGracePeriodSeconds", 30)
    seen = f"{pre_stop} s preStop + {drain:g} s drain + {grace:g} s grace, killed after {killed} s"
    holds = bool(pre_stop and drain) and pre_stop + drain + grace < killed
    return Finding("stopping", holds, seen, f"the comment in k8s/base/deployment.yaml has the sum; then {AGAIN}")


def _settings_of(cluster: Cluster, container: Object) -> dict[str, str]:
    """What the container's environment says: its ConfigMaps, and its own variables, which win."""
    settings: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found = cluster.get("configmap", source["configMapRef"]["name"]) if "configMapRef" in source else None
        settings |= found.get("data", {}) if found else {}
    return settings | {each["name"]: each.get("value", "") for each in container.get("env", [])}


def budget_lets_one_go(budget: Object | None) -> Finding:
    """Whether a node can be emptied, and not all pods at once."""
    if budget is None:
        return Finding("budget", False, "there is no PodDisruptionBudget: all pods may be evicted at once", AGAIN)
    status = budget.get("status", {})
    allowed, pods = status.get("disruptionsAllowed", 0), status.get("expectedPods", 0)
    seen = f"{allowed} of {pods} pods may be evicted now"
    hint = "k8s/base/disruption-budget.yaml; 0 is right only while a pod is not ready"
    return Finding("budget", 1 <= allowed < pods, seen, hint)


def careless_pods_are_refused(cluster: Cluster) -> Finding:
    """Whether the namespace refuses a pod that says nothing about its rights; a dry run creates none."""
    hint = f"k8s/base/namespace.yaml has the labels that demand it; then {AGAIN}"
    try:
        cluster.kubectl("create", "--dry-run=server", "--filename=-", stdin=json.dumps(CARELESS_POD))
    except ToolError as error:
        refused = 'violates PodSecurity "restricted' in str(error)
        seen = "a pod that may run as root is refused" if refused else _first_line(error)
        return Finding("restricted", refused, seen, hint)
    return Finding("restricted", False, "a pod that may run as root would be let in", hint)


def last_rollout(reports: Path, version: str) -> Finding:
    """Whether the last outcome that was kept is a good one, and explains what serves."""
    kept = sorted(reports.glob("*.json"))
    if not kept:
        return Finding("last rollout", None, f"none is kept in {reports}", "make rollout VERSION=v2")
    try:
        outcome = Outcome.model_validate_json(kept[-1].read_text())
    except ValidationError:
        return Finding("last rollout", False, f"{kept[-1]} holds no outcome", f"rm {kept[-1]}")
    seen = f"{outcome.version} was {outcome.result}: {_first_line(outcome.reason)}"
    if outcome.result == "serving":
        seen = f"{outcome.version} came in: {_first_line(outcome.reason)}"
    serves = outcome.version if outcome.result in ("serving", "failed") else outcome.previous
    if serves != version:
        return Finding("last rollout", None, f"{version} came in otherwise; kept is: {seen}", f"less {kept[-1]}")
    return Finding("last rollout", outcome.result != "failed", seen, "make rollback")


def _answers_of_cluster(cluster: Cluster, version: str) -> Iterator[Finding]:
    """Ask one of the pods behind the Service, as a caller would."""
    untold = [*ANSWERS, "metrics"]
    try:
        with forwarded(cluster) as url, httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
            for finding in chain(_answers(client, version), map(counts_go_up, [client])):
                untold.remove(finding.name)
                hint = "make phase2-logs; or build it anew:  make rollout"
                yield replace(finding, hint=hint) if finding.holds is False else finding
    except (ToolError, httpx.TransportError) as error:
        yield Finding(untold[0], False, _first_line(error), "once more, when no rollout and no lab is under way")
        yield from _not_looked_at("an answer", untold[1:])


@contextmanager
def forwarded(cluster: Cluster) -> Iterator[str]:
    """Give the Service an address on this machine, for a while.

    Raises:
        ToolError: there is no pod behind it, or one may not.

    """
    command = cluster.command("port-forward", f"service/{APP}", f"--address={HOST}", ":80")
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:  # noqa: S603 - our own kubectl
        try:
            line = process.stdout.readline() if process.stdout else ""
            found = re.search(rf"{re.escape(HOST)}:\d+", line)
            if found is None:
                raise ToolError(process.stderr.read().strip() if process.stderr else "it said nothing")
            yield f"http://{found[0]}"
        finally:
            process.terminate()


def check_processes(local: Local, reports: Path) -> Iterator[Finding]:
    """Look at the gateway and the two replicas that run as processes; one finding after the other."""
    url = f"http://{HOST}:{local.gateway_port}"
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        gateway = replace(service_ready(client), name="gateway")
        yield gateway if gateway.holds else replace(gateway, hint=UP_PROCESS)
        if not gateway.holds:
            yield from _not_looked_at(
                "the gateway", ("replicas", "both are asked", "stopping", *ANSWERS, "last rollout")
            )
            return
        version = client.get("/readyz").headers.get(HEADER, "")
        yield both_replicas_are(local, version)
        yield both_are_asked(local, client)
        yield replicas_stop_gently(local)
        for finding in _answers(client, version):
            yield replace(
                finding, hint=finding.hint.replace("make phase1-down phase1-up", "make phase2-down phase2-up")
            )
    yield last_rollout(reports, version)


def both_replicas_are(local: Local, version: str) -> Finding:
    """Whether both replicas are ready, with one version."""
    ready = {name: answering(f"http://{HOST}:{local.port_of(name)}") for name in REPLICAS}
    seen = ", ".join(f"{name} {found or 'does not answer'}" for name, found in ready.items())
    hint = "make phase2-logs" if None in ready.values() else "make rollout RUNTIME=process"
    return Finding("replicas", set(ready.values()) == {version}, seen, hint)


def both_are_asked(local: Local, client: httpx.Client) -> Finding:
    """Whether the gateway shares requests out, as each replica's own count says."""
    before = {name: _priced_by(local, name) for name in REPLICAS}
    for _ in range(10):
        client.post("/predict", json=SEED_REQUEST)
    shares = {name: _priced_by(local, name) - before[name] for name in REPLICAS}
    seen = "of 10 requests " + ", ".join(f"{name} answered {share:.0f}" for name, share in shares.items())
    return Finding("both are asked", all(shares.values()), seen, "make phase2-logs; is each replica ready?")


def replicas_stop_gently(local: Local) -> Finding:
    """Whether a replica that is told to stop answers on until the gateway has noticed."""
    try:
        notices = gateway_of(local).notices_after_s()
    except (OSError, ValueError, KeyError) as error:
        return Finding("stopping", False, f"the gateway has no health check: {error!r}", UP_PROCESS)
    seen = f"a replica answers on for {DRAIN_SECONDS} s; the gateway has noticed after {notices:g} s"
    return Finding("stopping", float(DRAIN_SECONDS) > notices, seen, "DRAIN_SECONDS in processes.py")


def _answers(client: httpx.Client, version: str) -> Iterator[Finding]:
    """Ask as a caller does, and compare with what the model says and with what the metrics count."""
    yield seed_answered(client)
    yield errors_explained(client)
    yield served_is_offline(client, load_settings(Settings).model_path)
    header = client.get("/readyz").headers.get(HEADER)
    metrics = client.get("/metrics").text
    shown = INFO.search(metrics)
    places = {"the header": header, "the metrics": shown and shown[1]}
    seen = f"{version}; " + ", ".join(f"{place} says {found or 'nothing'}" for place, found in places.items())
    yield Finding("version", set(places.values()) == {version}, seen, "make phase1-down phase1-up")


def served_is_offline(client: httpx.Client, model_path: Path) -> Finding:
    """Whether 200 houses get the same answer without the service; None when its model is not the one here."""
    name, hint = "served is offline", ".venv/bin/phase1 train --until 2011-12-31   (an image has that model)"
    try:
        here = load_model(model_path).card.model_version
    except ArtifactError as error:
        return Finding(name, None, _first_line(error), hint)
    served = client.get("/readyz").json()["model_version"]
    if served != here:
        return Finding(name, None, f"not compared: the service has {served}, {model_path} is {here}", hint)
    return next(compared_with_offline(client, model_path, SALES))


def counts_go_up(client: httpx.Client) -> Finding:
    """Whether the metrics of the one pod that is asked count each price."""
    before = _priced(client.get("/metrics").text)
    for _ in range(5):
        client.post("/predict", json=SEED_REQUEST)
    after = _priced(client.get("/metrics").text)
    seen = f"{after:.0f} prices counted, {after - before:.0f} of them just now"
    return Finding("metrics", after > before, seen, "git diff phase2_k8s_cicd/src   (what did you change?)")


def _priced_by(local: Local, replica: str) -> float:
    try:
        return _priced(httpx.get(f"http://{HOST}:{local.port_of(replica)}/metrics", trust_env=False).text)
    except httpx.TransportError:
        return 0


def _priced(metrics: str) -> float:
    found = PRICED.search(metrics)
    return float(found[1]) if found else 0


def _not_looked_at(needs: str, names: Iterable[str]) -> Iterator[Finding]:
    return (Finding(name, None, f"not looked at: it needs {needs}") for name in names)


def _first_line(words: object) -> str:
    lines = str(words).strip().splitlines() or ["no word"]
    return lines[0][:160]
