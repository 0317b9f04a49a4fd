"""Room: policy. What lets a version in, what keeps it out, and what brings the old one back; no cluster is needed."""

from __future__ import annotations

import fcntl
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from phase1_docker_api.errors import CourseError
from phase2_k8s_cicd.cli import _say
from phase2_k8s_cicd.cluster.cluster import Cluster
from phase2_k8s_cicd.cluster.images import build_service, way_to
from phase2_k8s_cicd.errors import ClusterError, RolloutError, ToolError
from phase2_k8s_cicd.rollout.deploy import attempt, deploy_processes, version_here
from phase2_k8s_cicd.rollout.kubernetes import APPLIED, Kubernetes, _hopeless, is_rolled
from phase2_k8s_cicd.rollout.probe import Question, Report, report_in
from phase2_k8s_cicd.rollout.rollout import Plan, Rollout
from phase2_k8s_cicd.rollout.way_back import WayBack, previous_revision
from phase2_k8s_cicd.settings import ImageSettings
from phase2_k8s_cicd.testing import STOPS, ToyPlace, report
from phase2_k8s_cicd.tools import run as run_tool

PLAN = Plan()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phase2_k8s_cicd.rollout.rollout.time.sleep", lambda _: None)


def run(place: ToyPlace) -> str:
    return Rollout(place, "v2", PLAN, print).run("[]", "[]")


def test_a_good_version_replaces_the_old_one_once_its_candidate_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    place = ToyPlace()
    monkeypatch.setattr(
        "phase2_k8s_cicd.rollout.rollout.time.sleep", lambda seconds: place.done.append(f"wait {seconds:g} s")
    )

    assert "asked 200 times meanwhile, 0 lost" in run(place)
    assert place.done == ["candidate", "candidate gone", "replaced", "wait 8 s"]


def test_a_candidate_must_give_its_own_prices_and_callers_may_meet_every_version_that_was_there() -> None:
    place = ToyPlace(answering=frozenset({"v1", "v0"}))

    Rollout(place, "v2", PLAN, print).run("houses", "prices")

    assert place.asked == {
        "new": Question("http://candidate", 25, 8, "prices", ["v2"]),
        "old": Question("http://house", 25, 8, "houses", ["v0", "v1"]),
        "watch": Question("http://house", 50, 0, "houses", ["v0", "v1", "v2"]),
    }


def test_the_first_version_of_all_needs_nothing_to_compare_with() -> None:
    place = ToyPlace(previous=None)

    assert run(place) == "nothing answered before"
    assert place.done[-1] == "replaced"
    assert set(place.asked) == {"new"}


@pytest.mark.parametrize("slow", [report(p50_ms=32.1), report(p99_ms=350.1)])
def test_the_first_version_of_all_must_not_be_slow_either(slow: Report) -> None:
    with pytest.raises(RolloutError, match=r"too slow.*, expected are 10+\.0 ms"):
        run(ToyPlace(previous=None, new=slow))


def test_a_first_version_that_does_not_come_up_is_taken_away_again() -> None:
    place = ToyPlace(previous=None, fails=RolloutError("not ready"))

    with pytest.raises(RolloutError, match="not ready"):
        run(place)
    assert place.done[-2:] == ["replaced", "undone"]


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (report(lost=1), "1 of 200 answers were lost: 1 reset .the first: connection reset by peer"),
        (report(p50_ms=11.1), "too slow: half of its answers take 11.1 ms or more, the old version 3.0 ms"),
        (report(p99_ms=80.1), "too slow: one answer in a hundred takes 80.1 ms or more"),
    ],
)
def test_a_bad_candidate_is_refused_and_the_old_version_is_not_touched(new: Report, why: str) -> None:
    place = ToyPlace(new=new)

    with pytest.raises(RolloutError, match=why):
        run(place)
    assert place.done == ["candidate", "candidate gone"]


def test_a_candidate_within_what_is_tolerated_comes_in() -> None:
    run(ToyPlace(new=report(p50_ms=10.9, p99_ms=79.9)))


