"""Room: who did what. One at a time, written down for good, and by the image's digest; no cluster is needed."""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from phase2_k8s_cicd.cluster import Cluster, version_of
from phase2_k8s_cicd.errors import ClusterError, ToolError
from phase2_k8s_cicd.history import HISTORY, KEPT, append, read, run_of, table
from phase2_k8s_cicd.images import push
from phase2_k8s_cicd.lock import LEASE, only_one
from phase2_k8s_cicd.outcome import Outcome

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
DIGEST = f"sha256:{'a' * 64}"


class Memory(Cluster):
    """A cluster that is a dictionary."""

    def __init__(self) -> None:
        super().__init__("memory", "https://127.0.0.1", "local")
        object.__setattr__(self, "objects", {})

    objects: dict[str, Any]

    def get(self, kind: str, name: str) -> Any:
        return self.objects.get(f"{kind}/{name}")

    def create(self, manifest: Any) -> None:
        name = f"{manifest['kind'].lower()}/{manifest['metadata']['name']}"
        if name in self.objects:
            raise ToolError("it exists")
        self.objects[name] = manifest | {"metadata": manifest["metadata"] | {"resourceVersion": "1"}}

    def delete(self, *arguments: str) -> None:
        for each in arguments:
            self.objects.pop(each, None)

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout_s: float = 120) -> str:
        if arguments[0] == "replace":
            manifest = json.loads(stdin or "")
            self.objects[f"{manifest['kind'].lower()}/{manifest['metadata']['name']}"] = manifest
        else:
            assert arguments[:3] == ("patch", "lease", LEASE)
            test, change = json.loads(arguments[4].removeprefix("--patch="))
            spec = self.objects[f"lease/{LEASE}"]["spec"]
            if spec["acquireTime"] != test["value"]:
                raise ToolError("the test failed")
            spec["renewTime"] = change["value"]
        return ""


def outcome(version: str = "v2", **fields: Any) -> Outcome:
    known = {"result": "serving", "previous": "v1", "reason": "asked 200 times", "by": "ada"}
    return Outcome(**known | {"version": version, "started_at": NOON, "seconds": 30} | fields)


def test_what_was_deployed_is_kept_in_order_and_the_oldest_gives_way() -> None:
    cluster = Memory()
    for number in range(KEPT + 2):
        append(cluster, outcome(f"v{number}", reason="no" * 5000, run="https://example.com/1"))

    kept = read(cluster)

    assert [each.version for each in kept] == [f"v{number}" for number in range(2, KEPT + 2)]
    assert kept[-1].run == "https://example.com/1"
    assert len(json.dumps(cluster.objects[f"configmap/{HISTORY}"])) < 1 << 20


def test_nothing_deployed_is_an_empty_history() -> None:
    assert read(Memory()) == []


def test_the_table_says_why_a_version_does_not_serve_and_where_it_was_tried() -> None:
    refused = outcome("v3", result="refused", reason="prices are wrong\nand more", run="https://example.com/1")

    shown = table([refused, outcome()]).splitlines()

    assert shown[0] == "2026-01-01 12:00 ✗  v3  rollout refused, before: v1  ada"
    assert shown[1:3] == ["    prices are wrong", "    https://example.com/1"]
    assert shown[3].startswith("2026-01-01 12:00 ✓  v2  rollout serving")


def test_a_pipeline_leaves_the_address_of_its_run_and_a_person_leaves_none() -> None:
    github = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "ada/houses", "GITHUB_RUN_ID": "7"}

    assert run_of(github) == "https://github.com/ada/houses/actions/runs/7"
    assert run_of({}) == ""


def test_a_lease_is_renewed_while_it_is_held_and_given_back() -> None:
    cluster = Memory()

    with only_one(cluster, "ada with v2", 0.3, lambda: NOON + dt.timedelta(seconds=time.monotonic())):
        lease = cluster.objects[f"lease/{LEASE}"]["spec"]
        taken = lease["renewTime"]
        time.sleep(0.4)

        assert lease["renewTime"] > taken
        assert lease["acquireTime"] == taken
    assert f"lease/{LEASE}" not in cluster.objects


def test_a_second_rollout_is_refused_and_takes_over_only_what_has_expired() -> None:
    cluster = Memory()

    with only_one(cluster, "ada with v2", 60, lambda: NOON):
        with (
            pytest.raises(ClusterError, match="ada with v2 is rolling out here"),
            only_one(cluster, "eve", 60, lambda: NOON + dt.timedelta(seconds=59)),
        ):
            pass
        with only_one(cluster, "eve", 60, lambda: NOON + dt.timedelta(seconds=61)):
            assert cluster.objects[f"lease/{LEASE}"]["spec"]["holderIdentity"] == "eve"


def test_who_lost_the_lease_takes_nothing_from_whoever_has_it_now() -> None:
    cluster = Memory()

    with only_one(cluster, "ada with v2", 0.3, lambda: NOON):
        others = {"acquireTime": "later", "renewTime": "later", "holderIdentity": "eve", "leaseDurationSeconds": 60}
        cluster.objects[f"lease/{LEASE}"]["spec"] = others
        time.sleep(0.2)

    assert cluster.objects[f"lease/{LEASE}"]["spec"] == others | {"renewTime": "later"}


@pytest.mark.parametrize(("there", "pushed"), [(True, 0), (False, 1)])
def test_an_image_is_pushed_once_and_then_named_by_its_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool, pushed: int
) -> None:
    docker = tmp_path / "docker"
    names = json.dumps([f"elsewhere/house@sha256:{'b' * 64}", f"127.0.0.1:5000/house@{DIGEST}"])
    docker.write_text(
        f'#!/bin/sh\necho "$1" >>"{tmp_path}/calls"\n'
        f"case $1 in pull) exit {0 if there else 1} ;; image) echo '{names}' ;; esac\n"
    )
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    image = push("127.0.0.1:5000/house:v2", "127.0.0.1:5000", print)

    assert image == f"127.0.0.1:5000/house:v2@{DIGEST}"
    assert version_of(image) == "v2"
    assert (tmp_path / "calls").read_text().split().count("push") == pushed
