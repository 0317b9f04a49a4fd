"""The exercises of a phase: find their folders, run their checks with pytest, and remember the outcomes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from phase1_docker_api.course.exercise_report import VARIABLE
from phase1_docker_api.course.findings import Finding
from phase1_docker_api.errors import CourseError

TOOLS = "make setup"
LANGUAGES = {"en": "README.md", "id": "README.id.md"}
# Without the fixtures and plugins of the course's own tests, which take seconds to import.
PYTEST = (
    *("-m", "pytest", "-q", "-x", "-o", "addopts=--import-mode=importlib"),
    *("-p", "no:cacheprovider", "-p", "phase1_docker_api.course.exercise_report"),
)


@dataclass(frozen=True)
class Exercise:
    """A folder with the task in both languages, two hints, a check (a pytest file) and a solution (a patch)."""

    number: int
    folder: Path

    @property
    def title(self) -> str:
        """The heading of its README.md, without the number."""
        heading = (self.folder / "README.md").read_text().partition("\n")[0]
        return heading.removeprefix("# ").partition(". ")[2]

    @property
    def check_file(self) -> Path:
        """The check: red until the exercise is done."""
        return self.folder / "test_exercise.py"

    def hint(self, number: int) -> dict[str, str]:
        """Give hint 1 or the plainer hint 2, by language."""
        hints: dict[str, dict[str, str]] = tomllib.loads((self.folder / "hints.toml").read_text())
        return hints[f"hint{number}"]


@dataclass(frozen=True)
class Exercises:
    """All exercises of a phase, which is called `program` on the command line."""

    program: str
    folder: Path

    def find(self) -> dict[int, Exercise]:
        """Give the exercises by number, in order."""
        found = {int(match[1]): path for path in self.folder.iterdir() if (match := re.match(r"(\d+)-", path.name))}
        return {number: Exercise(number, found[number]) for number in sorted(found)}

    def check(self, exercise: Exercise, environ: Mapping[str, str] | None = None) -> Finding:
        """Run the check of one exercise in a process of its own, and remember the outcome."""
        if find_spec("pytest") is None:
            raise CourseError(f"pytest is not installed: {TOOLS}")
        with TemporaryDirectory() as folder:
            report = Path(folder) / "report.jsonl"
            code = subprocess.run(  # noqa: S603 - our own pytest
                [sys.executable, *PYTEST, str(exercise.check_file)],
                cwd=self.folder.parents[1],
                env=os.environ | (environ or {}) | {VARIABLE: str(report), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
                stdout=subprocess.DEVNULL,
                check=False,
            ).returncode
            holds, reason = _outcome(code, report)
        self._remember(exercise.number, holds)
        hint = "" if holds else f"make {self.program}-check EXERCISE={exercise.number} HINT=1"
        return Finding(
            f"exercise {exercise.number}", holds, ": ".join(filter(None, (exercise.title.rstrip("?"), reason))), hint
        )

    def summary(self) -> Finding:
        """Say how many are done, as last checked, and which is next; no check is run."""
        numbers, done = list(self.find()), self._last_outcomes()
        open_ = [number for number in numbers if not done.get(str(number))]
        seen = f"{len(numbers) - len(open_)} of {len(numbers)} done" + (", as last checked" if done else "")
        if not open_:
            return Finding("exercises", True, seen)
        return Finding("exercises", None, f"{seen}; next: make {self.program}-check EXERCISE={open_[0]}")

    @property
    def _outcomes_file(self) -> Path:
        return self.folder.parents[1] / ".run" / f"exercises-{self.program}.json"

    def _last_outcomes(self) -> dict[str, bool | None]:
        try:
            outcomes: dict[str, bool | None] = json.loads(self._outcomes_file.read_text())
        except (OSError, ValueError):
            return {}
        return outcomes

    def _remember(self, number: int, holds: bool | None) -> None:
        outcomes = self._last_outcomes() | {str(number): holds}
        self._outcomes_file.parent.mkdir(exist_ok=True)
        self._outcomes_file.write_text(json.dumps(outcomes) + "\n")


def _outcome(code: int, report: Path) -> tuple[bool | None, str]:
    """Say whether it is done (None: a skip, so it is not known), and the first reason why not."""
    lines = report.read_text().splitlines() if report.exists() else []
    if lines:
        first = json.loads(lines[0])
        return (None if first["outcome"] == "skipped" else False), first["reason"]
    return code == 0, "" if code == 0 else f"pytest ended with code {code}"


EXERCISES = Exercises("phase1", Path(__file__).resolve().parents[3] / "exercises")
