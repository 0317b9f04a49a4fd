"""Room: who did what. One at a time, written down for good, and by the image's digest; no cluster is needed."""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from phase1_docker_api.errors import CourseError
from phase2_k8s_cicd.cli import cli
from phase2_k8s_cicd.cluster.cluster import Cluster, version_of
from phase2_k8s_cicd.cluster.images import build_rollcheck, build_service, fetch, push
from phase2_k8s_cicd.cluster.lease import FORMAT, _time, only_one
from phase2_k8s_cicd.cluster.workload import HOUSE_PRICE_API
from phase2_k8s_cicd.errors import ClusterError, RolloutError, ToolError
from phase2_k8s_cicd.rollout import deploy
from phase2_k8s_cicd.rollout.history import KEPT, append, read, table, was_rolled_back
from phase2_k8s_cicd.rollout.outcome import Outcome
from phase2_k8s_cicd.rollout.probe import Question, Report
from phase2_k8s_cicd.rollout.rollout import Rollout
from phase2_k8s_cicd.rollout.way_back import SERVED
from phase2_k8s_cicd.settings import PipelineSettings, RolloutSettings
from phase2_k8s_cicd.testing import MemoryCluster
from phase2_k8s_cicd.tools import succeeds

APP, LEASE, HISTORY = HOUSE_PRICE_API.name, HOUSE_PRICE_API.lease, HOUSE_PRICE_API.history
NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
DIGEST = f"sha256:{'a' * 64}"
HOUSE = "127.0.0.1:5000/house"


class Forbidden(MemoryCluster):
    """A cluster in which nothing may be made."""

    def create(self, manifest: Any) -> None:
        raise ToolError("forbidden")


def outcome(version: str = "v2", **fields: Any) -> Outcome:
    known = {"result": "serving", "previous": "v1", "reason": "asked 200 times", "by": "ada"}
    return Outcome(**known | {"version": version, "started_at": NOON, "seconds": 30} | fields)


def test_what_was_deployed_is_kept_in_order_and_the_oldest_gives_way() -> None:
    cluster = MemoryCluster()
    for number in range(KEPT + 2):
        append(cluster, outcome(f"v{number}", reason="no" * 5000, run="https://example.com/1"))

    kept = read(cluster)

    assert [each.version for each in kept] == [f"v{number}" for number in range(2, KEPT + 2)]
    assert kept[-1].run == "https://example.com/1"
    assert len(json.dumps(cluster.objects[f"configmap/{HISTORY}"])) < 1 << 20


def test_nothing_deployed_is_an_empty_history() -> None:
    assert read(MemoryCluster()) == []


def test_the_table_says_why_a_version_does_not_serve_and_where_it_was_tried() -> None:
    refused = outcome("v3", result="refused", reason="prices are wrong\nand more", run="https://example.com/1")

    shown = table([refused, outcome()]).splitlines()

    assert shown[0] == "2026-01-01 12:00 ✗  v3  rollout refused, before: v1  ada"
    assert shown[1:3] == ["    prices are wrong", "    https://example.com/1"]
    assert shown[3].startswith("2026-01-01 12:00 ✓  v2  rollout serving")


def test_the_newest_are_shown_and_the_newest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phase2_k8s_cicd.cluster.cluster.current_cluster", lambda *_: MemoryCluster())
    monkeypatch.setattr(
        "phase2_k8s_cicd.rollout.history.read", lambda _: [outcome(f"v{number}") for number in range(4)]
    )

    shown = CliRunner().invoke(cli, ["deployments", "--last=2"]).output.splitlines()

    assert [line.split()[3] for line in shown] == ["v3", "v2"]


def test_a_pipeline_leaves_the_address_of_its_run_and_a_person_leaves_none() -> None:
    github = PipelineSettings(
        github_server_url="https://github.com", github_repository="ada/houses", github_run_id="7", run_url=""
    )

    assert github.run == "https://github.com/ada/houses/actions/runs/7"
    assert github.model_copy(update={"github_run_id": ""}).run == ""
    assert github.model_copy(update={"run_url": "https://example.com/7"}).run == "https://example.com/7"


