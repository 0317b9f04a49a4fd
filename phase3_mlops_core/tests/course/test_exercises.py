"""Exercises are folders, checked by pytest; each solution turns its check from ✗ to ✓ and breaks no default test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import exercise_patch
import pytest
from exercise_trial import shown_once_solved
from phase1_docker_api.course.exercises import LANGUAGES, Exercise
from phase3_mlops_core.course.exercises import EXERCISES

FOUND = EXERCISES.find()
SPARK = exercise_patch.ROOT / ".venv-spark"
# The default tests that cover what a solution changes.
TESTS = "phase3_mlops_core/tests"
DEFAULT_TESTS = {
    1: [f"{TESTS}/preparation/test_rules.py", "phase1_docker_api/tests/training/test_sales.py"],
    2: ["tests/test_docs.py", "tests/test_rooms.py"],
    3: [f"{TESTS}/gate"],
    4: [f"{TESTS}/course/test_replay.py"],
    5: [f"{TESTS}/retraining/test_steps.py"],
    6: ["tests/test_docs.py", "tests/test_rooms.py"],
}


def test_the_exercises_are_numbered_from_1() -> None:
    assert list(FOUND) == list(range(1, 7))


@pytest.mark.parametrize("exercise", FOUND.values(), ids=lambda exercise: exercise.folder.name)
def test_each_exercise_has_its_task_its_hints_its_check_and_its_solution(exercise: Exercise) -> None:
    for language, name in LANGUAGES.items():
        heading, *task = (exercise.folder / name).read_text().splitlines()
        assert heading.startswith(f"# {exercise.number}. ")
        assert f"[{heading[2:]}]({exercise.folder.name}/{name})" in (EXERCISES.folder / name).read_text()
        assert any("docs/phase3/" in line for line in task), "it names its lesson"
        assert exercise.hint(1)[language] != exercise.hint(2)[language]
    assert exercise.check_file.is_file()
    assert (exercise.folder / "solution.patch").is_file()


@pytest.mark.exercises
@pytest.mark.parametrize("number", FOUND)
def test_a_solution_turns_its_check_green_and_breaks_no_default_test(number: int, tmp_path: Path) -> None:
    exercise_patch.copy_checkout(tmp_path)
    if SPARK.is_dir():
        (tmp_path / SPARK.name).symlink_to(SPARK)
    code = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, sorted(tmp_path.glob("phase*/src"))))}

    def shown() -> str:
        command = [sys.executable, "-m", "phase3_mlops_core", "check", "--exercise", str(number)]
        done = subprocess.run(command, cwd=tmp_path, env=code, capture_output=True, text=True)
        assert (done.returncode == 0) == done.stdout.startswith("✓"), done.stdout + done.stderr
        return done.stdout

    after = shown_once_solved(tmp_path, FOUND[number].folder / "solution.patch", shown)
    if after.startswith("–"):
        pytest.skip(after)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *DEFAULT_TESTS[number]]
    default = subprocess.run(command, cwd=tmp_path, env=code, capture_output=True, text=True)

    assert after.startswith("✓"), after
    assert default.returncode == 0, default.stdout[-3000:]
