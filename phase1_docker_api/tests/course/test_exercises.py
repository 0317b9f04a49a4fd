"""Each exercise's check says ✗ before and ✓ after the reference solution, on a copy of this checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from phase1_docker_api.course.practice import EXERCISES
from phase1_docker_api.service.launch import free_port, running_service

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "phase1_docker_api" / "exercises"
SERVED = 2  # asks the running service


def git(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    author = ["-c", "user.name=learner", "-c", "user.email=learner@example.org"]
    return subprocess.run(["git", *author, *words], cwd=folder, capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A repository of its own with what this one would commit of phase 1, its data and its documents."""
    parts = ["phase1_docker_api", "data", "docs", "pyproject.toml"]
    for name in git(ROOT, "ls-files", "-co", "--exclude-standard", *parts).stdout.splitlines():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "as it is")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("number", EXERCISES)
def test_an_exercise_goes_from_cross_to_tick_with_its_solution(number: int, copy: Path, linear_artifact: Path) -> None:
    code = os.environ | {"PYTHONPATH": str(copy / "phase1_docker_api" / "src")}

    def shown() -> str:
        served = running_service(linear_artifact, PYTHONPATH=code["PYTHONPATH"]) if number == SERVED else nullcontext()
        with served as service:
            port = service[0].rpartition(":")[2] if service else free_port()
            command = ["-m", "phase1_docker_api", "check", "--exercise", str(number), "--port", str(port)]
            done = subprocess.run([sys.executable, *command], cwd=copy, env=code, capture_output=True, text=True)
        assert (done.returncode == 0) == done.stdout.startswith("✓"), done.stderr
        return done.stdout

    before = shown()
    if before.startswith("✓") and "CI" not in os.environ:
        pytest.skip("you have solved it here")
    assert before.startswith("✗")

    (solution,) = FOLDER.glob(f"solutions/{number}-*.patch")
    applied = git(copy, "apply", "-C1", str(solution))
    assert applied.returncode == 0, applied.stderr
    git(copy, "add", "-A")
    git(copy, "commit", "-qm", "solved")

    assert shown().startswith("✓"), shown()


@pytest.mark.parametrize("language", ["", ".id"])
def test_each_exercise_has_its_task_in_both_languages_and_its_lesson(language: str) -> None:
    tasks = (FOLDER / f"README{language}.md").read_text()

    assert re.findall(r"^## (\d)\.", tasks, re.MULTILINE) == [str(number) for number in EXERCISES]
    assert [e.lesson for e in EXERCISES.values() if f"docs/phase1/{e.lesson}{language}.md" not in tasks] == []