def test_a_lease_is_renewed_while_it_is_held_and_given_back() -> None:
    cluster = MemoryCluster()

    with only_one(cluster, "ada with v2", 3, lambda: NOON + dt.timedelta(seconds=time.monotonic())):
        lease = cluster.objects[f"lease/{LEASE}"]["spec"]
        taken = lease["renewTime"]
        seen = {taken}
        deadline = time.monotonic() + 60
        while len(seen) < 3 and time.monotonic() < deadline:
            seen.add(lease["renewTime"])
            time.sleep(0.01)

        assert len(seen) == 3, "again and again"
        assert sorted(seen)[1] < (_time(taken) + dt.timedelta(seconds=3)).strftime(FORMAT), "before it expires"
        assert lease["acquireTime"] == taken
    assert f"lease/{LEASE}" not in cluster.objects


def test_a_second_rollout_is_refused_and_takes_over_only_what_has_expired() -> None:
    cluster = MemoryCluster()

    with only_one(cluster, "ada with v2", 60, lambda: NOON):
        renewed = NOON + dt.timedelta(seconds=30)
        cluster.objects[f"lease/{LEASE}"]["spec"]["renewTime"] = renewed.strftime(FORMAT)
        with (
            pytest.raises(ClusterError, match="ada with v2 is rolling out here"),
            only_one(cluster, "eve", 60, lambda: renewed + dt.timedelta(seconds=59)),
        ):
            pass
        with only_one(cluster, "eve", 60, lambda: renewed + dt.timedelta(seconds=61)):
            assert cluster.objects[f"lease/{LEASE}"]["spec"]["holderIdentity"] == "eve"


def test_a_rollout_that_breaks_off_gives_the_lease_back_and_one_that_cannot_have_it_does_not_begin() -> None:
    cluster = MemoryCluster()

    with pytest.raises(ToolError, match="broken off"), only_one(cluster, "ada with v2", 60, lambda: NOON):
        raise ToolError("broken off")
    with pytest.raises(ToolError, match="forbidden"), only_one(Forbidden(), "ada with v2", 60, lambda: NOON):
        pytest.fail("it began")

    assert f"lease/{LEASE}" not in cluster.objects


def test_who_lost_the_lease_takes_nothing_from_whoever_has_it_now() -> None:
    cluster = MemoryCluster()

    with only_one(cluster, "ada with v2", 0.3, lambda: NOON):
        others = {"acquireTime": "later", "renewTime": "later", "holderIdentity": "eve", "leaseDurationSeconds": 60}
        cluster.objects[f"lease/{LEASE}"]["spec"] = others
        time.sleep(0.2)

    assert cluster.objects[f"lease/{LEASE}"]["spec"] == others | {"renewTime": "later"}


