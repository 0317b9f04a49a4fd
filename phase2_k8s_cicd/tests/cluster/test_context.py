"""Room: safety. A cluster that is not on this machine is named, and not changed without a yes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from phase2_k8s_cicd.cli import cli

REMOTE = "https://10.1.2.3:6443"


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubectl that knows one far cluster, and writes down what it was told."""
    config = {"current-context": "far", "clusters": [{"cluster": {"server": REMOTE}}]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    kubectl = tmp_path / "kubectl"
    answer = f'case "$*" in *"config view"*) cat "{tmp_path}/config.json" ;; esac'
    kubectl.write_text(f'#!/bin/sh\necho "$@" >>"{tmp_path}/calls"\n{answer}\n')
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path / "calls"


def remove(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["remove", *arguments], input=stdin)


def test_without_a_yes_a_far_cluster_is_left_alone(called: Path) -> None:
    result = remove()

    assert result.exit_code == 1
    assert f"context far ({REMOTE}, NOT on this machine), namespace house-price" in result.output
    assert "say YES=1" in result.output
    assert "delete" not in called.read_text()


def test_with_a_yes_it_is_changed_in_that_context_and_namespace_alone(called: Path) -> None:
    result = remove("--yes", "--overlay", "dev")

    assert result.exit_code == 0, result.output
    [delete] = [line for line in called.read_text().splitlines() if "delete" in line]
    assert delete.startswith("--context=far --namespace=house-price-dev delete namespace/house-price-dev")


def test_without_any_cluster_the_way_to_one_is_shown(called: Path) -> None:
    (called.parent / "config.json").write_text('{"current-context": "", "clusters": null}')

    result = remove()

    assert result.exit_code == 1
    assert "make cluster-up" in result.output


def test_without_kubectl_the_place_to_get_it_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    result = remove()

    assert result.exit_code == 1
    assert "there is no kubectl on the PATH; install it: https://" in result.output
