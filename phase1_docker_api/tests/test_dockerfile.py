"""Room: image. What the Dockerfile says again is what the code says; this needs no Docker."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

PHASE = Path(__file__).parents[1]
SOURCE = PHASE / "src/phase1_docker_api"
DOCKERFILE = (PHASE / "Dockerfile").read_text()


def imported_by(*modules: str) -> set[str]:
    """These modules, and all that are imported with them; what a function imports comes when it is called."""
    found, queue = set(modules), list(modules)
    while queue:
        tree = ast.parse((SOURCE / f"{queue.pop()}.py").read_text())
        names = [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
        new = {name.partition(".")[2] for name in names if name.startswith("phase1_docker_api.")} - found
        found |= new
        queue += new
    return found


def test_the_model_is_trained_by_the_modules_that_training_imports_and_no_other() -> None:
    copied = set(re.findall(r"phase1_docker_api/src/phase1_docker_api/(\w+)\.py", DOCKERFILE))
    imported = imported_by("__init__", "__main__", "artifact", "cli", "sales", "train")

    assert copied == imported, "change the list in the Dockerfile's stage `model`"


def test_the_label_has_the_version_of_the_project() -> None:
    project = tomllib.loads((PHASE / "pyproject.toml").read_text())["project"]

    assert f'image.version="{project["version"]}"' in DOCKERFILE