@pytest.mark.parametrize(
    ("watched", "why"),
    [
        (report(lost=1, v1=8, v2=12), "while v2 came in, 1 of 200"),
        (report(v1=12), "v2 never answered"),
        (report(v1=11.5, v2=12), "v1 still answers"),
        (report(v0=11.5, v1=8, v2=12), "v0 still answers"),
    ],
)
def test_what_goes_wrong_while_pods_are_replaced_brings_the_old_version_back(watched: Report, why: str) -> None:
    place = ToyPlace(watched=watched, answering=frozenset({"v0", "v1"}))  # one was killed half way

    with pytest.raises(RolloutError, match=why):
        run(place)
    assert place.done[-2:] == ["replaced", "undone"]


@pytest.mark.parametrize("error", [RolloutError("not ready"), ToolError("kubectl is gone"), KeyboardInterrupt()])
def test_an_update_that_fails_or_is_told_to_stop_is_undone_and_put_down_as_such(error: BaseException) -> None:
    place = ToyPlace(fails=error)

    outcome = attempt(Rollout(place, "v2", PLAN, print), "[]", "[]", "ada")

    assert place.done[-1] == "undone"
    assert (outcome.result, outcome.version, outcome.previous, outcome.by) == ("undone", "v2", "v1", "ada")
    assert outcome.reason == (str(error) or "it was told to stop")


def test_a_version_that_came_and_one_that_was_refused_are_put_down_as_such() -> None:
    came, refused = (
        attempt(Rollout(place, "v2", PLAN, print), "[]", "[]", "ada")
        for place in (ToyPlace(), ToyPlace(new=report(lost=1)))
    )

    assert (came.result, refused.result) == ("serving", "refused")
    assert came.seconds < 60


def test_a_version_that_serves_already_may_come_once_more() -> None:
    assert "asked 200 times" in run(ToyPlace(previous="v2", answering=frozenset({"v2"}), watched=report(v2=12)))


def test_a_way_back_that_fails_too_does_not_hide_why_it_was_begun() -> None:
    place = ToyPlace(fails=RolloutError("not ready"), undo_fails=ToolError("the API server is gone"))

    outcome = attempt(Rollout(place, "v2", PLAN, print), "[]", "[]", "ada")

    assert outcome.result == "failed"
    assert outcome.reason == "not ready\nand the way back failed: the API server is gone"


def test_the_way_back_has_time_of_its_own_and_is_ignored_what_tells_it_to_stop() -> None:
    place = ToyPlace(fails=RolloutError("not ready"))
    heard = [signal.getsignal(number) for number in STOPS]

    with pytest.raises(RolloutError):
        Rollout(place, "v2", Plan(update_seconds=10), print).run("[]", "[]")
    assert place.undo_timeout_s >= PLAN.update_seconds
    assert place.ignored == STOPS
    assert [signal.getsignal(number) for number in STOPS] == heard, "and it hears again"


def test_a_terminal_that_was_closed_does_not_keep_the_old_version_from_coming_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def closed(*_: object, **__: object) -> None:
        raise OSError("Input/output error")

    monkeypatch.setattr("phase2_k8s_cicd.cli.click.echo", closed)
    place = ToyPlace(fails=KeyboardInterrupt())

    attempt(Rollout(place, "v2", PLAN, _say), "[]", "[]", "ada")

    assert place.done[-1] == "undone"


def test_what_callers_saw_is_kept_when_an_update_fails() -> None:
    outcome = attempt(Rollout(ToyPlace(fails=RolloutError("not ready")), "v2", PLAN, print), "[]", "[]", "ada")

    assert outcome.watch == report(v1=8, v2=12)
    assert outcome.candidate == {"new": report(), "old": report()}


def test_an_old_version_that_does_not_answer_at_all_is_replaced_by_one_that_does() -> None:
    dead = report(lost=200, p50_ms=0, p99_ms=0)
    place = ToyPlace(old=dead, watched=dead)

    assert "v1 neither" in run(place)
    assert place.done[-1] == "replaced"


def test_what_an_old_version_loses_does_not_keep_out_its_cure() -> None:
    place = ToyPlace(old=report(lost=20), watched=report(lost=9, v1=8, v2=12))

    assert "9 lost, as v1 did" in run(place)
    assert place.asked["alone"] == Question("http://house", 25, 8, "[]", ["v2"])


