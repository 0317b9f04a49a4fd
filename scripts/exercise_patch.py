#!/usr/bin/env python3
"""Refresh the solutions of the exercises when the code under them has changed.

    scripts/exercise_patch.py check          name the solutions that no longer apply to this checkout
    scripts/exercise_patch.py edit FOLDER    copy the checkout to .run/solution and apply FOLDER/solution.patch there
    scripts/exercise_patch.py save FOLDER    write what was changed in that copy to FOLDER/solution.patch

FOLDER is an exercise's, such as phase1_docker_api/exercises/6-interval-level. What does not apply is left beside its
file as *.rej: put it in by hand and delete the *.rej, then save.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPY = ROOT / ".run" / "solution"
AUTHOR = ("-c", "user.name=learner", "-c", "user.email=learner@example.org")


def git(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run git in a folder, with an author for what it commits."""
    return subprocess.run(["git", *AUTHOR, *words], cwd=folder, capture_output=True, text=True, check=False)


def copy_checkout(target: Path) -> None:
    """Copy what git would commit here, with the changes that are not committed yet, into a repository of its own."""
    for name in git(ROOT, "ls-files", "-co", "--exclude-standard").stdout.splitlines():
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    git(target, "init", "--quiet")
    commit(target, "the exercise begins")


def commit(folder: Path, message: str) -> None:
    """Commit all that is there."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def apply(folder: Path, solution: Path, *options: str) -> str:
    """Apply a solution to a copy; return git's message, or nothing when all of it applied."""
    applied = git(folder, "apply", *options, str(solution))
    return applied.stderr if applied.returncode else ""


def check() -> int:
    """Name the solutions that do not apply to this checkout."""
    solutions = sorted(ROOT.glob("phase*/exercises/*/solution.patch"))
    stale = [path for path in solutions if apply(ROOT, path, "--check")]
    for path in stale:
        print(f"✗ {path.parent.relative_to(ROOT)}")
    print(f"{len(solutions) - len(stale)} of {len(solutions)} solutions apply")
    return 1 if stale else 0


def edit(exercise: Path) -> int:
    """Make the copy, and apply as much of the solution as applies."""
    shutil.rmtree(COPY, ignore_errors=True)
    copy_checkout(COPY)
    print(apply(COPY, exercise / "solution.patch", "--reject", "-C0"), end="")
    print(f"edit {COPY.relative_to(ROOT)}, then:  scripts/exercise_patch.py save {exercise.relative_to(ROOT)}")
    return 0


def save(exercise: Path) -> int:
    """Write what differs in the copy as the solution, with one line of context."""
    if rejected := sorted(COPY.rglob("*.rej")):
        print("\n".join(f"✗ not put in yet: {path.relative_to(ROOT)}" for path in rejected))
        return 1
    git(COPY, "add", "--all")
    difference = git(COPY, "diff", "--cached", "--unified=1", "--no-color").stdout
    (exercise / "solution.patch").write_text(difference)
    print(f"✓ {exercise.relative_to(ROOT)}/solution.patch: {len(difference.splitlines())} lines")
    return 0


def main(words: list[str]) -> int:
    """Run the command that the words name."""
    match words:
        case ["check"]:
            return check()
        case ["edit" | "save" as command, folder] if (exercise := Path(folder).resolve()).is_dir():
            return edit(exercise) if command == "edit" else save(exercise)
    print(__doc__)
    return 2


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
