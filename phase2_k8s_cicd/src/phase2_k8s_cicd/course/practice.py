"""The twelve exercises: on manifests, metrics and rollouts here, rollcheck's own in Go, on a script and on delivery."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import httpx
from phase1_docker_api.course.practice import DONE, Exercise
from phase1_docker_api.service.logs import configure_logging

from phase2_k8s_cicd.cluster.cluster import render
from phase2_k8s_cicd.cluster.workload import HOUSE_PRICE_API
from phase2_k8s_cicd.course.practice_delivery import EXERCISES as ON_DELIVERY
from phase2_k8s_cicd.course.practice_script import EXERCISES as ON_BASH
from phase2_k8s_cicd.errors import RolloutError, ToolError
from phase2_k8s_cicd.rollout.limits import Plan
from phase2_k8s_cicd.rollout.probe import Question, Report, Watch
from phase2_k8s_cicd.rollout.rollout import Rollout
from phase2_k8s_cicd.tools import Say, run

IMAGE = "house-price-service:exercise"
LOAD_BALANCER_SECONDS = 10


def three_pods_here(url: str) -> str:
    """The local overlay, and no other, asks for three pods; one may be evicted at a time, a candidate is still one."""
    here, dev = _number("local", "Deployment", "replicas"), _number("dev", "Deployment", "replicas")
    if here != 3:
        return f"OVERLAY=local asks for {here or 'no number of'} pods"
    if dev != 2:
        return f"OVERLAY=dev asks for {dev} pods now: state the difference in the overlay, not in the base"
    if (candidates := _number("local", "Deployment", "replicas", "candidate")) != 1:
        return f"a candidate would be {candidates} pods"
    least, most = (_number("local", "PodDisruptionBudget", name) for name in ("minAvailable", "maxUnavailable"))
    if (may_go := 3 - least if least else most) != 1:
        return f"the budget lets {may_go} of three pods go at a time, not one"
    return DONE


def readiness_is_a_metric(url: str) -> str:
    """The gauge house_ready is 1, and 0 once the service has been told to stop."""
    from phase2_k8s_cicd.service.app import create_app

    configure_logging("error")
    app = create_app()
    for ready in (True, False, True):
        app.state.service.ready = ready
        shown = re.search(r"^house_ready (\S+)$", asyncio.run(_metrics_of(app)), re.MULTILINE)
        if shown is None:
            return "GET /metrics shows no house_ready without labels"
        if float(shown[1]) != ready:
            return f"house_ready is {shown[1]} while the service {'is ready' if ready else 'is told to stop'}"
    return DONE


def production_drains_longer(url: str) -> str:
    """In production a pod answers on for twelve seconds at least, and still has time to end before it is killed."""
    pre_stop = _number("prod", "Deployment", "seconds")
    drain, grace = (_number("prod", "ConfigMap", name) for name in ("HOUSE_DRAIN_SECONDS", "HOUSE_GRACE_SECONDS"))
    killed = _number("prod", "Deployment", "terminationGracePeriodSeconds")
    if drain < LOAD_BALANCER_SECONDS + 2:
        return f"HOUSE_DRAIN_SECONDS is {drain}; the load balancer needs {LOAD_BALANCER_SECONDS}, and 2 to spare"
    if grace < 15 or pre_stop < 2:
        return f"you took it from preStop ({pre_stop}) or the grace ({grace}), which are needed for something else"
    if pre_stop + drain + grace + 5 > killed:
        return f"a pod is killed after {killed} s, in the middle of {pre_stop} + {drain} + {grace} s, or hardly later"
    if _number("dev", "ConfigMap", "HOUSE_DRAIN_SECONDS") != 3:
        return "the other overlays drain longer too: state the difference in production's"
    return DONE


def a_rollout_keeps_a_promise(url: str) -> str:
    """ROLLOUT_P99_LIMIT_MS refuses a candidate that is slower than it, however slow the old version is."""
    if "p99_limit_ms" not in Plan.model_fields:
        return "Plan has no field p99_limit_ms yet"
    for limit, refused in ((None, False), (200, False), (100, True)):
        plan = Plan() if limit is None else Plan.model_validate({"p99_limit_ms": limit})
        try:
            Rollout(Slow(150), "v2", plan, lambda _: None).run("[]", "[]")
            was_refused = False
        except ReplacedError:
            was_refused = False
        except RolloutError:
            was_refused = True
        if was_refused != refused:
            said = "no limit" if limit is None else f"a limit of {limit} ms"
            return f"with {said}, a p99 of 150 ms (the old version's too) is {'refused' if was_refused else 'let in'}"
    return DONE


class ReplacedError(Exception):
    """A candidate was let in."""


class Slow:
    """A place whose versions, old and new, have this p99."""

    url = "http://slow"
    previous: str | None = "v1"
    answering = frozenset({"v1"})

    def __init__(self, p99_ms: float) -> None:
        self._report = Report(
            url=self.url,
            started_at="",
            seconds=1,
            requests=200,
            ok=200,
            lost=0,
            p50_ms=5,
            p99_ms=p99_ms,
            max_ms=p99_ms,
            versions={},
            lost_by_kind={},
            losses=[],
        )

    def candidate(self, timeout_s: float) -> AbstractContextManager[str]:
        """Start at once."""
        return nullcontext(self.url)

    def ask(self, questions: Mapping[str, Question]) -> dict[str, Report]:
        """Answer each with the same report."""
        return dict.fromkeys(questions, self._report)

    @contextmanager
    def watching(self, question: Question, say: Say) -> Iterator[Watch]:
        """Ask nothing."""
        yield self

    def end(self) -> Report:
        """Give the report."""
        return self._report

    def replace(self, timeout_s: float) -> None:
        """Say that it came so far."""
        raise ReplacedError

    def undo(self, timeout_s: float) -> None:
        """Nothing was done."""


def rollcheck_can(number: int, url: str) -> str:
    """The tests behind rollcheck's build tag of that number pass."""
    test = ["go", "test", "-C", "phase2_k8s_cicd/rollcheck", "-tags", f"exercise{number}"]
    try:
        run([*test, "-run", f"TestExercise{number}", "."])
    except ToolError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise
        return f"its tests do not pass yet: cd phase2_k8s_cicd/rollcheck && go test -tags exercise{number} ."
    return DONE