@pytest.mark.parametrize(
    ("old_lost", "lost", "alone_lost", "why"),
    [(20, 0, 1, "v2 alone does not answer as it should: 1 of 200"), (1, 4, 0, "while v2 came in, 4 of 200")],
)
def test_a_new_version_that_loses_alone_or_far_more_than_the_old_one_did_is_undone(
    old_lost: int, lost: int, alone_lost: int, why: str
) -> None:
    place = ToyPlace(old=report(lost=old_lost), watched=report(lost=lost, v1=8, v2=12), alone=report(lost=alone_lost))

    with pytest.raises(RolloutError, match=why):
        run(place)
    assert place.done[-1] == "undone"


def revision(number: int, tag: str, served: str, replicas: int = 0) -> dict[str, Any]:
    annotations = {"deployment.kubernetes.io/revision": str(number), "house-price/served": served}
    containers = [{"image": f"house:{tag}"}]
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), replicas)
    return {
        "metadata": {"name": f"rs-{number}", "labels": {}, "annotations": annotations, "generation": 1},
        "spec": {
            "replicas": replicas,
            "template": {"metadata": {"labels": {"pod-template-hash": "1"}}, "spec": {"containers": containers}},
        },
        "status": counts | {"observedGeneration": 1},
    }


def test_a_rollback_leads_to_what_has_served_and_not_to_what_was_undone() -> None:
    failed = revision(3, "v3", served="v2")  # it only inherits the mark of the version before
    revisions = [revision(1, "v1", "v1"), revision(4, "v2", "v2"), failed]

    before = previous_revision(revisions, "house:v2")

    assert before is not None
    assert before["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert previous_revision([revision(4, "v2", "v2"), failed], "house:v2") is None
    newest = revision(10, "v0", "v0")
    assert previous_revision([revision(9, "v1", "v1"), newest], "house:v2") == newest, "by number, not as text"


class Told(Cluster):
    """A cluster that writes down what it is told; v2 serves there as revision 4, and all is as it was told to be."""

    def __init__(self) -> None:
        super().__init__("told", "https://127.0.0.1", "local")
        object.__setattr__(self, "told", [])
        object.__setattr__(self, "answers", iter(()))
        object.__setattr__(self, "autoscaler", None)
        object.__setattr__(self, "applied", None)

    told: list[str]
    answers: Iterator[bool]  # whether the API server does; later it always does
    autoscaler: dict[str, Any] | None
    applied: str | None  # how the Deployment was applied last

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout_s: float = 120) -> str:
        self.told.append(f"{' '.join(arguments)} {stdin or ''}".strip())
        if arguments[0] == "get" and not next(self.answers, True):
            raise ToolError("the API server is away")
        match arguments[:2]:
            case "create", "--dry-run=client":
                return "namespace/told\ndeployment.apps/house-price-api\nservice/house\nquota.example.com/house\n"
            case "get", "--ignore-not-found":
                applied = {APPLIED: '{"kind": "HorizontalPodAutoscaler"}' if self.autoscaler else '{"kind": "Service"}'}
                there = [
                    ("apps/v1", "Deployment", "house-price-api"),
                    ("v1", "Service", "house"),
                ]
                items = [
                    {"apiVersion": of, "kind": kind, "metadata": {"name": name, "annotations": applied}}
                    for of, kind, name in there
                ]
                return json.dumps({"items": items})
            case "get", "deployment":
                deployment = revision(4, "v2", "v2", replicas=2)
                deployment["metadata"]["annotations"] |= {APPLIED: self.applied} if self.applied else {}
                return json.dumps(deployment)
            case "get", "horizontalpodautoscaler":
                return json.dumps(self.autoscaler) if self.autoscaler else ""
            case "get", "replicasets":
                old, gone = revision(1, "v1", "v1", replicas=1), revision(3, "v3", "v2")
                return json.dumps({"items": [old, revision(4, "v2", "v2", replicas=1), gone]})
            case "get", "pods":
                return '{"items": []}'
        return ""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    monkeypatch.setattr("phase2_k8s_cicd.rollout.kubernetes.render", lambda *_, workload: "manifests")
    return Told()