@pytest.mark.parametrize(
    ("lost", "result", "reason"),
    [
        (0, "serving", "odd: in place of v2, asked 200 times, 0 lost"),
        (2, "failed", "odd: 2 of 200 answers were lost: 2 reset"),
    ],
)
def test_a_rollback_holds_the_lease_asks_what_came_back_and_is_written_down(
    monkeypatch: pytest.MonkeyPatch, lost: int, result: str, reason: str
) -> None:
    cluster = MemoryCluster()
    times = {"seconds": 8, "p50_ms": 3, "p99_ms": 9, "max_ms": 9, "started_at": ""}
    kinds = {"lost_by_kind": {"reset": lost}, "losses": [], "versions": {}}
    found = Report(url="", requests=200, ok=200 - lost, lost=lost, **times, **kinds)

    def ask(_: Cluster, image: str, questions: Mapping[str, Question]) -> dict[str, Report]:
        assert cluster.get("lease", LEASE)["spec"]["holderIdentity"] == "ada with a rollback"
        assert [(image, each.url, each.versions) for each in questions.values()] == [
            ("rollcheck:1", "http://house-price-api", ["v1", "v2"])
        ]
        return dict.fromkeys(questions, found)

    monkeypatch.setattr("phase2_k8s_cicd.rollout.deploy.build_rollcheck", lambda *_: "rollcheck:1")
    monkeypatch.setattr("phase2_k8s_cicd.rollout.deploy.bring", lambda image, *_: image)
    monkeypatch.setattr("phase2_k8s_cicd.rollout.deploy.fixed_houses", list)
    monkeypatch.setattr(
        "phase2_k8s_cicd.rollout.deploy.WayBack", lambda _: SimpleNamespace(gone="v2", back="v1", go=print)
    )
    monkeypatch.setattr("phase2_k8s_cicd.rollout.probe_pods.ask", ask)

    told = RolloutSettings(reason=" odd ", github_actor="ada", run_url="https://example.com/7")
    back = deploy.go_back(cluster, told, print)

    assert (back.action, back.result, back.version, back.previous) == ("rollback", result, "v1", "v2")
    assert (back.by, back.run, back.reason, back.watch) == ("ada", "https://example.com/7", reason, found)
    assert back.started_at.utcoffset() == dt.timedelta(0)
    assert read(cluster) == [back.model_copy(update={"watch": None})]


@pytest.mark.parametrize(
    ("error", "why"), [(RolloutError("not ready"), "not ready"), (KeyboardInterrupt(), "it was told to stop")]
)
def test_a_rollback_that_does_not_get_there_is_written_down_too(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, why: str
) -> None:
    def go(_: float) -> None:
        raise error

    cluster = MemoryCluster()
    monkeypatch.setattr(
        "phase2_k8s_cicd.rollout.deploy.WayBack", lambda _: SimpleNamespace(gone="v2", back="v1", go=go)
    )

    back = deploy.go_back(cluster, RolloutSettings(), print)

    assert (back.result, back.version, back.previous) == ("failed", "v1", "v2")
    assert back.reason == f"{why}; Kubernetes goes on with it"
    assert read(cluster) == [back]


