"""Room: policy. What lets a version in, what keeps it out, and what brings the old one back; no cluster is needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from phase2_k8s_cicd.asking import OfVersion, Question, Report, report_in
from phase2_k8s_cicd.cluster import Cluster
from phase2_k8s_cicd.deploy import attempt
from phase2_k8s_cicd.errors import ClusterError, Phase2Error, RolloutError, ToolError
from phase2_k8s_cicd.images import build_service, way_to
from phase2_k8s_cicd.kubernetes import is_rolled
from phase2_k8s_cicd.rollout import Plan, Rollout, Say

PLAN = Plan()


def report(lost: int = 0, p50_ms: float = 3, p99_ms: float = 10, **last_s: float) -> Report:
    """A report on 12 seconds, with the second of each version's last answer."""
    versions = {
        name: OfVersion(ok=100, p50_ms=p50_ms, p99_ms=p99_ms, first_s=0, last_s=last) for name, last in last_s.items()
    }
    return Report(
        url="http://house",
        started_at="2026-01-01T00:00:00Z",
        seconds=12,
        requests=200,
        ok=200 - lost,
        lost=lost,
        p50_ms=p50_ms,
        p99_ms=p99_ms,
        max_ms=p99_ms,
        versions=versions,
        lost_by_kind={"reset": lost} if lost else {},
        losses=[{"detail": "connection reset by peer"}] if lost else [],
    )


@dataclasses.dataclass
class Place:
    """Where versions run, by script: what is found about new, old and the watch, and which step fails."""

    previous: str | None = "v1"
    new: Report = dataclasses.field(default_factory=report)
    old: Report = dataclasses.field(default_factory=report)
    watched: Report = dataclasses.field(default_factory=lambda: report(v1=8, v2=12))
    fails: BaseException | None = None
    url: str = "http://house"
    done: list[str] = dataclasses.field(default_factory=list)

    @contextmanager
    def candidate(self, timeout_s: float) -> Iterator[str]:
        self.done.append("candidate")
        yield "http://candidate"
        self.done.append("candidate gone")

    def ask(self, questions: Mapping[str, Question]) -> dict[str, Report]:
        return {name: {"new": self.new, "old": self.old}[name] for name in questions}

    @contextmanager
    def watching(self, question: Question, say: Say) -> Iterator[Place]:
        yield self

    def end(self) -> Report:
        return self.watched

    def replace(self, timeout_s: float) -> None:
        self.done.append("replaced")
        if self.fails:
            raise self.fails

    def undo(self, timeout_s: float) -> None:
        self.done.append("undone")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phase2_k8s_cicd.rollout.time.sleep", lambda _: None)


def run(place: Place) -> str:
    return Rollout(place, "v2", PLAN, print).run("[]", "[]")


def test_a_good_version_replaces_the_old_one_once_its_candidate_is_gone() -> None:
    place = Place()

    assert "asked 200 times meanwhile, 0 lost" in run(place)
    assert place.done == ["candidate", "candidate gone", "replaced"]


def test_the_first_version_of_all_needs_nothing_to_compare_with() -> None:
    place = Place(previous=None)

    assert run(place) == "nothing was there before"
    assert place.done[-1] == "replaced"


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (report(lost=1), "1 of 200 answers were lost: 1 reset .the first: connection reset by peer"),
        (report(p50_ms=11.1), "too slow: half of its answers take 11.1 ms or more, the old version 3.0 ms"),
        (report(p99_ms=80.1), "too slow: one answer in a hundred takes 80.1 ms or more"),
    ],
)
def test_a_bad_candidate_is_refused_and_the_old_version_is_not_touched(new: Report, why: str) -> None:
    place = Place(new=new)

    with pytest.raises(RolloutError, match=why):
        run(place)
    assert place.done == ["candidate", "candidate gone"]


def test_a_candidate_within_what_is_tolerated_comes_in() -> None:
    run(Place(new=report(p50_ms=10.9, p99_ms=79.9)))


@pytest.mark.parametrize(
    ("watched", "why"),
    [
        (report(lost=3, v1=8, v2=12), "while v2 came in, 3 of 200"),
        (report(v1=12), "v2 never answered"),
        (report(v1=11.5, v2=12), "v1 still answers"),
    ],
)
def test_what_goes_wrong_while_pods_are_replaced_brings_the_old_version_back(watched: Report, why: str) -> None:
    place = Place(watched=watched)

    with pytest.raises(RolloutError, match=why):
        run(place)
    assert place.done[-2:] == ["replaced", "undone"]


@pytest.mark.parametrize("error", [RolloutError("not ready"), ToolError("kubectl is gone"), KeyboardInterrupt()])
def test_an_update_that_fails_or_is_told_to_stop_is_undone_and_put_down_as_such(error: BaseException) -> None:
    place = Place(fails=error)

    outcome = attempt(Rollout(place, "v2", PLAN, print), "[]", "[]", "ada")

    assert place.done[-1] == "undone"
    assert (outcome.result, outcome.version, outcome.previous, outcome.by) == ("undone", "v2", "v1", "ada")
    assert outcome.reason == (str(error) or "it was told to stop")


def test_a_rollcheck_that_ends_without_a_report_is_an_error_with_its_words() -> None:
    with pytest.raises(ToolError, match="no such host"):
        report_in("rollcheck: no such host\n")


def local(context: str, server: str = "https://10.0.0.1:6443") -> bool:
    return Cluster(context, server, "local").is_local


def test_only_a_cluster_of_this_machine_is_changed_without_a_question() -> None:
    assert local("kind-house")
    assert local("anything", "https://127.0.0.1:6443")
    assert local("anything", "https://[::1]:6443")
    assert not local("arn:aws:eks:eu-west-1:123456789012:cluster/house")
    assert not local("kinder-garden")
    assert not local("prod", "https://127.0.0.1.example.com:6443")


def test_each_kind_of_cluster_gets_its_images_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cluster, "images", lambda _: {"docker.io/library/old:v1"})

    def way(context: str, image: str = "new:v1", **environ: str) -> list[str] | None:
        return way_to(image, Cluster(context, "https://10.0.0.1", "local"), environ)

    assert way("kind-house") == ["kind", "load", "docker-image", "new:v1", "--name=house"]
    assert way("kind-house", "old:v1") is None
    assert way("minikube") == ["minikube", "image", "load", "new:v1"]
    assert way("docker-desktop") is None
    assert way("eks", LOAD_IMAGE="my loader --fast") == ["my", "loader", "--fast", "new:v1"]
    assert way("eks", "host/new:v1", REGISTRY="host") == ["docker", "push", "--quiet", "host/new:v1"]
    with pytest.raises(ClusterError, match="REGISTRY=host/name"):
        way("eks")


@pytest.mark.parametrize("version", ["latest", "", "-v1", "a b", "v" * 64, "v1;rm"])
def test_a_version_that_cannot_be_an_immutable_tag_is_refused_before_anything_is_built(version: str) -> None:
    with pytest.raises(Phase2Error, match="VERSION="):
        build_service(version, "", print)


def test_a_deployment_has_rolled_only_when_all_its_pods_are_new_ready_and_alone() -> None:
    all_new = {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}

    def rolled(observed: int = 4, **status: int) -> bool:
        status = all_new | {"observedGeneration": observed} | status
        return is_rolled({"metadata": {"generation": 4}, "spec": {"replicas": 2}, "status": status})

    assert rolled()
    assert not rolled(observed=3)
    assert not rolled(replicas=3)
    assert not rolled(updatedReplicas=1)
    assert not rolled(availableReplicas=1)