def test_the_way_back_makes_all_as_it_was_and_takes_away_what_came(told: Told) -> None:
    place = Kubernetes(told, "house:v3", "rollcheck")
    place.replace(1)
    object.__setattr__(told, "answers", iter([False]))
    told.told.clear()

    place.undo(1)

    was = revision(4, "v2", "v2", replicas=2)
    patched = [told for told in told.told if told.startswith("patch deployment/house-price-api ")]
    assert [json.loads(each.partition("--patch=")[2]) for each in patched] == [
        [
            {"op": "replace", "path": "/spec", "value": was["spec"]},
            {"op": "replace", "path": "/metadata/labels", "value": {}},
            {"op": "replace", "path": "/metadata/annotations", "value": was["metadata"]["annotations"]},
        ]
    ]
    assert place.answering == {"v1", "v2"}, "a rollout that was killed leaves two"
    assert 'apply --filename=- {"apiVersion": "v1", "kind": "List", "items": [{"kind": "Service"}]}' in told.told
    assert [each.split()[1] for each in told.told[-4:]] == [
        "deployment",
        "deployment",
        "pods",
        "quota.example.com/house",
    ]
    assert told.told[-1].startswith("delete quota.example.com/house ")


@pytest.mark.parametrize(("autoscaler", "replicas"), [({"spec": {"minReplicas": 1}}, 2), (None, 1)])
def test_a_way_back_keeps_as_many_pods_as_the_load_wants_by_then_if_anybody_asked_the_load(
    told: Told, autoscaler: dict[str, Any] | None, replicas: int
) -> None:
    place = Kubernetes(told, "house:v3", "rollcheck")
    place._before = revision(4, "v2", "v2", replicas=1)
    object.__setattr__(told, "autoscaler", autoscaler)
    place.replace(1)

    place.undo(1)

    (patched,) = (each for each in told.told if each.startswith("patch deployment/house-price-api "))
    assert f'"replicas": {replicas}' in patched


def test_a_first_version_is_there_when_all_the_pods_are_that_its_autoscaler_wants(told: Told) -> None:
    place = Kubernetes(told, "house:v3", "rollcheck")
    place._before = None
    object.__setattr__(told, "autoscaler", {"spec": {"minReplicas": 3}})

    place.replace(1)

    change = json.dumps([{"op": "replace", "path": "/spec/replicas", "value": 3}])
    assert f"patch deployment/house-price-api --type=json --patch={change}" in told.told


def test_a_rollback_unmarks_what_it_replaces_and_that_alone(told: Told) -> None:
    way = WayBack(told)

    way.go(1)

    assert (way.gone, way.back) == ("v2", "v1")
    assert "rollout undo deployment/house-price-api --to-revision=1" in told.told
    assert [each for each in told.told if "annotate" in each] == ["annotate replicaset/rs-4 house-price/served-"]