def test_a_rollback_that_is_told_to_stop_while_it_asks_has_brought_its_version_back(
    serving_v2: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(deploy, "_asked", asked)

    back = deploy.go_back(serving_v2, RolloutSettings(), print)

    assert back.reason == "it was told to stop; v1 is back, but was not asked to the end"


def test_a_rollout_holds_the_lease_is_judged_by_its_images_prices_and_written_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster, image = MemoryCluster(), f"127.0.0.1:5000/house:v2@{DIGEST}"

    def place(_: Cluster, new: str, __: str) -> Any:
        assert cluster.get("lease", LEASE)["spec"]["holderIdentity"] == "ada with v2"
        return SimpleNamespace(previous=f"before {new}")

    def attempt(rollout: Rollout, houses: str, expected: str, by: str) -> Outcome:
        assert f"lease/{LEASE}" in cluster.objects
        assert (rollout.previous, houses, expected) == (f"before {image}", "houses", "prices of house")
        return outcome(rollout.version, by=by)

    for name, gives in {
        "build_service": lambda *_: "house",
        "build_rollcheck": lambda *_: "rollcheck",
        "bring": lambda built, *_: image if built == "house" else built,
        "extract_model": lambda of, _: "house" if of == image else of,
        "fixed_houses": list,
        "expectations": lambda _, model=None: f"prices of {model}" if model else "houses",
        "make_ready": lambda *_: None,
        "Kubernetes": place,
        "attempt": attempt,
    }.items():
        monkeypatch.setattr(f"phase2_k8s_cicd.rollout.deploy.{name}", gives)

    told = RolloutSettings(version="v2", github_actor="ada", run_url="https://example.com/7")
    there = deploy.deploy(cluster, told, print)

    assert (there.version, there.image, there.run, there.by) == ("v2", image, "https://example.com/7", "ada")
    assert read(cluster) == [there]


def test_a_history_that_cannot_be_written_does_not_change_what_became_of_a_rollout() -> None:
    said: list[str] = []

    deploy._record(outcome(), Forbidden(), said.append)

    assert said == ["could not be recorded in the cluster: forbidden"]


@pytest.mark.parametrize(("result", "mark"), [("serving", f"{SERVED}=v2"), ("refused", None), ("undone", None)])
def test_only_what_came_to_serve_is_marked_as_what_a_rollback_may_lead_to(result: str, mark: str | None) -> None:
    cluster = MemoryCluster()
    cluster.objects[f"deployment/{APP}"] = {"metadata": {"name": APP, "namespace": "here", "uid": "1"}}

    deploy._record(outcome(result=result), cluster, print)

    assert cluster.objects[f"deployment/{APP}"].get("annotated") == mark
    assert cluster.objects["event/None"]["reason"] == f"Rollout{result.capitalize()}"


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker that writes down what it was told; its pulls do what the file `pull` says."""
    program, names = tmp_path / "docker", [f"{HOUSE}-of-another@sha256:{'b' * 64}", f"{HOUSE}@{DIGEST}"]
    program.write_text(
        f'#!/bin/sh\necho "$1" >>"{tmp_path}/calls"\n'
        f'case "$*" in pull*) . "{tmp_path}/pull" ;; *Digests*) echo \'{json.dumps(names)}\' ;;\n'
        f'*.Id*) cat "{tmp_path}/id" ;; esac\n'
    )
    program.chmod(0o755)
    (tmp_path / "id").write_text("built here")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


ABSENT = "echo manifest unknown >&2; exit 1"


@pytest.mark.parametrize(("pull", "pushed"), [("exit 0", 0), (ABSENT, 1)])
def test_an_image_is_pushed_once_and_then_named_by_its_digest(docker: Path, pull: str, pushed: int) -> None:
    (docker / "pull").write_text(pull)

    image = push(f"{HOUSE}:v2", "127.0.0.1:5000", print)

    assert image == f"{HOUSE}:v2@{DIGEST}"
    assert version_of(image) == "v2"
    assert (docker / "calls").read_text().split().count("push") == pushed


@pytest.mark.parametrize(
    ("pull", "why"),
    [
        ('echo "not built here" >"$(dirname "$0")/id"', "holds another image"),
        ("echo connection refused >&2; exit 1", "connection refused"),
    ],
)
def test_bits_that_were_not_looked_into_and_a_registry_without_an_answer_end_a_push(
    docker: Path, pull: str, why: str
) -> None:
    (docker / "pull").write_text(pull)

    with pytest.raises(ToolError, match=why):
        push(f"{HOUSE}:v2", "127.0.0.1:5000", print)
    assert "push" not in (docker / "calls").read_text().split()


def test_a_pipeline_rolls_out_the_very_image_that_it_looked_into(docker: Path) -> None:
    (docker / "pull").write_text("exit 0")

    assert fetch(f"{HOUSE}:v2", f"{HOUSE}@{DIGEST}") == f"{HOUSE}:v2@{DIGEST}"
    for wrong in (f"elsewhere/house@{DIGEST}", f"{HOUSE}:v2", f"{HOUSE}@sha256:1"):
        with pytest.raises(CourseError, match="REFERENCE="):
            fetch(f"{HOUSE}:v2", wrong)


def test_a_rollout_waits_for_the_end_of_another_as_long_as_it_was_told_to() -> None:
    cluster = MemoryCluster()

    with only_one(cluster, "ada with v2", 60, lambda: NOON):
        late = (NOON + dt.timedelta(seconds=seconds) for seconds in (1, 61, 61, 61))
        with only_one(cluster, "eve", 60, lambda: next(late), wait_seconds=0.1):
            assert cluster.objects[f"lease/{LEASE}"]["spec"]["holderIdentity"] == "eve"


def test_a_version_that_was_gone_back_from_is_known_until_it_serves_again() -> None:
    came, gone = outcome("v2"), outcome("v1", action="rollback", previous="v2")

    assert was_rolled_back([came, gone], "v2")
    assert not was_rolled_back([came, gone], "v1")
    assert not was_rolled_back([came, gone, outcome("v2")], "v2")
    assert was_rolled_back([came, gone, outcome("v2", result="undone")], "v2")
    stopped = outcome("v1", action="rollback", previous="v2", result="failed")
    assert was_rolled_back([came, stopped], "v2"), "it was wanted"


@pytest.fixture
def serving_v2(monkeypatch: pytest.MonkeyPatch) -> MemoryCluster:
    monkeypatch.setattr(deploy, "WayBack", lambda _: SimpleNamespace(gone="v2", back="v1", go=print))
    return MemoryCluster()


def test_a_rollback_from_what_does_not_serve_any_more_does_nothing(serving_v2: MemoryCluster) -> None:
    with pytest.raises(RolloutError, match="v2 serves here, and not v3"):
        deploy.go_back(serving_v2, RolloutSettings(from_version="v3"), print)
    assert serving_v2.objects == {}


def test_where_nothing_serves_a_rollback_says_so() -> None:
    cluster = MemoryCluster(image=None)

    with pytest.raises(RolloutError, match="nothing serves in namespace house-price; first:  make phase2-up"):
        deploy.go_back(cluster, RolloutSettings(), print)
    assert cluster.objects == {}


def test_who_cannot_ask_goes_back_all_the_same(serving_v2: MemoryCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_registry(*_: Any) -> str:
        raise ToolError("the registry is away")

    monkeypatch.setattr(deploy, "build_rollcheck", no_registry)

    done = deploy.go_back(serving_v2, RolloutSettings(from_version="v2", reason="prices are odd"), print)

    assert (done.result, done.version, done.previous) == ("serving", "v1", "v2")
    assert done.reason == "prices are odd: in place of v2; its pods are ready, but it could not be asked"


@pytest.mark.parametrize(
    ("registry", "remote", "here", "calls"),
    [
        ("127.0.0.1:5000", True, True, ["pull"]),
        ("127.0.0.1:5000", False, True, ["pull", "image"]),
        ("", True, True, ["image"]),
        ("", False, False, ["image", "build", "build"]),
    ],
)
def test_a_version_that_has_an_image_is_not_built_again_and_the_registrys_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: str, remote: bool, here: bool, calls: list[str]
) -> None:
    docker = tmp_path / "docker"
    answers = f"case $1 in pull) exit {int(not remote)} ;; image) exit {int(not here)} ;; esac"
    docker.write_text(f'#!/bin/sh\necho "$@" >>"{tmp_path}/calls"\n{answers}\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    image = build_service("v2", registry, print)

    made = (tmp_path / "calls").read_text().splitlines()
    assert image == (f"{registry}/house-price-service:v2" if registry else "house-price-service:v2")
    assert [call.split()[0] for call in made] == calls
    assert ("--build-arg=VERSION=v2" in made[-1]) == ("build" in calls)


def test_a_pull_that_takes_too_long_does_not_mean_that_there_is_no_such_image() -> None:
    assert not succeeds(["false"])
    with pytest.raises(ToolError, match="did not end within"):
        succeeds(["sleep", "30"], timeout_s=0.1)


def test_another_rollcheck_gets_another_tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phase2_k8s_cicd.cluster.images.ROLLCHECK", tmp_path)
    monkeypatch.setattr("phase2_k8s_cicd.cluster.images._is_there", lambda *_: True)
    same = []
    for name in ("main.go", "go.mod", "Dockerfile", "main_test.go"):
        (tmp_path / name).write_text("one")
        before = build_rollcheck("", print)
        (tmp_path / name).write_text("two")
        same.append(build_rollcheck("", print) == before)

    assert same == [False, False, False, True], "a test changes nothing in it"
