"""Room: cluster. What a lab takes away costs answers, and afterwards everything is as it was."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from phase1_docker_api.settings import load_settings
from phase2_k8s_cicd.cli import cli
from phase2_k8s_cicd.cluster.cluster import Cluster, current_cluster, render
from phase2_k8s_cicd.cluster.images import bring, build_service
from phase2_k8s_cicd.cluster.workload import HOUSE_PRICE_API
from phase2_k8s_cicd.course.check import check_cluster
from phase2_k8s_cicd.course.labs import LABS, run_lab
from phase2_k8s_cicd.errors import ClusterError
from phase2_k8s_cicd.rollout.deploy import version_here
from phase2_k8s_cicd.rollout.kubernetes import make_ready, wait_until_rolled
from phase2_k8s_cicd.settings import ImageSettings, RolloutSettings
from phase2_k8s_cicd.tools import ROOT

APP = HOUSE_PRICE_API.name


def test_the_labs_of_the_code_are_those_of_the_command_and_of_the_makefile() -> None:
    makefile = Path(ROOT / "phase2_k8s_cicd/Makefile").read_text()

    usage = CliRunner().invoke(cli, ["lab", "none"]).output

    assert re.findall(r"^lab-([a-z]+): ## ", makefile, re.MULTILINE) == list(LABS)
    assert re.findall(r"'([a-z]+)'", usage)[1:] == list(LABS)


def test_a_lab_refuses_a_cluster_that_is_elsewhere() -> None:
    elsewhere = Cluster("arn:aws:eks:eu-west-1:1:cluster/house", "https://example.eks.amazonaws.com", "local")

    with pytest.raises(ClusterError, match="not a cluster of this machine"):
        run_lab("budget", elsewhere, {}, print)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A namespace in which one version is deployed."""
    cluster = current_cluster("dev")
    assert cluster.is_local, f"{cluster.context} is not on this machine"
    cluster.delete(f"namespace/{cluster.namespace}")
    image = build_service(f"{version_here()}-a", "", print)
    bring(image, cluster, load_settings(ImageSettings), print)
    make_ready(cluster, image)
    cluster.apply(render(cluster.overlay, image))
    wait_until_rolled(cluster, APP, "api", 180)
    yield cluster
    cluster.delete(f"namespace/{cluster.namespace}")


def as_it_is(cluster: Cluster) -> dict[str, Any]:
    """The specs that a lab may touch, and what it may leave behind."""
    deployment, budget = cluster.get("deployment", APP), cluster.get("poddisruptionbudget", APP)
    assert deployment
    assert budget
    metadata = {name: budget["metadata"][name] for name in ("name", "labels")}
    left = cluster.kubectl(
        "get", "resourcequotas,leases,pods", "--output=name", "--selector=!app.kubernetes.io/component"
    )
    return {"deployment": deployment["spec"], "budget": [metadata, budget["spec"]], "left": left}


@pytest.mark.labs
@pytest.mark.parametrize("name", LABS)
def test_a_lab_loses_answers_and_leaves_all_as_it_was(
    name: str, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    before = as_it_is(cluster)

    report = run_lab(name, cluster, load_settings(RolloutSettings), print)

    with capsys.disabled():
        print(f"\n    {name}: {report.why_lost()}")
    assert report.lost > 0
    assert as_it_is(cluster) == before


@pytest.mark.labs
@pytest.mark.parametrize(
    ("name", "stop"), [("drain", signal.SIGINT), ("budget", signal.SIGTERM), ("replicas", signal.SIGHUP)]
)
def test_a_lab_that_is_told_to_stop_puts_all_back(name: str, stop: signal.Signals, cluster: Cluster) -> None:
    before = as_it_is(cluster)
    command = [str(ROOT / ".venv/bin/phase2"), "lab", name, f"--overlay={cluster.overlay}"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    assert process.stdout
    for line in process.stdout:
        if "first answer" in line:
            break
    time.sleep(1)
    assert as_it_is_or_nothing(cluster) != before

    os.killpg(process.pid, stop)  # a terminal's Ctrl-C reaches kubectl too
    process.communicate(timeout=120)

    assert as_it_is(cluster) == before
    wait_until_rolled(cluster, APP, "api", 5)


@pytest.mark.labs
@pytest.mark.parametrize("name", LABS)
def test_what_a_killed_lab_has_taken_away_comes_back_by_the_next_apply(name: str, cluster: Cluster) -> None:
    before, image = as_it_is(cluster), cluster.serving()
    assert image

    with LABS[name].without(cluster, print):
        assert as_it_is_or_nothing(cluster) != before
        cluster.apply(render(cluster.overlay, image))

        assert as_it_is(cluster) == before


def as_it_is_or_nothing(cluster: Cluster) -> dict[str, Any] | None:
    """As it is, or None while the budget is away."""
    return as_it_is(cluster) if cluster.get("poddisruptionbudget", APP) else None


@pytest.mark.labs
def test_the_check_gives_a_sound_phase_no_cross_and_one_to_what_a_lab_removes(cluster: Cluster, tmp_path: Path) -> None:
    def not_ticked(holds: bool | None = False) -> set[str]:
        return {finding.name for finding in check_cluster(cluster.overlay, None, tmp_path) if finding.holds is holds}

    assert not_ticked() == set()
    assert not_ticked(None) - {"served is offline"} == {"last rollout"}, (
        "what is current here may not be the image's model"
    )
    with LABS["drain"].without(cluster, print):
        assert "stopping" in not_ticked()
    with LABS["budget"].without(cluster, print):
        assert "budget" in not_ticked()