def test_what_is_gone_back_from_is_unmarked_even_where_its_successor_does_not_come_up(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phase2_k8s_cicd.rollout.kubernetes.is_rolled", lambda _: False)

    with pytest.raises(RolloutError, match="not ready"):
        WayBack(told).go(0)

    assert "annotate replicaset/rs-4 house-price/served-" in told.told


def test_the_next_apply_takes_away_what_a_rollback_has_brought_back(told: Told) -> None:
    object.__setattr__(told, "applied", '{"spec": {"replicas": 2, "template": "of v2"}}')

    WayBack(told).go(1)

    (patched,) = (each.partition("--patch=")[2] for each in told.told if each.startswith("patch deployment/"))
    (change,) = json.loads(patched)
    assert change["path"] == "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"
    template = {"metadata": {"labels": {}}, "spec": {"containers": [{"image": "house:v1"}]}}
    assert json.loads(change["value"]) == {"spec": {"replicas": 2, "template": template}}


def pod(ready: bool, restarts: int) -> dict[str, Any]:
    ended = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    container = {"ready": ready, "restartCount": restarts, "lastState": ended if restarts else {}, "state": {}}
    return {"status": {"containerStatuses": [container]}}


def test_a_pod_that_crashed_is_hopeless_until_it_is_ready_again() -> None:
    assert _hopeless(pod(ready=False, restarts=1)) == "crashes: OOMKilled, exit code 137"
    assert _hopeless(pod(ready=True, restarts=1)) is None
    assert _hopeless(pod(ready=False, restarts=0)) is None


def test_a_new_file_and_each_change_give_another_version_and_leave_gits_index_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phase2_k8s_cicd.tools.ROOT", tmp_path)
    names = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    run_tool(["git", "init", "--quiet"])
    run_tool(["git", "commit", "--quiet", "--allow-empty", "--message=x"], environ=names)
    versions = [version_here()]
    for text in "xy":
        (tmp_path / "new").write_text(text)
        versions.append(version_here())

    commit = run_tool(["git", "rev-parse", "--short=12", "HEAD"]).strip()
    assert versions[0] == commit
    assert re.fullmatch(rf"{commit}-\w{{8}} {commit}-\w{{8}}", " ".join(versions[1:]))
    assert len(set(versions)) == 3
    assert run_tool(["git", "diff", "--cached", "--name-only"]) == ""


def test_a_second_rollout_to_processes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASE2_RUN_FOLDER", str(tmp_path))
    with (tmp_path / "rollout.lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)

        with pytest.raises(RolloutError, match="another rollout is under way"):
            deploy_processes("v2", print)


def test_a_rollout_to_processes_is_judged_by_the_prices_of_the_model_that_they_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Here(ToyPlace):
        def __init__(self, _: object, version: str, __: object) -> None:
            super().__init__()
            self.version = version

    def attempt(rollout: Rollout, houses: str, expected: str, by: str) -> tuple[str, ...]:
        return rollout.version, str(rollout.previous), houses, expected

    monkeypatch.setenv("PHASE2_RUN_FOLDER", str(tmp_path))
    monkeypatch.setenv("HOUSE_MODEL_PATH", "models/mine")
    for name, gives in {
        "Processes": Here,
        "build_rollcheck_binary": lambda _: tmp_path,
        "fixed_houses": list,
        "expectations": lambda _, model="houses": str(model),
        "attempt": attempt,
    }.items():
        monkeypatch.setattr(f"phase2_k8s_cicd.rollout.deploy.{name}", gives)

    assert deploy_processes("v2", print) == ("v2", "v1", "houses", "models/mine")
    with pytest.raises(CourseError, match="up to 63 letters"):
        deploy_processes("not a tag", print)


def test_rollcheck_is_told_which_versions_may_answer() -> None:
    told = Question("http://house", 50, 0, "[]", ["v1", "v2"]).arguments("houses.json")

    assert told[-4:] == ["-houses=houses.json", "-report=-", "-versions=v1,v2", "http://house"]


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
    assert not local("minikube.example.com")
    assert not local("prod", "https://127.0.0.1.example.com:6443")


def test_each_kind_of_cluster_gets_its_images_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cluster, "images", lambda _: {"docker.io/library/old:v1"})

    def way(context: str, image: str = "new:v1", load_image: str = "") -> list[str] | None:
        return way_to(image, Cluster(context, "https://10.0.0.1", "local"), ImageSettings(load_image=load_image))

    assert way("kind-house") == ["kind", "load", "docker-image", "new:v1", "--name=house"]
    assert way("kind-house", "old:v1") is None
    assert way("k3d-dev") == ["k3d", "image", "import", "new:v1", "--cluster=dev"]
    assert way("minikube") == ["minikube", "image", "load", "new:v1"]
    assert way("docker-desktop") is None
    assert way("eks", load_image="my loader --fast") == ["my", "loader", "--fast", "new:v1"]
    with pytest.raises(ClusterError, match="REGISTRY=host/name"):
        way("eks")


@pytest.mark.parametrize("version", ["latest", "", "-v1", "a b", "v" * 64, "v1;rm"])
def test_a_version_that_cannot_be_an_immutable_tag_is_refused_before_anything_is_built(version: str) -> None:
    with pytest.raises(CourseError, match="VERSION="):
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
