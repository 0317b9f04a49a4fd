"""Exercises are folders, checked by pytest; each solution turns its check from ✗ to ✓ and breaks no default test."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import exercise_patch
import pytest
from exercise_trial import shown_once_solved
from phase1_docker_api.course.exercises import EXERCISES, LANGUAGES, Exercise, Exercises
from phase1_docker_api.service.launch import free_port, running_service

FOUND = EXERCISES.find()
SERVED = 2  # requests the running service
# The default tests that cover what a solution changes; all of them would take minutes for each exercise.
TESTS = "phase1_docker_api/tests"
DEFAULT_TESTS = {
    1: [f"{TESTS}/test_schemas.py", f"{TESTS}/service/test_contract.py", f"{TESTS}/training/test_sales.py"],
    2: [f"{TESTS}/service/test_contract.py", "tests/test_docs.py"],
    3: [f"{TESTS}/test_mine.py"],
    4: [f"{TESTS}/test_cli.py", f"{TESTS}/test_imports.py", "tests/test_docs.py"],
    5: [f"{TESTS}/model", "tests/test_docs.py"],
    6: [f"{TESTS}/model", f"{TESTS}/training", f"{TESTS}/test_cli.py", "tests/test_docs.py"],
}


def test_the_exercises_are_numbered_from_1() -> None:
    assert list(FOUND) == list(range(1, 7))


@pytest.mark.parametrize("exercise", FOUND.values(), ids=lambda exercise: exercise.folder.name)
def test_each_exercise_has_its_task_its_hints_its_check_and_its_solution(exercise: Exercise) -> None:
    lists = {language: (EXERCISES.folder / name).read_text() for language, name in LANGUAGES.items()}

    for language, name in LANGUAGES.items():
        heading, *task = (exercise.folder / name).read_text().splitlines()
        assert heading.startswith(f"# {exercise.number}. ")
        assert f"[{heading[2:]}]({exercise.folder.name}/{name})" in lists[language]
        assert any("docs/phase1/" in line for line in task), "it names its lesson"
        assert exercise.hint(1)[language] != exercise.hint(2)[language]
    assert exercise.check_file.is_file()
    assert (exercise.folder / "solution.patch").is_file()


@pytest.fixture
def toy(tmp_path: Path) -> Exercises:
    """A phase with two exercises, of which the first has a check that a test may replace."""
    for name in ("1-first", "2-second"):
        folder = tmp_path / "phase" / "exercises" / name
        folder.mkdir(parents=True)
        (folder / "README.md").write_text(f"# {name[0]}. Task\n")
        (folder / "test_exercise.py").write_text("def test_it(): pass\n")
    return Exercises("phase7", tmp_path / "phase" / "exercises")


@pytest.mark.parametrize(
    ("check", "holds", "seen"),
    [
        ("def test_it(): pass", True, "Task"),
        ("def test_it(): assert 1 == 2, 'it is 2\\nnot 1'", False, "Task: it is 2"),
        ("def test_it(): {}['key']", False, "Task: your code raised KeyError: 'key'"),
        ("import nowhere_to_be_found", False, "Task: your code raised ModuleNotFoundError: No module named 'nowhere"),
        ("import pytest\ndef test_it(): pytest.skip('it needs Go')", None, "Task: it needs Go"),
        ("", False, "Task: pytest ended with code 5"),
    ],
)
def test_the_outcome_of_a_check_is_one_line(toy: Exercises, check: str, holds: bool | None, seen: str) -> None:
    (toy.folder / "1-first" / "test_exercise.py").write_text(check)

    finding = toy.check(toy.find()[1])

    assert finding.holds is holds
    assert finding.seen.startswith(seen)
    assert "\n" not in finding.seen
    assert finding.hint == ("" if holds else "make phase7-check EXERCISE=1 HINT=1")


def test_what_was_checked_last_is_summed_up_in_one_line(toy: Exercises) -> None:
    assert toy.summary().seen == "0 of 2 done; next: make phase7-check EXERCISE=1"

    toy.check(toy.find()[1])
    assert toy.summary().seen == "1 of 2 done, as last checked; next: make phase7-check EXERCISE=2"

    toy.check(toy.find()[2])
    assert toy.summary().seen == "2 of 2 done, as last checked"


def test_pytest_collects_no_exercise_that_is_not_named() -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-o", "addopts=--import-mode=importlib"]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    phase = EXERCISES.folder.parent

    done = subprocess.run([*command, phase, f"--ignore={phase}/tests"], env=environment, capture_output=True, text=True)

    assert done.returncode == 5, done.stdout  # pytest's code for "no tests"


@pytest.mark.exercises
@pytest.mark.parametrize("number", FOUND)
def test_a_solution_turns_its_check_green_and_breaks_no_default_test(
    number: int, tmp_path: Path, linear_artifact: Path
) -> None:
    exercise_patch.copy_checkout(tmp_path)
    sources = os.pathsep.join(map(str, sorted(tmp_path.glob("phase*/src"))))
    code = os.environ | {"PYTHONPATH": sources}

    def shown() -> str:
        served = running_service(linear_artifact, PYTHONPATH=sources) if number == SERVED else nullcontext()
        with served as service:
            port = service[0].rpartition(":")[2] if service else free_port()
            command = ["-m", "phase1_docker_api", "check", "--exercise", str(number), "--port", str(port)]
            done = subprocess.run([sys.executable, *command], cwd=tmp_path, env=code, capture_output=True, text=True)
        assert (done.returncode == 0) == done.stdout.startswith("✓"), done.stdout + done.stderr
        return done.stdout

    after = shown_once_solved(tmp_path, FOUND[number].folder / "solution.patch", shown)
    pytest_command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *DEFAULT_TESTS[number]]
    default = subprocess.run(pytest_command, cwd=tmp_path, env=code, capture_output=True, text=True)

    assert after.startswith("✓"), after
    assert default.returncode == 0, default.stdout[-3000:]
