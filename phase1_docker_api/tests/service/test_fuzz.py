"""Room: contract. Thousands of requests made from the OpenAPI document, right and wrong, find nothing to fault."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from phase1_docker_api.service.launch import running_service

HOOKS = Path(__file__).with_name("fuzz_hooks.py")
# Some bodies that it makes up are larger than allowed; 413 is right then, but it does not know that.
ROOM = {"HOUSE_MAX_BATCH_BODY_BYTES": str(2**26)}
RUN = "from schemathesis.cli import schemathesis; schemathesis(prog_name='st')"


def fuzz(url: str, folder: Path, *, examples: int, seed: int) -> int:
    """Run every check of schemathesis, with this many examples an operation at most; give how many requests it made."""
    command = [sys.executable, "-c", RUN, "--no-color", "run", f"{url}/openapi.json"]
    command += ["--checks", "all", "--max-examples", str(examples), "--seed", str(seed)]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": str(HOOKS)}
    # It leaves its notes in the folder it runs in.
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, f"seed {seed}\n{done.stdout}\n{done.stderr}"
    generated = re.search(r"([\d,]+) generated", done.stdout)
    assert generated, done.stdout
    return int(generated[1].replace(",", ""))


def test_a_few_hundred_made_up_requests_find_nothing_to_fault(service_url: str, tmp_path: Path) -> None:
    made = fuzz(service_url, tmp_path, examples=25, seed=1)

    assert made > 300


@pytest.mark.slow
@pytest.mark.parametrize("seed", [20120101, random.SystemRandom().randrange(2**32)], ids=["fixed", "random"])
@pytest.mark.parametrize("estimator", ["trees", "linear"])
def test_a_thousand_made_up_requests_find_nothing_to_fault(
    request: pytest.FixtureRequest, tmp_path: Path, seed: int, estimator: str
) -> None:
    print(f"seed {seed}")
    log = tmp_path / "log"

    with (
        log.open("wb") as file,
        running_service(request.getfixturevalue(f"{estimator}_artifact"), log=file, **ROOM) as (url, _),
    ):
        made = fuzz(url, tmp_path, examples=250, seed=seed)

    assert made >= 1000
    assert "request_failed" not in log.read_text()
