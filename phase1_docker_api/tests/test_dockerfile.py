"""Room: image. What the Dockerfile says twice is the same twice; this needs no Docker."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

PHASE = Path(__file__).parents[1]
DOCKERFILE = (PHASE / "Dockerfile").read_text()
IMPORTED = """
import sys
from phase1_docker_api import artifact, cli, sales, train
print(*sorted(name.rpartition(".")[2] for name in sys.modules if name.startswith("phase1_docker_api.")))
"""


def test_the_model_is_trained_by_the_modules_that_training_imports_and_no_other() -> None:
    copied = set(re.findall(r"phase1_docker_api/src/phase1_docker_api/(\w+)\.py", DOCKERFILE))

    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True)

    assert copied == {"__init__", "__main__", *done.stdout.split()}


def test_the_label_has_the_version_of_the_project() -> None:
    project = tomllib.loads((PHASE / "pyproject.toml").read_text())["project"]

    assert f'image.version="{project["version"]}"' in DOCKERFILE
