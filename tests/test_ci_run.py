"""The lanes of .ci/run: each make target once, with the summary at the end, and a starting script only where one is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


class Machine:
    """A clone with stubs of the programs that .ci/run calls; `said` is what they were told."""

    def __init__(self, root: Path, ready: bool) -> None:
        self.root, self.log, self.programs = root, root / "said", root / "programs"
        (root / ".ci").mkdir()
        shutil.copy(ROOT / ".ci" / "run", root / ".ci" / "run")
        self.programs.mkdir()
        for name in ("chromium", "promtool"):
            self.stub(self.programs / name, "true")
        self.stub(self.programs / "make", f'echo "make $2 ${{LOAD_IMAGE:-}}" >>"{self.log}"; echo "3 passed"')
        for name in ("docker", "kubectl"):
            self.stub(self.programs / name, "exit 0" if ready else "exit 1")

    def stub(self, path: Path, script: str) -> Path:
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    def run(self, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {"PATH": f"{self.programs}:/usr/bin:/bin", "HOME": os.environ["HOME"]}
        return subprocess.run([self.root / ".ci" / "run"], env=clean | environment, capture_output=True, text=True)

    def said(self) -> list[str]:
        return [line.strip() for line in self.log.read_text().splitlines()]


def lanes(said: list[str]) -> list[str]:
    return [line.split()[1] for line in said if line.startswith("make")]


def test_without_a_starting_script_the_lanes_run_on_what_the_machine_has(tmp_path: Path) -> None:
    machine = Machine(tmp_path, ready=False)

    done = machine.run(CI_CLUSTER="no/such/script")

    assert done.returncode == 0, done.stderr
    assert machine.said() == [f"make {lane}" for lane in lanes(machine.said())]
    judged = re.findall(r"^✓ make (\S+) \(\d+ s\)\n    3 passed$", done.stdout, re.MULTILINE)
    assert sorted(judged) == sorted(lanes(machine.said()))
    assert "test-infra" in judged, "it ran beside others, and is judged all the same"


@pytest.mark.parametrize("ready", [True, False])
def test_a_starting_script_starts_what_does_not_answer_before_the_lane_that_needs_it(
    tmp_path: Path, ready: bool
) -> None:
    machine = Machine(tmp_path, ready)
    script = machine.stub(tmp_path / "start it", f'[ "$1" = env ] || echo "$*" >>"{machine.log}"; echo export TOLD=1')

    done = machine.run(CI_CLUSTER=str(script))

    assert done.returncode == 0, done.stderr
    said = [line for line in machine.said() if "test-infra" not in line]  # it runs beside the others
    before = said[said.index("make test-slow") + 1 : said.index("make test-docker")]
    assert before == ([] if ready else ["up docker"])
    started = said[said.index("make test-docker") + 1 : -1]
    assert started == ([] if ready else ["up kserve"]) + ["image golang"]
    assert said[-1] == f"make test-cluster {tmp_path}/start\\ it load"


@pytest.mark.parametrize("failing", ["test-go", "test-infra"])
def test_a_lane_that_fails_is_marked_and_fails_the_whole(tmp_path: Path, failing: str) -> None:
    machine = Machine(tmp_path, ready=True)
    machine.stub(machine.programs / "make", f'[ "$2" != {failing} ]')

    done = machine.run(CI_CLUSTER="")

    assert done.returncode == 1
    assert re.findall(r"^✗ make (\S+)", done.stdout, re.MULTILINE) == [failing]
