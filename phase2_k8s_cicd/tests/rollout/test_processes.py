"""Room: processes. Without a cluster too, a version comes in without a loss, and a bad one not at all."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from phase1_docker_api.service.launch import free_port, free_ports
from phase2_k8s_cicd.course.check import check_processes
from phase2_k8s_cicd.errors import RolloutError
from phase2_k8s_cicd.rollout.probe import Question
from phase2_k8s_cicd.rollout.processes import HOST, Local, Processes, answering, build_rollcheck_binary
from phase2_k8s_cicd.rollout.reference_houses import expectations, fixed_houses
from phase2_k8s_cicd.rollout.rollout import Plan, Rollout

pytestmark = pytest.mark.slow

# No claim of these tests is about speed: a busy machine may take minutes to start a replica.
PATIENCE_SECONDS = 300
RATE = 10
PLAN = Plan(start_seconds=PATIENCE_SECONDS, update_seconds=2 * PATIENCE_SECONDS, compare_rate=RATE, watch_rate=RATE)
PORTS = ("gateway_port", "a_port", "b_port", "candidate_port")


@pytest.fixture
def local(trees_artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    """Gateway and replicas on ports of their own."""
    for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True):
        monkeypatch.setenv(f"PHASE2_{name.upper()}", str(port))
    monkeypatch.setenv("PHASE2_RUN_FOLDER", str(tmp_path))
    monkeypatch.setenv("HOUSE_MODEL_PATH", str(trees_artifact))
    local = Local()
    with ExitStack() as stack, (tmp_path / "log").open("wb") as log:
        for command in (["gateway"], ["replica", "a"], ["replica", "b"]):
            process = subprocess.Popen(
                [sys.executable, "-m", "phase2_k8s_cicd", *command], stdout=log, stderr=log, env=os.environ
            )
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
        for port in (local.a_port, local.b_port, local.gateway_port):
            deadline = time.monotonic() + PATIENCE_SECONDS
            while answering(f"http://{HOST}:{port}") is None:
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.1)
        yield local


def test_a_rolling_update_of_two_processes_loses_nothing_and_a_bad_model_does_not_come_in(
    local: Local, trees_artifact: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    houses = fixed_houses()
    expected = expectations(houses, trees_artifact)
    rollcheck = build_rollcheck_binary(local)
    said: list[str] = []
    place = Processes(local, "v2", rollcheck)
    with place.watching(Question(place.url, RATE, 0, expectations(houses)), said.append) as watch:
        rollout = Rollout(place, "v2", PLAN, said.append)
        assert rollout.run(expectations(houses), expected).startswith("shifted by 5, 25, 100 % of callers, ")
        report = watch.end()

    new = {percent: found.versions["v2"].ok / found.ok for percent, found in rollout.shares.items()}
    with capsys.disabled():
        print(f"\n    {report.lost} of {report.requests:,} lost, p99 {report.p99_ms:.0f} ms")
    assert report.lost == 0, report.why_lost()
    assert set(report.versions) == {"dev", "v2"}
    # A watch begins before its share, and two rollchecks take turns: test_gateway.py counts exactly.
    assert new[5] < new[25] < new[100]
    assert {answering(f"http://{HOST}:{port}") for port in (local.a_port, local.b_port)} == {"v2"}

    monkeypatch.setenv("HOUSE_MODEL_PATH", "nowhere")
    with pytest.raises(Exception, match="no whole model in"):
        Rollout(Processes(local, "v3", rollcheck), "v3", PLAN, said.append).run(expectations(houses), expected)

    assert answering(place.url) == "v2"


def test_a_candidates_port_that_somebody_holds_is_named_whatever_answers_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as stranger:
        stranger.bind((HOST, 0))
        stranger.listen()  # and never answers
        port = stranger.getsockname()[1]
        monkeypatch.setenv("PHASE2_CANDIDATE_PORT", str(port))
        place = Processes(Local(gateway_port=free_port(), run_folder=tmp_path), "v2", Path("rollcheck"))

        with pytest.raises(RolloutError, match=f"port {port}, .* PHASE2_CANDIDATE_PORT="), place.candidate(5):
            pass


def test_the_check_believes_two_sound_replicas_and_finds_one_of_another_version(local: Local, tmp_path: Path) -> None:
    reports = tmp_path / "reports"

    def unsound() -> dict[str, bool | None]:
        return {finding.name: finding.holds for finding in check_processes(local, reports) if not finding.holds}

    deadline = time.monotonic() + PATIENCE_SECONDS
    while (seen := unsound()) != {"last rollout": None}:  # there was none
        assert time.monotonic() < deadline, seen
        time.sleep(0.5)  # the gateway looks once a second at who is ready
    (tmp_path / "version").write_text("v9")
    os.kill(int((tmp_path / "replica-a.pid").read_text()), signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while answering(f"http://{HOST}:{local.a_port}") != "v9":
        assert time.monotonic() < deadline, (tmp_path / "log").read_text()
        time.sleep(0.1)
    mixed = {finding.name: finding for finding in check_processes(local, reports)}

    assert mixed["replicas"].holds is False
    assert mixed["replicas"].seen == "a v9, b dev"
