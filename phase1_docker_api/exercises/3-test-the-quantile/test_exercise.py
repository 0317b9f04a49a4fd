"""Exercise 3: the learner's test passes on the right quantile, fails on three wrong ones, and is committed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MY_TEST = Path("phase1_docker_api/tests/test_mine.py")
RIGHT = "conformal_quantile(errors, level)"
# Each gives an interval of the wrong width, and none of them crashes.
WRONG = {
    "takes the median": "float(sorted(errors)[len(errors) // 2])",
    "forgets the + 1": "float(sorted(errors)[math.ceil(len(errors) * level) - 1])",
    "takes the largest of too few": "float(sorted(errors)[min(math.ceil((len(errors) + 1) * level), len(errors)) - 1])",
}


def my_test_passes(folder: Path, code: str) -> bool:
    """Run the learner's test with another quantile in place of ours; pytest's code 5, no test, is a failure."""
    (folder / "other_quantile.py").write_text(
        "import math\nimport phase1_docker_api.model.house_model as model\n"
        "from phase1_docker_api.model.house_model import conformal_quantile\n"
        f"model.conformal_quantile = lambda errors, level: {code}\n"
    )
    options = ["-q", "-p", "no:cacheprovider", "-p", "other_quantile", "-o", f"pythonpath={folder}"]
    command = [sys.executable, "-m", "pytest", *options, str(MY_TEST)]
    return subprocess.run(command, capture_output=True, timeout=120).returncode == 0


def git(*words: str) -> bytes:
    return subprocess.run(["git", *words, "--", MY_TEST], capture_output=True).stdout


def test_my_test_passes_on_the_right_code(tmp_path: Path) -> None:
    assert MY_TEST.is_file(), f"there is no {MY_TEST} yet"
    assert my_test_passes(tmp_path, RIGHT), f"on the right code it fails, or holds no test: python -m pytest {MY_TEST}"


@pytest.mark.parametrize("mistake", WRONG)
def test_my_test_notices_a_wrong_quantile(tmp_path: Path, mistake: str) -> None:
    assert not my_test_passes(tmp_path, WRONG[mistake]), f"it does not notice a quantile that {mistake}"


def test_my_test_is_committed() -> None:
    committed = git("log", "--oneline", "-1") and not git("status", "--porcelain")

    assert committed, "it notices all three; now commit it, on a branch"
