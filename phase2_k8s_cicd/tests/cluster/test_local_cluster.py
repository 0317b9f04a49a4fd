"""Room: local cluster. Its scripts, with stand-ins for kind, docker, kubectl and curl that note what they are told."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
DEFINITION = "kind: CustomResourceDefinition\n"
STAND_INS = {
    "docker": "exit 0",
    "kind": 'case "$*" in "get clusters") cat clusters ;; "create cluster"*) echo house >>clusters ;; esac',
    "kubectl": 'case "$*" in *"get apiservice"*) test -e metrics ;; esac',
    "curl": 'while [ "$1" != --output ]; do shift; done; cat definition >"$2"',
}


class Computer:
    """A copy of infra/local beside a PATH on which only stand-ins, and what scripts need, are found."""

    def __init__(self, root: Path, missing: Iterable[str] = ()) -> None:
        self.root, self.path = root, root / "bin"
        self.path.mkdir()
        shutil.copytree(ROOT / "infra/local", root / "infra/local")
        for name in ("bash", "cat", "dirname", "grep", "mkdir", "sha256sum", "shasum"):
            if found := shutil.which(name):
                (self.path / name).symlink_to(found)
        for name, body in STAND_INS.items():
            if name not in missing:
                (self.path / name).write_text(f'#!/bin/sh\necho "{name} $*" >>"{root}/told"\ncd "{root}"\n{body}\n')
                (self.path / name).chmod(0o755)
        (root / "clusters").write_text("other\n")
        (root / "definition").write_text(DEFINITION)
        digest = hashlib.sha256(DEFINITION.encode()).hexdigest()
        (root / "infra/local/gateway-crds.sha256").write_text(f"{digest}  one.yaml\n{digest}  two.yaml\n")

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.root / "infra/local" / script],
            env={"PATH": str(self.path), "HOME": os.environ.get("HOME", "")},
            capture_output=True,
            text=True,
            check=False,
            cwd=self.root / "bin",  # from wherever it is called
        )

    def told(self, beginning: str) -> list[str]:
        lines = (self.root / "told").read_text().splitlines() if (self.root / "told").exists() else []
        return [line for line in lines if line.startswith(beginning)]


@pytest.fixture
def computer(tmp_path: Path) -> Computer:
    return Computer(tmp_path)


def test_a_computer_without_the_cluster_gets_it_with_metrics_and_a_gateway(computer: Computer) -> None:
    run = computer.run("up.sh")

    assert run.returncode == 0, run.stderr
    assert computer.told("kind create") == ["kind create cluster --config infra/local/kind.yaml"]
    applied = [line.rpartition(" ")[2] for line in computer.told("kubectl") if " apply " in line]
    assert applied == ["infra/local/metrics-server.yaml", ".tools/gateway-api-v1.5.1", "infra/local/gateway.yaml"]
    zone = "topology.kubernetes.io/zone"
    labelled = f"kubectl --context kind-house label node --selector !{zone} {zone}=here"
    assert computer.told("kubectl --context kind-house label") == [labelled], "prod wants one"
    assert all("--context kind-house" in line for line in computer.told("kubectl")), "never another cluster"


def test_what_is_there_stays_as_it_is(computer: Computer) -> None:
    (computer.root / "metrics").touch()
    computer.run("up.sh")
    (computer.root / "told").unlink()

    run = computer.run("up.sh")

    assert run.returncode == 0, run.stderr
    assert computer.told("kind") == ["kind get clusters"]
    assert computer.told("docker start") == ["docker start house-control-plane"]
    assert computer.told("curl") == [], "the definitions were downloaded already"
    assert not [line for line in computer.told("kubectl") if "metrics-server.yaml" in line]


def test_definitions_that_are_not_the_expected_ones_are_never_applied(computer: Computer) -> None:
    (computer.root / "definition").write_text("kind: Surprise\n")

    run = computer.run("up.sh")

    assert run.returncode == 1
    assert "gateway-crds.sha256" in run.stderr
    assert not [line for line in computer.told("kubectl") if ".tools" in line]


@pytest.mark.parametrize("tool", ["docker", "kind", "kubectl"])
def test_a_missing_tool_is_named_with_the_way_to_get_it(tool: str, tmp_path: Path) -> None:
    run = Computer(tmp_path, missing=[tool]).run("up.sh")

    assert run.returncode == 1
    assert run.stderr.startswith(f"✗ {tool} is missing")
    assert "install" in run.stderr or "https://" in run.stderr


def test_a_docker_that_sleeps_is_named(computer: Computer) -> None:
    (computer.path / "docker").write_text("#!/bin/sh\nexit 1\n")

    run = computer.run("up.sh")

    assert run.returncode == 1
    assert "docker does not answer" in run.stderr


def test_taking_it_down_takes_no_other_cluster_and_may_be_done_twice(computer: Computer) -> None:
    computer.run("up.sh")

    assert computer.run("down.sh").returncode == 0
    assert computer.told("kind delete") == ["kind delete cluster --name house"]

    (computer.root / "clusters").write_text("other\n")
    assert computer.run("down.sh").returncode == 0
    assert len(computer.told("kind delete")) == 1


def test_the_gateway_is_where_kind_maps_it_and_lint_knows_the_version_of_the_node() -> None:
    node = yaml.safe_load((ROOT / "infra/local/kind.yaml").read_text())["nodes"][0]
    (mapping,) = node["extraPortMappings"]
    objects = list(yaml.safe_load_all((ROOT / "infra/local/gateway.yaml").read_text()))
    (port,) = next(each for each in objects if each["kind"] == "Service")["spec"]["ports"]
    (listener,) = next(each for each in objects if each["kind"] == "Gateway")["spec"]["listeners"]
    traefik = next(each for each in objects if each["kind"] == "Deployment")["spec"]["template"]["spec"]["containers"][
        0
    ]
    version = node["image"].partition(":v")[2].rpartition(".")[0]

    assert mapping["containerPort"] == port["nodePort"]
    assert mapping["listenAddress"] == "127.0.0.1", "nobody else's business"
    assert f"--entrypoints.web.address=:{listener['port']}" in traefik["args"], "traefik asks for the same number"
    assert f"kubernetes={version} " in (ROOT / "scripts/lint_manifests.sh").read_text()