def _number(overlay: str, kind: str, name: str, *components: str) -> int:
    """The first number of this name in the overlay's object of this kind; 0 when there is none."""
    for text in render(overlay, IMAGE, *components).split("\n---\n"):
        if re.search(rf"^kind: {kind}$", text, re.MULTILINE):
            found = re.search(rf'^\s+{name}: "?(\d+)"?$', text, re.MULTILINE)
            return int(found[1]) if found else 0
    return 0


async def _metrics_of(app: Callable[..., object]) -> str:
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # FastAPI's is a little wider
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        return (await client.get("/metrics")).text


def _in_go(number: int, title: str, where: str, what: str) -> Exercise:
    lesson = "phase2_k8s_cicd/rollcheck/README.md"
    return Exercise(f"rollcheck: {title}", lesson, partial(rollcheck_can, number), (where, what))


EXERCISES = {
    1: Exercise(
        f"three pods in namespace {HOUSE_PRICE_API.namespaces['local']}, and nowhere else",
        "k8s",
        three_pods_here,
        (
            "An overlay states only how it differs from the base; kustomize has a field for numbers of pods. "
            "Look at the result with: kubectl kustomize phase2_k8s_cicd/k8s/overlays/local. Does the budget still fit?",
            "In k8s/overlays/local/kustomization.yaml add replicas: with one entry, {name: house-price-api, count: 3}. "
            "The budget says maxUnavailable: 1, which fits any number of pods; minAvailable: 1 would now let two go.",
        ),
    ),
    2: Exercise(
        "a gauge house_ready, 0 while a pod drains",
        "metrics",
        readiness_is_a_metric,
        (
            "Most of what Prometheus reads is counted when it happens; a gauge may also be asked when it is read. Who "
            "knows whether the service is ready? app.state.service, which phase 1's create_app makes.",
            'In create_app, when app is there: Gauge("house_ready", "1 while it takes requests, 0 while it drains.", '
            "registry=metrics.registry).set_function(lambda: app.state.service.ready), from prometheus_client.",
        ),
    ),
    3: Exercise(
        f"production drains long enough for a load balancer that takes {LOAD_BALANCER_SECONDS} s to notice",
        "drain",
        production_drains_longer,
        (
            "Three numbers must fit into a fourth: k8s/base/deployment.yaml has the sum in a comment. Production's "
            "overlay may change a setting as dev does with HOUSE_LOG_LEVEL, and a field as three-zones.yaml does.",
            "In k8s/overlays/prod/kustomization.yaml add a configMapGenerator with behavior: merge and "
            "HOUSE_DRAIN_SECONDS=12, and a patch of the Deployment: spec.template.spec.terminationGracePeriodSeconds "
            "is 2 + 12 + 15 and 10 to spare. make test then sums them up too.",
        ),
    ),
    4: Exercise(
        "ROLLOUT_P99_LIMIT_MS refuses what is too slow, however slow the old version is",
        "rollout",
        a_rollout_keeps_a_promise,
        (
            "A rollout that compares only with the version before lets the service become a little slower every time. "
            "A Plan's fields come from the environment; too_slow in limits.py is where candidates are timed.",
            "Give Plan p99_limit_ms: float | None = Field(None, gt=0, description=…). At the end of too_slow: if "
            "plan.p99_limit_ms is not None and new.p99_ms is above it, append a line with both numbers to broken.",
        ),
    ),
    5: _in_go(
        1,
        "-header",
        "newFlagSet in options.go defines the flags; price in prober.go sets a header already.",
        "flags.Func(name, usage, func(string) error) calls a function each time. Collect into an http.Header in "
        "options, hand it to the prober in newProber, and maps.Copy it into request.Header.",
    ),
    6: _in_go(
        2,
        "redirects have a kind of their own",
        "judge in prober.go decides by the status; the kinds stand in answer.go.",
        'The address is in response.Header.Get("Location"). What has one and a status of 300 to 399 is a redirect. '
        "Then change the row of the table in TestEachLossHasItsKind.",
    ),
    7: _in_go(
        3,
        "-histogram",
        "latencies in latency.go knows all counts, in buckets of 1 %; watch in main.go prints the summary.",
        "Walk through l.buckets, and while upperEnd(i) is above the bound, double it and append a 0 to the counts. "
        'A bar is strings.Repeat("█", (40*n+most-1)/most), which rounds up.',
    ),
    8: _in_go(
        4,
        "-ramp",
        "The line in askOnSchedule that says when request i is due.",
        "The requests so far are the area under the rate: i = rate·t²/(2·ramp) while it climbs. Solve for t. "
        "Afterwards the schedule is half a ramp late.",
    ),
    **ON_BASH,
    **ON_DELIVERY,
}
