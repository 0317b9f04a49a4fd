"""Exercise 6: rollcheck counts redirects as a kind of their own; the tests are in rollcheck/exercise6_test.go."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROLLCHECK = Path(__file__).parents[2] / "rollcheck"
TEST = ["go", "test", "-timeout", "60s", "-tags", "exercise6", "-run", "TestExercise6", "."]


def test_the_go_tests_pass() -> None:
    if not shutil.which("go"):
        pytest.skip("it needs Go: https://go.dev/doc/install")

    done = subprocess.run(TEST, cwd=ROLLCHECK, capture_output=True, text=True)

    said = done.stdout + done.stderr
    failed = re.findall(r"^--- FAIL: (\w+)", said, re.MULTILINE) or said.strip().splitlines()[-1:]
    assert done.returncode == 0, f"{', '.join(failed)}; more:  cd phase2_k8s_cicd/rollcheck && {' '.join(TEST)}"
