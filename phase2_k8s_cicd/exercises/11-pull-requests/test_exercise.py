"""Exercise 11: the registry module expires what pull requests pushed, as Terraform's own test beside this file says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

AWS = Path(__file__).parents[3] / "infra" / "aws"
FETCHED = AWS / ".terraform" / "providers"  # by make cloud-plan


def terraform(module: Path, *words: str) -> tuple[bool, str]:
    command = ["terraform", f"-chdir={module}", *words, "-no-color"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A copy of the module with the test in it, initialised."""
    if not shutil.which("terraform"):
        pytest.skip("it needs Terraform: https://developer.hashicorp.com/terraform/install")
    folder = tmp_path / "registry"
    shutil.copytree(AWS / "modules" / "registry", folder, ignore=shutil.ignore_patterns(".terraform*"))
    shutil.copytree(Path(__file__).parent / "registry", folder, dirs_exist_ok=True)
    plugins = [f"-plugin-dir={FETCHED}"] if FETCHED.is_dir() and "TF_CLI_ARGS_init" not in os.environ else []
    initialised, said = terraform(folder, "init", "-input=false", *plugins)
    if not initialised and "provider" in said:
        pytest.skip("Terraform's AWS provider cannot be fetched here; once you are online:  make cloud-plan")
    assert initialised, said.strip().splitlines()[-1]
    return folder


def first_problem(said: str) -> str:
    """The message of the first assertion that failed, or what else Terraform says."""
    failed = re.search(r"Error: Test assertion failed\n.*?\n\n(.+?)\n\n", f"{said}\n\n", re.DOTALL)
    if failed:
        return failed[1].strip().splitlines()[-1]
    if "Missing expected failure" in said:
        return "pull_request_days = 0 is not refused: give the variable a validation"
    found = re.search(r"Error: (.+)", said)
    return found[1] if found else said.strip().splitlines()[-1]


def test_images_of_pull_requests_expire(module: Path) -> None:
    variables = (module / "variables.tf").read_text()
    assert 'variable "pull_request_days"' in variables, "the module has no variable pull_request_days yet"

    passed, said = terraform(module, "test")

    assert passed, first_problem(said)
