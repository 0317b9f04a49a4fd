"""Exercises are folders, checked by pytest; each solution turns its check from ✗ to ✓ and breaks no default test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import exercise_patch
import pytest
from exercise_trial import shown_once_solved
from phase1_docker_api.course.exercises import LANGUAGES, Exercise
from phase1_docker_api.model.artifact import save_model
from phase1_docker_api.model.house_model import HouseModel
from phase2_k8s_cicd.course.exercises import EXERCISES

FOUND = EXERCISES.find()
# The default tests that cover what a solution changes; 9 and 10 change a file of their own, which nothing else reads.
TESTS = "phase2_k8s_cicd/tests"
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
ROLLCHECK = ("bash", "-ec", 'cd phase2_k8s_cicd/rollcheck; test -z "$(gofmt -l .)"; go vet ./...; go test ./...')
DEFAULT_TESTS = {
    1: (*PYTEST, f"{TESTS}/cluster/test_manifests.py"),
    2: (*PYTEST, f"{TESTS}/service", "tests/test_docs.py"),
    3: (*PYTEST, f"{TESTS}/cluster/test_manifests.py"),
    4: (*PYTEST, f"{TESTS}/rollout/test_rollout.py", "tests/test_docs.py"),
    **dict.fromkeys(range(5, 9), ROLLCHECK),
    11: (*PYTEST, f"{TESTS}/delivery/test_infra.py"),
    12: (*PYTEST, f"{TESTS}/rollout/test_history.py", "tests/test_docs.py"),
}


def test_the_exercises_are_numbered_from_1() -> None:
    assert list(FOUND) == list(range(1, 13))


@pytest.mark.parametrize("exercise", FOUND.values(), ids=lambda exercise: exercise.folder.name)
def test_each_exercise_has_its_task_its_hints_its_check_and_its_solution(exercise: Exercise) -> None:
    for language, name in LANGUAGES.items():
        heading, *_ = (exercise.folder / name).read_text().splitlines()
        assert heading.startswith(f"# {exercise.number}. ")
        assert f"[{heading[2:]}]({exercise.folder.name}/{name})" in (EXERCISES.folder / name).read_text()
        assert exercise.hint(1)[language] != exercise.hint(2)[language]
    assert exercise.check_file.is_file()
    assert (exercise.folder / "solution.patch").is_file()


@pytest.mark.exercises
@pytest.mark.skipif(not shutil.which("go"), reason="needs Go")
def test_a_header_whose_name_has_a_blank_fails_exercise_5_at_once(tmp_path: Path) -> None:
    exercise_patch.copy_checkout(tmp_path)
    if problem := exercise_patch.apply(tmp_path, FOUND[5].folder / "solution.patch"):
        pytest.skip(f"the solution does not apply to your code: {problem}")
    rollcheck = tmp_path / "phase2_k8s_cicd" / "rollcheck"
    options, rule = rollcheck / "options.go", ' || strings.ContainsAny(name, " \\t")'
    assert rule in options.read_text()
    options.write_text(options.read_text().replace(rule, ""))
    test = ["go", "test", "-tags", "exercise5", "-run", "TestExercise5", "-timeout", "20s", "."]

    done = subprocess.run(test, cwd=rollcheck, capture_output=True, text=True)

    assert '"X Canary: yes": exit 1' in done.stdout
    assert "test timed out" not in done.stdout


@pytest.mark.exercises
@pytest.mark.parametrize("number", FOUND)
def test_a_solution_turns_its_check_green_and_breaks_no_default_test(
    number: int, tmp_path: Path, linear_model: HouseModel
) -> None:
    exercise_patch.copy_checkout(tmp_path)
    sources = os.pathsep.join(map(str, sorted(tmp_path.glob("phase*/src"))))
    model = save_model(linear_model, tmp_path / "models")
    code = os.environ | {"PYTHONPATH": sources}

    def shown() -> str:
        command = [sys.executable, "-m", "phase2_k8s_cicd", "check", "--exercise", str(number)]
        environment = code | {"HOUSE_MODEL_PATH": str(model)}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert (done.returncode == 0) == done.stdout.startswith("✓"), done.stdout + done.stderr
        return done.stdout

    after = shown_once_solved(tmp_path, FOUND[number].folder / "solution.patch", shown)
    command = DEFAULT_TESTS.get(number, ("true",))
    default = subprocess.run(command, cwd=tmp_path, env=code, capture_output=True, text=True)

    assert after.startswith("✓"), after
    assert default.returncode == 0, (default.stdout + default.stderr)[-3000:]
