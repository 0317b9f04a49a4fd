"""Each exercise's check says ✗ before and ✓ after the reference solution, on a copy of this checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from phase1_docker_api.model.artifact import save_model
from phase1_docker_api.model.house_model import HouseModel
from phase2_k8s_cicd.course.practice import EXERCISES
from phase2_k8s_cicd.course.practice_delivery import NEEDS_PROVIDER

ROOT = Path(__file__).parents[3]
PHASE2 = ROOT / "phase2_k8s_cicd"
ROLLCHECKS = range(5, 9)
NEEDS = {1: "kubectl", 3: "kubectl", 11: "terraform"} | dict.fromkeys(ROLLCHECKS, "go")


def solution_of(number: int) -> Path:
    folder, own = PHASE2 / "exercises/solutions", number
    if number in ROLLCHECKS:
        folder, own = PHASE2 / "rollcheck/exercises", number - ROLLCHECKS.start + 1
    (solution,) = folder.glob(f"{own}-*.patch")
    return solution


def git(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What git would commit of phase 2, the code below it, and the Terraform that an exercise changes."""
    parts = ["phase1_docker_api/src", "phase2_k8s_cicd", "infra/aws"]
    for name in git(ROOT, "ls-files", "-co", "--exclude-standard", *parts).stdout.splitlines():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("number", EXERCISES)
def test_an_exercise_goes_from_cross_to_tick_with_its_solution(
    number: int, copy: Path, linear_model: HouseModel
) -> None:
    if (program := NEEDS.get(number, "git")) and not shutil.which(program):
        pytest.skip(f"needs {program}")
    sources = os.pathsep.join(str(copy / phase / "src") for phase in ("phase1_docker_api", "phase2_k8s_cicd"))
    model = save_model(linear_model, copy / "models")
    code = os.environ | {"PYTHONPATH": sources, "HOUSE_MODEL_PATH": str(model)}

    def shown() -> str:
        command = [sys.executable, "-m", "phase2_k8s_cicd", "check", "--exercise", str(number)]
        done = subprocess.run(command, cwd=copy, env=code, capture_output=True, text=True)
        assert (done.returncode == 0) == done.stdout.startswith("✓"), done.stdout + done.stderr
        return done.stdout

    before = shown()
    if before.startswith("✓") and "CI" not in os.environ:
        pytest.skip("you have solved it here")
    if NEEDS_PROVIDER in before:
        pytest.skip(before)
    assert before.startswith("✗")
    assert "your code raised" not in before

    applied = git(copy, "apply", "-C1", str(solution_of(number)))
    assert applied.returncode == 0, applied.stderr

    assert shown().startswith("✓"), shown()
